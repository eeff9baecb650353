"""Settings that every agent on a dataset has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from rlsuite.agents.online.off_policy.config import ActorConfig, ActorCriticConfig
from rlsuite.config import Traced, knob

Rewards = Literal[
    "none", "return-range", "return-range-legacy",
    "antmaze-iql", "antmaze-odice", "antmaze-cql", "antmaze-prdc", "antmaze-rebrac",
]  # fmt: skip


@dataclass(frozen=True)
class DatasetConfig(ActorConfig):
    """Base of the settings of agents that learn from a dataset. Budgets count gradient updates."""

    budget_unit: ClassVar[Literal["env_steps", "updates"]] = "updates"
    updates: int = knob(100, "gradient steps per iteration: what a budget is a multiple of", ge=1)
    standardize: bool = knob(True, "standardise observations by the dataset's mean and deviation")
    standardize_epsilon: Traced[float] = knob(1e-3, "added to that deviation", gt=0)

    def steps_per_iteration(self) -> int:
        """Gradient steps of an iteration."""
        return self.updates


@dataclass(frozen=True)
class OfflineConfig(DatasetConfig, ActorCriticConfig):
    """Of those that learn from its rewards too."""

    rewards: Rewards = knob("none", "how rewards are scaled and shifted; names are the papers'")
