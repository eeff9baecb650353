"""One cell from its first or last committed step to its end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from rlsuite import metrics
from rlsuite.engine import files, tree
from rlsuite.engine.cells import Cell
from rlsuite.engine.program import Program, context
from rlsuite.engine.store import Rows, Store, unpack_rows
from rlsuite.types import Context, State

# A checkpoint may cost this share of wall time; at least this often it is made.
CHECKPOINT_SHARE = 0.02
CHECKPOINT_LEAST = 1.0
CHECKPOINT_MOST = 60.0
# A chunk ends after about this long even between rows, so that a signal or a kill loses little.
CHUNK_SECONDS = 0.5


class Position(NamedTuple):
    """A run under way, between two chunks."""

    state: State
    running: metrics.Metrics
    iteration: int


@dataclass
class Clock:
    """Seconds by what they were spent on, over all resumes of the cell."""

    train: float = 0.0
    evaluate: float = 0.0
    commit: float = 0.0
    resumes: int = 0


class Stopped(Exception):
    """The worker was asked to stop; the cell is committed."""


def boundaries(iterations: int, count: int, first: bool) -> list[int]:
    """`count` evenly spaced iterations ending with the last; 0 too if `first`."""
    points = (
        {round(iterations * k / count) for k in range(0 if first else 1, count + 1)}
        if count
        else set()
    )
    return sorted(points - (set() if first else {0}))


class Runner:
    """Runs one cell.

    Args:
      cell: what to run.
      program: compiled for the cell's group.
      store: where it is committed.
      report: called after every chunk with (iteration, latest return or None, rate).
      should_stop: asked after every chunk.
    """

    def __init__(
        self,
        cell: Cell,
        program: Program,
        store: Store,
        provenance: dict[str, Any],
        report: Callable[[int, float | None, float], None],
        should_stop: Callable[[], bool],
        commit_first: bool = False,
    ) -> None:
        self.cell, self.program, self.store = cell, program, store
        self.provenance, self.report, self.should_stop = provenance, report, should_stop
        self.commit_first = commit_first
        config = cell.load_config()
        self.ctx: Context = context(program.agent, config, cell.iterations)
        self.steps_per = cell.total_steps // cell.iterations
        self.logs = boundaries(cell.iterations, cell.cadence.logs, first=False)
        self.evals = boundaries(cell.iterations, cell.cadence.evaluations, first=True)
        self.rows: Rows = {}
        self.clock = Clock()
        self.latest: float | None = None
        self._committed = time.perf_counter()
        self._commit_cost = 0.0
        self._rate = 0.0

    def run(self) -> str:
        """Run to the end and commit the result.

        Returns:
          'done', or 'nan' where a metric stopped being a number: the run ends there, its rows kept.

        Raises:
          Stopped: `should_stop` said so; everything is committed.
        """
        at = self._resume() or self._begin()
        status = "done"
        while at.iteration < self.cell.iterations:
            at = self._advance(at)
            at, finite = self._boundary(at)
            self.report(at.iteration * self.steps_per, self.latest, self._rate * self.steps_per)
            if not finite:
                status = "nan"
                break
            if self.should_stop():
                self._commit(at)
                raise Stopped
            self._commit_if_due(at)
        self._finish(at, status)
        return status

    # --- starting -------------------------------------------------------------------------------

    def _begin(self) -> Position:
        state, running = self.program.init(self.cell.seed, self.ctx)
        at = Position(state, running, 0)
        self._evaluate_if_due(at)
        if self.commit_first:
            self._commit(at)
        return at

    def _resume(self) -> Position | None:
        path = self.store.path(self.cell.id, "checkpoint")
        if not path.exists():
            return None
        arrays, meta = files.read_arrays(path)
        template = self.program.shapes(self.cell.seed, self.ctx)
        state = tree.from_arrays(template[0], arrays, "state", str(path))
        running = tree.from_arrays(template[1], arrays, "metrics", str(path))
        self.rows = unpack_rows(arrays)
        self.clock = Clock(**meta["clock"])
        self.clock.resumes += 1
        self.latest = meta["latest"]
        return Position(state, running, meta["iteration"])

    # --- going on -------------------------------------------------------------------------------

    def _advance(self, at: Position) -> Position:
        until = next(b for b in self.logs if b > at.iteration)
        until = min([until, *(b for b in self.evals if b > at.iteration)])
        count = until - at.iteration
        if self._rate:
            count = min(count, max(1, int(self._rate * CHUNK_SECONDS)))
        compiled = self.program.compile_seconds
        start = time.perf_counter()
        state, running = self.program.chunk(at.state, at.running, self.ctx, count)
        jax.block_until_ready(running)
        spent = time.perf_counter() - start - (self.program.compile_seconds - compiled)
        self.clock.train += spent
        self._rate = count / max(spent, 1e-9)
        return Position(state, running, at.iteration + count)

    def _boundary(self, at: Position) -> tuple[Position, bool]:
        finite = True
        if at.iteration in self.logs:
            values = metrics.to_host(at.running)
            finite = all(math.isfinite(v) for v in values.values())
            self._add_rows(at.iteration, values)
            self.latest = values.get("train/return", self.latest)
            at = at._replace(running=metrics.empty(at.running))
        self._evaluate_if_due(at)
        return at, finite

    def _evaluate_if_due(self, at: Position) -> None:
        if at.iteration not in self.evals:
            return
        compiled = self.program.compile_seconds
        start = time.perf_counter()
        out = self.program.evaluate(at.state, self.cell.seed, at.iteration, self.ctx)
        host = jax.device_get(out)
        spent = time.perf_counter() - start - (self.program.compile_seconds - compiled)
        self.clock.evaluate += spent
        values = {
            "eval/return": float(host.returns.mean()),
            "eval/return_std": float(host.returns.std()),
            "eval/length": float(host.lengths.mean()),
        }
        if not host.finished.all():
            values["eval/unfinished"] = float((~host.finished).mean())
        self.latest = values["eval/return"]
        self._add_rows(at.iteration, values)

    def _add_rows(self, iteration: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            row = (iteration * self.steps_per, self.clock.train, value)
            self.rows.setdefault(name, []).append(row)

    # --- committing -----------------------------------------------------------------------------

    def _commit_if_due(self, at: Position) -> None:
        due = min(CHECKPOINT_MOST, max(CHECKPOINT_LEAST, self._commit_cost / CHECKPOINT_SHARE))
        if time.perf_counter() - self._committed >= due:
            self._commit(at)

    def _commit(self, at: Position) -> None:
        if not self.program.agent.env.resumable:
            return
        start = time.perf_counter()
        arrays = tree.to_arrays(at.state, "state") | tree.to_arrays(at.running, "metrics")
        meta = {
            "iteration": at.iteration,
            "clock": vars(self.clock),
            "latest": self.latest,
            "cell": self.cell.to_mapping(),
            "provenance": self.provenance,
        }
        self.store.commit(self.cell.id, arrays, self.rows, meta)
        self._committed = time.perf_counter()
        self._commit_cost = self._committed - start
        self.clock.commit += self._commit_cost

    def _finish(self, at: Position, status: str) -> None:
        arrays = tree.to_arrays(self.program.agent.policy(at.state), "policy")
        meta = {
            "status": status,
            "iteration": at.iteration,
            "clock": vars(self.clock),
            "cell": self.cell.to_mapping(),
            "compile_seconds": self.program.compile_seconds,
            "traces": dict(self.program.traces),
            "provenance": self.provenance,
        }
        self.store.finish(self.cell.id, arrays, self.rows, meta)
