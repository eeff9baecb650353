"""TD3's settings."""

from __future__ import annotations

from dataclasses import dataclass

from rlsuite.agents.online.off_policy.config import OffPolicyConfig
from rlsuite.config import Traced, knob


@dataclass(frozen=True)
class Config(OffPolicyConfig):
    """Addressing Function Approximation Error in Actor-Critic Methods (Fujimoto, van Hoof, Meger,
    2018, arXiv 1802.09477).

    Deep deterministic policy gradient with the smaller of two critics as target, noise on the
    target's action, and an actor that moves every `policy_delay` critic steps. Noises are in units
    of the action's half range. Defaults are the authors'.
    """

    learning_starts: int = knob(25_000, "environment steps before the first update", ge=0)
    learning_rate: Traced[float] = knob(3e-4, "the actor's Adam step size", gt=0)
    critic_learning_rate: Traced[float] = knob(3e-4, "the critics' Adam step size", gt=0)
    exploration_noise: Traced[float] = knob(0.1, "deviation of the noise on actions taken", ge=0)
    policy_noise: Traced[float] = knob(0.2, "deviation of the noise on target actions", ge=0)
    noise_clip: Traced[float] = knob(0.5, "bound of that noise", ge=0)
    policy_delay: int = knob(2, "critic steps per actor and target step", ge=1)
