"""A worker: one process that claims cells, runs them and commits, until nothing is left.

Started by `rlsuite.engine.launch` with the environment that makes jax single-threaded and safe
(`rlsuite.engine.environment`). It starts importing while the parent still plans, then reads one
line, the run folder, from standard input. Events go to standard output, one JSON object a line.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlsuite.engine import files
from rlsuite.engine.datasets import Datasets, Unfit
from rlsuite.errors import UsageError

EVENT_SECONDS = 0.5


class Worker:
    """Claims and runs the cells of one folder."""

    def __init__(self, folder: Path, slot: int, slots: int, width: int) -> None:
        from rlsuite.engine import provenance
        from rlsuite.engine.claims import Claims
        from rlsuite.engine.store import Store

        self.store = Store(folder)
        self.claims = Claims(folder)
        self.slot, self.slots, self.width = slot, slots, width
        self.provenance = provenance.collect()
        self.programs: dict[str, Any] = {}
        self.datasets = Datasets()
        self.stopping = False
        self.parent = os.getppid()
        self.ran = 0
        self._last_event: dict[str, float] = {}
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _on_signal(self, *_: Any) -> None:
        self.stopping = True
        if self.datasets.preparing:
            # No run is under way that could be lost; a table of neighbours can take minutes.
            from rlsuite.engine.runner import Stopped

            raise Stopped

    def should_stop(self) -> bool:
        """Asked to, or orphaned: a parent that was killed cannot ask."""
        return self.stopping or os.getppid() != self.parent

    def work(self) -> None:
        """Until every cell is finished or failed, or the worker is asked to stop."""
        while not self.should_stop():
            left = self._left()
            if not left:
                break
            # Those that are left are other workers'; one of them may die.
            if not self._one_pass(left):
                time.sleep(0.5)
        emit("stopped" if self.should_stop() else "idle", slot=self.slot)

    def _left(self) -> list[Any]:
        done = {path.name.partition(".")[0] for path in self.store.cells_folder.glob("*.done")}
        done |= {path.name.partition(".")[0] for path in self.store.cells_folder.glob("*.failed")}
        return [cell for cell in self.store.cells() if cell.id not in done]

    def _ordered(self, cells: list[Any]) -> Iterator[Any]:
        """Cells under way first; then group by group, each worker starting at another group."""
        started = [c for c in cells if self.store.path(c.id, "checkpoint").exists()]
        resumed = {cell.id for cell in started}
        groups: dict[str, list[Any]] = {}
        for cell in cells:
            if cell.id not in resumed:
                groups.setdefault(cell.group, []).append(cell)
        names = list(groups)
        start = self.slot * len(names) // max(self.slots, 1)
        rotated = names[start:] + names[:start]
        yield from started
        for name in rotated:
            yield from groups[name]

    def _one_pass(self, cells: list[Any]) -> bool:
        ran = False
        batch: list[Any] = []
        for cell in [*self._ordered(cells), None]:
            if self.should_stop():
                break
            if batch and (cell is None or len(batch) == self.width or not self._fits(batch, cell)):
                ran = self._run_claimed(batch) or ran
                batch = []
            if cell is not None and self._claim(cell):
                batch.append(cell)
        for cell in batch:
            self.claims.release(cell.id)
        return ran

    def _claim(self, cell: Any) -> bool:
        if self._ended(cell) or not self.claims.take(cell.id):
            return False
        if self._ended(cell):
            # It was finished between the look and the claim.
            self.claims.release(cell.id)
            return False
        return True

    def _ended(self, cell: Any) -> bool:
        return self.store.is_done(cell.id) or self.store.path(cell.id, "failed").exists()

    def _fits(self, batch: list[Any], cell: Any) -> bool:
        """Whether a cell can run beside those of a batch."""
        return self._companions(cell) == self._companions(batch[0])

    def _companions(self, cell: Any) -> tuple[Any, ...]:
        path = self.store.path(cell.id, "checkpoint")
        iteration = files.read_meta(path)["iteration"] if self.width > 1 and path.exists() else 0
        return cell.group, cell.iterations, cell.cadence, iteration

    def _run_claimed(self, batch: list[Any]) -> bool:
        try:
            return self._run(batch)
        finally:
            for cell in batch:
                self.claims.release(cell.id)

    def _run(self, batch: list[Any]) -> bool:
        from rlsuite.engine.runner import Runner, Stopped

        for cell in batch:
            emit("start", cell=cell.id, slot=self.slot)
        origin = self.provenance | describe(batch[0])
        try:
            self.datasets.check(batch[0])
            program = self._program(batch[0])
            runner = Runner(
                batch, program, self.store, origin, self._report, self.should_stop,
                commit_first=self.ran == 0, data=self.datasets.of(batch[0], program.agent),
            )  # fmt: skip
        except Stopped:
            return True
        except Unfit as error:
            self._leave_out(batch, str(error))
            return True
        except UsageError as error:
            # What does not fit or cannot be built will not fit for the next seed either.
            emit("refused", cell=batch[0].id, error=str(error))
            self.stopping = True
            return True
        try:
            runner.run()
        except Stopped:
            return True
        except Exception as error:
            for _, track in runner.running:
                self.store.fail(track.cell.id, traceback.format_exc())
                line = f"{type(error).__name__}: {error}".splitlines()[0]
                emit("failed", cell=track.cell.id, error=line)
            return True
        self.ran += 1
        return True

    def _leave_out(self, batch: list[Any], error: str) -> None:
        for cell in batch:
            self.store.fail(cell.id, error)
            emit("failed", cell=cell.id, error=error, dataset=cell.data.name)

    def _report(self, track: Any, steps: int, rate: float) -> None:
        if track.status != "running":
            seconds, ret = track.clock.train, track.latest
            emit(track.status, cell=track.cell.id, steps=steps, ret=ret, seconds=seconds)
            return
        now, cell = time.perf_counter(), track.cell.id
        if now - self._last_event.get(cell, 0.0) >= EVENT_SECONDS:
            self._last_event[cell] = now
            emit("progress", cell=cell, slot=self.slot, steps=steps, ret=track.latest, rate=rate)

    def _program(self, cell: Any) -> Any:
        from rlsuite.engine.memory import check_memory
        from rlsuite.engine.program import Program

        if cell.group not in self.programs:
            # One program at a time: a grid of many shapes must not keep them all in memory.
            self.programs.clear()
            program = Program.for_cell(cell, self.width)
            data = self.datasets.of(cell, program.agent)
            emit("estimate", bytes=check_memory(program, cell, self.slots, data))
            self.programs[cell.group] = program
        return self.programs[cell.group]


def describe(cell: Any) -> dict[str, Any]:
    """What stands beside a cell's result besides versions and device."""
    out = {"reset": cell.config.get("reset")}
    if cell.data is not None:
        # The family is what keeps scores of D4RL, of Minari and of own data apart.
        ref = cell.data
        out |= {"dataset": ref.name, "dataset_family": ref.family, "dataset_hash": ref.hash}
        out |= {"score_reference": None if ref.score is None else list(ref.score)}
    if cell.budget_unit != "env_steps":
        out["budget_unit"] = cell.budget_unit
    return out


def emit(kind: str, **values: Any) -> None:
    """One event for the parent."""
    try:
        sys.stdout.write(json.dumps({"event": kind, **values}) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The parent is gone; `should_stop` notices, the cell is committed first.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def main(argv: list[str]) -> int:
    """`python -m rlsuite.engine.worker SLOT SLOTS WIDTH [MODULE ...]`, the folder on stdin."""
    slot, slots, width, *modules = argv
    for module in ("rlsuite.engine.runner", "rlsuite.engine.memory", *modules):
        importlib.import_module(module)
    folder = sys.stdin.readline().strip()
    if not folder:
        return 0
    worker = Worker(Path(folder), int(slot), int(slots), int(width))
    worker.work()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
