"""Cells from their first or last committed step to their end: one, or as many as the width.

Cells that run together belong to one group, have the same budget and cadence and are at the same
iteration. Each is committed to a file of its own, so a kill never ties them together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rlsuite.contracts import metrics
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import State
from rlsuite.engine.plan import artefacts
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.run import tree
from rlsuite.engine.run.inputs import Given
from rlsuite.engine.run.program import Program, Progress, context
from rlsuite.engine.run.track import Track, completed
from rlsuite.engine.store.store import Store, unpack_rows
from rlsuite.io import files

# A checkpoint may cost this share of wall time; at least this often it is made. One of a gigabyte
# of replay takes some 6 s, so that the bound binds only beyond that.
CHECKPOINT_SHARE = 0.02
CHECKPOINT_LEAST = 1.0
CHECKPOINT_MOST = 300.0
# A chunk ends after about this long even between rows, so that a signal or a kill loses little.
CHUNK_SECONDS = 0.5


class Position(NamedTuple):
    """Runs under way, between two chunks."""

    state: State
    running: metrics.Metrics
    iteration: int


class Stopped(Exception):
    """The worker was asked to stop; every cell is committed."""


class Damaged(UsageError):
    """A cell cannot go on from its checkpoint; those that run beside it can."""

    def __init__(self, cell_id: str, message: str) -> None:
        super().__init__(message)
        self.cell_id = cell_id


NOTHING = Given()
Report = Callable[[Track, int, float], None]


def boundaries(iterations: int, count: int, first: bool, begins: int = 0) -> list[int]:
    """`count` evenly spaced iterations from where a run begins, the last its last; where it begins
    too if `first`."""
    if not count:
        return []
    points = {begins + round((iterations - begins) * k / count) for k in range(count + 1)}
    return sorted(points if first else points - {begins})


class Runner:
    """Runs cells.

    Args:
      cells: at most as many as the program is wide.
      program: compiled for their group.
      store: where they are committed.
      provenance: recorded with them.
      report: called for each cell after every chunk with (track, steps, steps/s), and at its end.
      should_stop: asked after every chunk.
      commit_first: commit before the first chunk too.
      given: what the cells are given: to each its own, or once for all of them.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        program: Program,
        store: Store,
        provenance: dict[str, Any],
        report: Report,
        should_stop: Callable[[], bool],
        commit_first: bool = False,
        given: Given | Sequence[Given] = NOTHING,
    ) -> None:
        each = [given] * len(cells) if isinstance(given, Given) else list(given)
        self.tracks = [Track(c, contents=g.contents) for c, g in zip(cells, each, strict=True)]
        self.program, self.store = program, store
        self.provenance = provenance | {"width": program.width}
        self.report, self.should_stop = report, should_stop
        self.commit_first = commit_first
        cell = cells[0]
        self.start, self.starts = cell.start, [g.start for g in each]
        self.begins, self.iterations = cell.begins, cell.iterations
        self.steps_per = cell.steps_per_iteration
        self.contexts = [
            context(program.agent, c.load_config(), c.iterations, g.data, g.inputs, c.env_params)
            for c, g in zip(cells, each, strict=True)
        ]
        self.ctx = program.stack(self.contexts)
        logs, evaluations = cell.cadence.logs, cell.cadence.evaluations
        self.logs = boundaries(cell.iterations, logs, first=False, begins=cell.begins)
        self.evals = boundaries(cell.iterations, evaluations, first=True, begins=cell.begins)
        self._committed = time.perf_counter()
        self._commit_cost = 0.0
        self._rate = 0.0

    @property
    def running(self) -> list[tuple[int, Track]]:
        """The rows and tracks that have not ended."""
        return [(i, t) for i, t in enumerate(self.tracks) if t.status == "running"]

    def run(self) -> None:
        """Run all cells to their end and commit the results.

        Raises:
          Stopped: `should_stop` said so; everything is committed.
        """
        at = self._resume() or self._begin()
        while self.running and at.iteration < self.iterations:
            at = self._boundary(self._advance(at))
            for _, track in self.running:
                rate = self._rate * self.steps_per
                self.report(track, track.cell.step_at(at.iteration), rate)
            if at.iteration < self.iterations and self.should_stop():
                self._commit(at)
                raise Stopped
            self._commit_if_due(at)
        ended = self.running
        for _, track in ended:
            track.status = "done"
        self._finish(at, ended)

    # --- starting -------------------------------------------------------------------------------

    def _begin(self) -> Position:
        at = Position(*self._first(), self.begins)
        self._evaluate_if_due(at)
        self._end_nan(at)
        if self.commit_first:
            self._commit(at)
        return at

    def _first(self) -> tuple[State, metrics.Metrics]:
        """The state before the first iteration, and empty metrics."""
        if self.start is None or not self.start.whole:
            roots = self.program.roots([track.cell.seed for track in self.tracks])
            return self.program.init(roots, self.ctx, self.starts[0])
        none = metrics.empty(self.program.shapes(self.contexts[0])[1])
        # Copies: what advances a state consumes it, and this one may be asked for again.
        states = [jax.tree.map(jnp.copy, state) for state in self.starts]
        return self.program.stack(states), self.program.stack([none] * len(states))

    def _resume(self) -> Position | None:
        """Where the checkpoints are; None: from the beginning.

        A cell that was committed before its first chunk (a kill while that compiles) runs with
        others that never began, at any width: its beginning is made again from its seed.
        """
        paths = [self.store.path(track.cell.id, "checkpoint") for track in self.tracks]
        metas = [self._meta(t, p) for t, p in zip(self.tracks, paths, strict=True) if p.exists()]
        new = {self.begins} if len(metas) < len(paths) else set()
        at = {meta["iteration"] for meta in metas} | new
        if len(at) > 1:
            raise ValueError(f"cells that run together are at different iterations: {sorted(at)}")
        same = all(meta["provenance"].get("width", 1) == self.program.width for meta in metas)
        if at == {self.begins} and not (same and len(metas) == len(paths)):
            return None
        template = self.program.shapes(self.contexts[0])
        states, unfinished = [], []
        for track, path in zip(self.tracks, paths, strict=True):
            state, running = self._restored(track, path, template)
            states.append(state)
            unfinished.append(running)
        stack = self.program.stack
        return Position(stack(states), stack(unfinished), at.pop())

    def _meta(self, track: Track, path: Path) -> dict[str, Any]:
        try:
            return files.read_meta(path)
        except UsageError as error:
            raise Damaged(track.cell.id, str(error)) from None

    def _restored(self, track: Track, path: Path, template: Any) -> tuple[Any, Any]:
        """One cell's state and unfinished metrics."""
        try:
            arrays, meta = files.read_arrays(path)
            check_width(meta, self.program.width, str(path))
            check_contents(meta, track, str(path))
            state = tree.from_arrays(template[0], arrays, "state", str(path))
            unfinished = tree.from_arrays(template[1], completed(arrays), "metrics", str(path))
        except UsageError as error:
            raise Damaged(track.cell.id, str(error)) from None
        track.resume(unpack_rows(arrays), meta)
        return state, unfinished

    # --- going on -------------------------------------------------------------------------------

    def _advance(self, at: Position) -> Position:
        until = min(b for b in self.logs + self.evals if b > at.iteration)
        count = until - at.iteration
        # The first is one iteration: nobody knows yet how long that takes, and the parent listens.
        count = min(count, max(1, int(self._rate * CHUNK_SECONDS)))
        (state, running, came), spent = self._timed(
            lambda: self.program.chunk(at.state, at.running, self.ctx, count)
        )
        for _, track in self.running:
            track.clock.train += spent
        self._rate = count / max(spent, 1e-9)
        if came is not None:
            self._note_finished(at.iteration, jax.device_get(came))
        return Position(state, running, at.iteration + count)

    def _note_finished(self, iteration: int, came: Progress) -> None:
        """Which runs are over before their budget is spent, and when they were."""
        taken, finished = np.atleast_1d(came.taken), np.atleast_1d(came.finished)
        for i, track in self.running:
            if finished[i]:
                track.ended = iteration + int(taken[i])

    def _timed(self, function: Callable[[], Any]) -> tuple[Any, float]:
        """Results and seconds, without those of a compilation."""
        compiled = self.program.compile_seconds
        start = time.perf_counter()
        out = function()
        jax.block_until_ready(out[1:])
        spent = time.perf_counter() - start
        return out, spent - (self.program.compile_seconds - compiled)

    def _boundary(self, at: Position) -> Position:
        if over := [(i, t) for i, t in self.running if t.ended is not None]:
            self._end_early(at, over)
        if at.iteration in self.logs:
            rows = self.program.measured(at.running)
            for i, track in self.running:
                track.log(at.iteration, rows[i])
            at = at._replace(running=metrics.empty(at.running))
        self._evaluate_if_due(at)
        self._end_nan(at)
        return at

    def _end_nan(self, at: Position) -> None:
        """Runs that turned to NaN are finished: their rows are kept, they are never averaged."""
        nan = [(i, t) for i, t in enumerate(self.tracks) if t.status == "nan"]
        self._finish(at, [(i, t) for i, t in nan if not self.store.is_done(t.cell.id)])

    def _end_early(self, at: Position, over: Sequence[tuple[int, Track]]) -> None:
        """Runs that have finished before their budget was spent: their last row and evaluation are
        of the iteration at which they did."""
        rows = self.program.measured(at.running)
        for i, track in over:
            # One that was over before its first iteration ends at 0.
            iteration = at.iteration if track.ended is None else track.ended
            track.log(iteration, rows[i])
            if self.evals and track.status == "running":
                self._evaluate(at._replace(iteration=iteration), [(i, track)])
            if track.status == "running":
                track.status = "done"
            self._finish(at._replace(iteration=iteration), [(i, track)])

    def _evaluate_if_due(self, at: Position) -> None:
        if at.iteration in self.evals:
            self._evaluate(at, self.running)

    def _evaluate(self, at: Position, tracks: Sequence[tuple[int, Track]]) -> None:
        seeds = [track.cell.seed for track in self.tracks]
        chosen = self.program.evaluation_keys(seeds, at.iteration)
        (_, out), spent = self._timed(
            lambda: (None, self.program.evaluate(at.state, chosen, self.ctx))
        )
        host = jax.device_get(out)
        for i, track in tracks:
            track.clock.evaluate += spent
            track.evaluated(at.iteration, self.program.row(host, i))

    # --- committing -----------------------------------------------------------------------------

    def _commit_if_due(self, at: Position) -> None:
        due = min(CHECKPOINT_MOST, max(CHECKPOINT_LEAST, self._commit_cost / CHECKPOINT_SHARE))
        if time.perf_counter() - self._committed >= due:
            self._commit(at)

    def _commit(self, at: Position) -> None:
        if not self.program.agent.env.resumable:
            return
        start = time.perf_counter()
        width = self.program.width
        states = tree.rows_to_arrays(at.state, "state", width)
        unfinished = tree.rows_to_arrays(at.running, "metrics", width)
        for track, state, rest in zip(self.tracks, states, unfinished, strict=False):
            if track.status == "running":
                meta = track.meta(at.iteration, self.provenance)
                self.store.commit(track.cell.id, state | rest, track.rows, meta)
        self._committed = time.perf_counter()
        self._commit_cost = self._committed - start
        for _, track in self.running:
            track.clock.commit += self._commit_cost

    def _finish(self, at: Position, ended: Sequence[tuple[int, Track]]) -> None:
        if not ended:
            return
        tracks = dict(ended)
        policies = tree.rows_to_arrays(self.program.policy(at.state), "policy", self.program.width)
        for i, policy in enumerate(policies):
            if (track := tracks.get(i)) is None:
                continue
            meta = track.meta(at.iteration, self.provenance) | {
                "compile_seconds": self.program.compile_seconds,
                "traces": dict(self.program.traces),
            }
            self.store.finish(track.cell.id, policy, track.rows, meta)
            if track.cell.makes:
                artefacts.publish(self.store.path(track.cell.id, "done"), track.cell)
            self.report(track, track.cell.step_at(at.iteration), 0.0)


def check_contents(meta: dict[str, Any], track: Track, path: str) -> None:
    """Refuse to go on with another input than a run began with.

    Raises:
      UsageError: naming the role.
    """
    was = meta.get("inputs", {})
    for role, now in track.contents.items():
        if was.get(role, now) != now:
            raise UsageError(
                f"{path} began with another {role} (content {was[role]}, now {now}): restore that, "
                "or delete the checkpoint to run that cell anew"
            )


def check_width(meta: dict[str, Any], width: int, path: str) -> None:
    """Refuse to go on at another width: equal bits are promised for equal width.

    Raises:
      UsageError: naming the width the checkpoint was made at.
    """
    was = meta["provenance"].get("width", 1)
    if was != width:
        raise UsageError(f"{path} was made at --vmap {was}: give that, not {width}")
