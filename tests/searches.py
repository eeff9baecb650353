"""Two small searches over runs: at random, and by an evolution strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlsuite.engine.launch.search import Finished
from rlsuite.engine.plan.spec import Request


@dataclass(frozen=True)
class RandomSearch:
    """Step sizes drawn at random; the one with the smallest last error wins."""

    rounds: int = 3
    each: int = 4
    seed: int = 0

    def start(self) -> dict[str, Any]:
        """Nothing tried yet."""
        return {"tried": [], "best": None}

    def ask(self, state: dict[str, Any], /) -> Sequence[Request]:
        """The rates of the next round: of its own stream, so that asking again asks the same."""
        done = len(state["tried"]) // self.each
        if done == self.rounds:
            return []
        rates = 10 ** np.random.default_rng([self.seed, done]).uniform(-3, 0, self.each)
        return [
            Request("toy-rule", ["CartPole-v1"], [0], settings={"learning_rate": float(rate)},
                    total_steps=80)
            for rate in rates
        ]  # fmt: skip

    def tell(self, state: dict[str, Any], results: Sequence[Sequence[Finished]], /) -> Any:
        """All that was tried, and the best of it."""
        new = [[run.cell.config["learning_rate"], -run.last("loss/rule")] for [run] in results]
        tried = [*state["tried"], *new]
        return {"tried": tried, "best": max(tried, key=lambda pair: pair[1])}


@dataclass(frozen=True)
class Evolution:
    """Antithetic evolution strategies on one number, whose score is minus its distance to 0."""

    rounds: int = 4
    pairs: int = 2
    sigma: float = 0.5
    rate: float = 0.7

    def start(self) -> dict[str, Any]:
        """Away from the best."""
        return {"round": 0, "mean": 3.0, "scores": []}

    def noise(self, state: dict[str, Any]) -> np.ndarray:
        """Of this round, mirrored."""
        half = np.random.default_rng(state["round"]).normal(size=self.pairs)
        return np.concatenate([half, -half])

    def ask(self, state: dict[str, Any], /) -> Sequence[Request]:
        """The perturbed numbers."""
        if state["round"] == self.rounds:
            return []
        targets = state["mean"] + self.sigma * self.noise(state)
        return [
            Request("toy-rule", ["CartPole-v1"], [0], settings={"target": float(target)},
                    total_steps=80)
            for target in targets
        ]  # fmt: skip

    def tell(self, state: dict[str, Any], results: Sequence[Sequence[Finished]], /) -> Any:
        """A step along the estimated gradient."""
        scores = np.array([-abs(run.cell.config["target"]) for [run] in results])
        assert all(run.status == "done" for [run] in results)
        gradient = np.mean(scores * self.noise(state)) / self.sigma
        mean = state["mean"] + self.rate * float(gradient)
        told = [*state["scores"], float(scores.mean())]
        return {"round": state["round"] + 1, "mean": mean, "scores": told}
