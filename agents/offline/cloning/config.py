"""Settings of policies that are cloned from data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.agents.offline.base.config import DatasetConfig
from rlsuite.config import Traced, knob
from rlsuite.errors import UsageError

Decay = Literal["none", "cosine"]
PolicyKind = Literal["gaussian", "deterministic"]
MeanKind = Literal["tanh", "linear"]


@dataclass(frozen=True)
class CloningConfig(DatasetConfig):
    """Base of the settings of agents whose policy regresses on the data's actions. Actions are in
    [-1, 1] of the environment's box; sigma is in the same unit, half the box's width."""

    learning_rate: Traced[float] = knob(3e-4, "the policy's Adam step size", gt=0)
    decay: Decay = knob("none", "how that step size changes; cosine: to 0 at the run's last update")
    weight_decay: Traced[float] = knob(
        0.0, "L2 added to the policy's gradient before Adam scales it (not AdamW's)", ge=0
    )
    policy: PolicyKind = knob(
        "gaussian", "what is cloned: a normal of one deviation everywhere, or an action"
    )
    mean: MeanKind = knob("tanh", "what the policy's last layer passes through")
    log_std_min: float = knob(-5.0, "lower bound of ln sigma")
    log_std_max: float = knob(2.0, "upper bound of ln sigma")

    def check(self) -> None:
        """The bounds of ln sigma must be in order, around where it starts."""
        super().check()
        if not self.log_std_min < 0 < self.log_std_max:
            raise UsageError(
                f"agent.log_std_min {self.log_std_min:g} and agent.log_std_max "
                f"{self.log_std_max:g} must lie around 0, where ln sigma starts: try -5 and 2"
            )
