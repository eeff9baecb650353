"""Settings of the tests' behaviour cloning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from rlsuite.contracts import config
from rlsuite.contracts.config import Traced, knob


@dataclass(frozen=True)
class Config(config.Config):
    """Regression on the recorded actions."""

    budget_unit: ClassVar[Literal["env_steps", "updates"]] = "updates"
    batch_size: int = knob(32, "rows in a minibatch", ge=1)
    updates: int = knob(5, "gradient steps per iteration", ge=1)
    learning_rate: Traced[float] = knob(1e-2, "Adam step size", gt=0)

    def steps_per_iteration(self) -> int:
        return self.updates
