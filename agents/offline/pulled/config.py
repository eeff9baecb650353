"""Settings of TD3 on a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from rlsuite.agents.offline.base.config import OfflineConfig
from rlsuite.agents.online.dpg.config import TwinDelayedConfig


@dataclass(frozen=True)
class PulledConfig(OfflineConfig, TwinDelayedConfig):
    """Base of the settings of TD3's offline relatives. `exploration_noise` is that of `act` in the
    mode "sample"; training and evaluation draw none."""
