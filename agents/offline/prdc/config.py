"""PRDC's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.agents.cores.config import ConstrainedConfig
from rlsuite.contracts.config import Traced, knob
from rlsuite.contracts.errors import UsageError


@dataclass(frozen=True)
class Config(ConstrainedConfig):
    """Policy Regularization with Dataset Constraint for Offline Reinforcement Learning (Ran, Li,
    Zhang, Zhang and Yu, 2023, arXiv 2306.06569).

    TD3 whose actor regresses on the action of the dataset row nearest to (beta s, mu(s)), so that
    it may copy what was done well in a *similar* state: alpha / mean|Q| x Q - mean (mu(s) - a_j)^2.
    The larger beta, the nearer to TD3+BC; with beta 0 states do not matter. Look at
    policy/self_neighbour: while it is 1 this is TD3+BC. Defaults are the authors'.

    A CPU's default search looks among the `neighbours` nearest states of each row, and
    policy/certified is the share of its answers that are proved right. With few state entries or a
    beta below 1 that share falls and the answers are those of a larger beta: then take
    `search = "exact"` or `resolve` some.
    """

    alpha: Traced[float] = knob(2.5, "weight of the scaled Q", ge=0)
    beta: Traced[float] = knob(2.0, "weight of states against actions in distances", ge=0)
    distance: Literal["code", "paper"] = knob(
        "code", "what is regressed: mean square of action entries, or the distance as in the paper"
    )
    search: Literal["auto", "table", "exact"] = knob(
        "auto", "over each row's nearest states or all rows; auto: the table on a CPU, else exact"
    )
    neighbours: int = knob(64, "nearest states in the table of each row", ge=1)
    resolve: int = knob(0, "unproved answers of the table searched exactly per minibatch", ge=0)

    def check(self) -> None:
        """No more answers can be searched again than there are, and none where all are exact."""
        super().check()
        for name in ("neighbours", "resolve"):
            if self.search == "exact" and getattr(self, name) != getattr(Config, name):
                raise UsageError(
                    f"agent.{name} {getattr(self, name)} is of the table: it needs "
                    "agent.search = 'table' or 'auto', not 'exact'"
                )
        if self.resolve > self.batch_size:
            raise UsageError(
                f"agent.resolve {self.resolve} is more than a minibatch has: try {self.batch_size}"
            )
