"""Settings of every agent on the soft core, online or on a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.agents.online.off_policy.config import ActorCriticConfig, OffPolicyConfig
from rlsuite.config import Traced, knob
from rlsuite.errors import UsageError


@dataclass(frozen=True)
class SoftCoreConfig(ActorCriticConfig):
    """Settings of the soft core itself: networks, critics and the order of steps."""

    learning_rate: Traced[float] = knob(3e-4, "the actor's Adam step size", gt=0)
    critic_learning_rate: Traced[float] = knob(3e-4, "the critics' Adam step size", gt=0)
    order: Literal["critic_first", "actor_first", "simultaneous"] = knob(
        "critic_first", "which step sees the other's result; simultaneous: neither"
    )
    actor_period: int = knob(1, "critic steps per actor phase", ge=1)
    actor_updates: int = knob(1, "actor steps in a phase, each on fresh actions", ge=1)
    target_period: int = knob(1, "gradient steps per target step", ge=1)
    value: Literal["q", "v"] = knob(
        "q", "what bootstraps: target critics, or a value network and its target"
    )
    actor_critic: Literal["min", "q1"] = knob("min", "what the actor climbs: min(Q1, Q2) or Q1")
    log_std: Literal["tanh", "clip", "softplus"] = knob(
        "tanh", "ln sigma: squashed or clipped to its bounds, or ln(softplus + e^minimum)"
    )
    log_std_min: float = knob(-5.0, "lower bound of ln sigma")
    log_std_max: float = knob(2.0, "upper bound of ln sigma (not for softplus)")

    def check(self) -> None:
        """The bounds of ln sigma must be in order."""
        super().check()
        if self.log_std != "softplus" and self.log_std_min >= self.log_std_max:
            raise UsageError(
                f"agent.log_std_min {self.log_std_min:g} is not below agent.log_std_max "
                f"{self.log_std_max:g}: try -5 and 2"
            )


@dataclass(frozen=True)
class SoftConfig(SoftCoreConfig, OffPolicyConfig):
    """Base of the settings of agents on the soft core that learn from a replay."""


@dataclass(frozen=True)
class TemperatureConfig(ActorCriticConfig):
    """SAC's temperature. Entropies are those of actions in [-1, 1]."""

    temperature: Literal["learned", "fixed"] = knob("learned", "who sets alpha")
    alpha: Traced[float] = knob(1.0, "the entropy's weight; where a learned one starts", gt=0)
    temperature_learning_rate: Traced[float] = knob(3e-4, "Adam step size of ln alpha", gt=0)
    temperature_loss: Literal["alpha", "log_alpha"] = knob(
        "alpha", "what multiplies the entropy's distance; log_alpha as in SB3"
    )
    target_entropy_scale: Traced[float] = knob(
        1.0, "continuous: the target entropy is -scale x number of actions, of actions in [-1, 1]"
    )
