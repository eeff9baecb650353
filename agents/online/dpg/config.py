"""Settings of twin critics with a delayed, smoothed actor."""

from __future__ import annotations

from dataclasses import dataclass

from rlsuite.agents.online.off_policy.config import ActorCriticConfig
from rlsuite.config import Traced, knob


@dataclass(frozen=True)
class TwinDelayedConfig(ActorCriticConfig):
    """TD3's own settings, online or on a dataset. Noises are in units of the action's half range.
    Defaults are the authors'."""

    learning_rate: Traced[float] = knob(3e-4, "the actor's Adam step size", gt=0)
    critic_learning_rate: Traced[float] = knob(3e-4, "the critics' Adam step size", gt=0)
    exploration_noise: Traced[float] = knob(0.1, "deviation of the noise on actions taken", ge=0)
    policy_noise: Traced[float] = knob(0.2, "deviation of the noise on target actions", ge=0)
    noise_clip: Traced[float] = knob(0.5, "bound of that noise", ge=0)
    policy_delay: int = knob(2, "critic steps per actor and target step", ge=1)
