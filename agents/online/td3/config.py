"""TD3's settings."""

from __future__ import annotations

from dataclasses import dataclass

from rlsuite.agents.cores.config import OffPolicyConfig, TwinDelayedConfig
from rlsuite.contracts.config import knob


@dataclass(frozen=True)
class Config(OffPolicyConfig, TwinDelayedConfig):
    """Addressing Function Approximation Error in Actor-Critic Methods (Fujimoto, van Hoof, Meger,
    2018, arXiv 1802.09477).

    Deep deterministic policy gradient with the smaller of two critics as target, noise on the
    target's action, and an actor that moves every `policy_delay` critic steps. Noises are in units
    of the action's half range. Defaults are the authors'.
    """

    learning_starts: int = knob(25_000, "environment steps before the first update", ge=0)
