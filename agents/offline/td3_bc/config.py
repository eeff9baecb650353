"""TD3+BC's settings."""

from __future__ import annotations

from dataclasses import dataclass

from rlsuite.agents.cores.config import ConstrainedConfig
from rlsuite.contracts.config import Traced, knob


@dataclass(frozen=True)
class Config(ConstrainedConfig):
    """A Minimalist Approach to Offline Reinforcement Learning (Fujimoto and Gu, 2021, arXiv
    2106.06860).

    TD3 whose actor also regresses on the data's action, weighed against a Q that is scaled to one:
    alpha / mean|Q| x Q - mean (mu(s) - a)^2. Observations are standardised. Squares are averaged
    over the action's entries, as in the authors' code; where they are summed instead (unifloral)
    alpha means another thing. Defaults are the authors'.
    """

    alpha: Traced[float] = knob(2.5, "weight of the scaled Q", ge=0)
    cloning: Traced[float] = knob(1.0, "weight of the regression; 0: TD3 on the data", ge=0)
