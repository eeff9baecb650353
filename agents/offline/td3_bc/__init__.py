"""TD3+BC (Fujimoto and Gu, 2021). `Config` loads no jax; `make` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsuite import lazy
from rlsuite.agents.offline.td3_bc.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.offline.td3_bc.agent import make

__all__ = ["Config", "make"]


__getattr__ = lazy.attributes(__name__, {"make": f"{__name__}.agent"})
