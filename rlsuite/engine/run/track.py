"""What a runner keeps of each of its cells besides the state: rows, clock, how it ended."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlsuite.acting.evaluate import Evaluation, summary
from rlsuite.contracts.refs import normalized_score
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.store.store import Rows


@dataclass
class Clock:
    """Seconds by what they were spent on, over all resumes of the cell."""

    train: float = 0.0
    evaluate: float = 0.0
    commit: float = 0.0
    resumes: int = 0


@dataclass
class Track:
    """One cell of a runner."""

    cell: Cell
    rows: Rows = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    latest: float | None = None
    status: str = "running"
    # Hashes of what the run is given, by role; the iteration at which it was over early.
    contents: dict[str, str] = field(default_factory=dict)
    ended: int | None = None

    def add(self, iteration: int, values: dict[str, float]) -> None:
        """Rows of one moment."""
        step = self.cell.step_at(iteration)
        for name, value in values.items():
            self.rows.setdefault(name, []).append((step, self.clock.train, value))

    def log(self, iteration: int, values: dict[str, float]) -> None:
        """Training metrics; one that is no number ends the cell, its rows kept."""
        self.latest = values.get("train/return", self.latest)
        self._judged(iteration, values)

    def _judged(self, iteration: int, values: dict[str, float]) -> None:
        self.add(iteration, values)
        if not all(math.isfinite(value) for value in values.values()):
            self.status = "nan"

    def evaluated(self, iteration: int, out: Evaluation) -> None:
        """An evaluation, on the host; a return that is no number ends the cell, its rows kept."""
        values = summary(out)
        if self.cell.data is not None and self.cell.data.score is not None:
            score = normalized_score(values["eval/return"], self.cell.data.score)
            values["eval/score"] = score
        self.latest = values["eval/return"]
        self._judged(iteration, values)

    def meta(self, iteration: int, provenance: dict[str, Any]) -> dict[str, Any]:
        """What stands beside the arrays in the cell's file."""
        return {
            "status": self.status,
            "iteration": iteration,
            "clock": dataclasses.asdict(self.clock),
            "latest": self.latest,
            "cell": self.cell.to_mapping(),
            "provenance": provenance,
            **({"inputs": self.contents} if self.contents else {}),
        }

    def resume(self, rows: Rows, meta: dict[str, Any]) -> None:
        """Take up what a checkpoint left."""
        self.rows, self.latest = rows, meta["latest"]
        self.clock = Clock(**meta["clock"])
        self.clock.resumes += 1


def completed(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint; to those of older versions, whose Last, Min and Max metrics
    said by NaN and infinity that they had no value, with what says it now."""
    added = {}
    for name, value in arrays.items():
        flag = name.removesuffix(".value") + ".given"
        if name.startswith("metrics[") and name.endswith(".value") and flag not in arrays:
            added[flag] = np.asarray(np.isfinite(value))
    return arrays | added
