"""Settings of the tests' agents."""

from __future__ import annotations

from dataclasses import dataclass

from rlsuite.contracts import config
from rlsuite.contracts.config import Traced, knob


@dataclass(frozen=True)
class RuleConfig(config.Config):
    """What is fitted, and when it counts as fitted."""

    width: int = knob(3, "numbers of the rule", ge=1)
    target: Traced[float] = knob(0.5, "what the rule's numbers become")
    learning_rate: Traced[float] = knob(0.1, "of the descent", gt=0)
    tolerance: float = knob(0.0, "error at which the fit is over; 0: never", ge=0)
    bad_from: int = knob(0, "iteration from which the loss is NaN; 0: never", ge=0)
    fails: bool = knob(False, "raise where it is built")

    def steps_per_iteration(self) -> int:
        return 4


@dataclass(frozen=True)
class StudentConfig(config.Config):
    """How the student uses its rule."""

    scale: Traced[float] = knob(1.0, "of the rule's step")

    def steps_per_iteration(self) -> int:
        return 4


@dataclass(frozen=True)
class PopulationConfig(config.Config):
    """How many rules are fitted side by side, and how often they become the best."""

    learning_rate: Traced[float] = knob(0.1, "each member has its own instead", gt=0)
    target: Traced[float] = knob(0.5, "what the rule's numbers become")
    members: int = knob(4, "side by side", ge=1)
    period: int = knob(10**6, "iterations between copies of the best", ge=1)

    def steps_per_iteration(self) -> int:
        return 4
