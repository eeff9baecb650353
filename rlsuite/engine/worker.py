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

from rlsuite.errors import UsageError

EVENT_SECONDS = 0.5


class Worker:
    """Claims and runs the cells of one folder."""

    def __init__(self, folder: Path, slot: int, slots: int) -> None:
        from rlsuite.engine import provenance
        from rlsuite.engine.claims import Claims
        from rlsuite.engine.store import Store

        self.store = Store(folder)
        self.claims = Claims(folder)
        self.slot, self.slots = slot, slots
        self.provenance = provenance.collect()
        self.programs: dict[str, Any] = {}
        self.stopping = False
        self.parent = os.getppid()
        self.ran = 0
        self._last_event = 0.0
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _on_signal(self, *_: Any) -> None:
        self.stopping = True

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
        groups: dict[str, list[Any]] = {}
        for cell in cells:
            groups.setdefault(cell.group, []).append(cell)
        names = list(groups)
        start = self.slot * len(names) // max(self.slots, 1)
        rotated = names[start:] + names[:start]
        started = [c for c in cells if self.store.path(c.id, "checkpoint").exists()]
        yield from started
        for name in rotated:
            yield from groups[name]

    def _one_pass(self, cells: list[Any]) -> bool:
        ran = False
        for cell in self._ordered(cells):
            if self.should_stop():
                return True
            if self.store.is_done(cell.id) or self.store.path(cell.id, "failed").exists():
                continue
            if not self.claims.take(cell.id):
                continue
            try:
                # It may have been finished between the look and the claim.
                if not self.store.is_done(cell.id):
                    ran = True
                    self._run(cell)
            finally:
                self.claims.release(cell.id)
        return ran

    def _run(self, cell: Any) -> None:
        from rlsuite.engine.runner import Runner, Stopped

        emit("start", cell=cell.id, slot=self.slot)
        try:
            program = self._program(cell)
        except UsageError as error:
            # What does not fit or cannot be built will not fit for the next seed either.
            emit("refused", cell=cell.id, error=str(error))
            self.stopping = True
            return
        try:
            runner = Runner(
                cell, program, self.store, self.provenance | {"reset": cell.config.get("reset")},
                lambda steps, ret, rate: self._progress(cell.id, steps, ret, rate),
                self.should_stop, commit_first=self.ran == 0,
            )  # fmt: skip
            status = runner.run()
        except Stopped:
            return
        except Exception as error:
            self.store.fail(cell.id, traceback.format_exc())
            emit("failed", cell=cell.id, error=f"{type(error).__name__}: {error}".splitlines()[0])
            return
        self.ran += 1
        emit(
            status, cell=cell.id, steps=runner.cell.total_steps, ret=runner.latest,
            seconds=runner.clock.train, memory=program.memory,
        )  # fmt: skip

    def _program(self, cell: Any) -> Any:
        from rlsuite.engine.memory import check_memory
        from rlsuite.engine.program import Program

        if cell.group not in self.programs:
            # One program at a time: a grid of many shapes must not keep them all in memory.
            self.programs.clear()
            program = Program.for_cell(cell)
            emit("estimate", bytes=check_memory(program, cell, self.slots))
            self.programs[cell.group] = program
        return self.programs[cell.group]

    def _progress(self, cell_id: str, steps: int, ret: float | None, rate: float) -> None:
        now = time.perf_counter()
        if now - self._last_event >= EVENT_SECONDS:
            self._last_event = now
            emit("progress", cell=cell_id, slot=self.slot, steps=steps, ret=ret, rate=rate)


def emit(kind: str, **values: Any) -> None:
    """One event for the parent."""
    try:
        sys.stdout.write(json.dumps({"event": kind, **values}) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The parent is gone; `should_stop` notices, the cell is committed first.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def main(argv: list[str]) -> int:
    """`python -m rlsuite.engine.worker SLOT SLOTS [MODULE ...]`, the folder on standard input."""
    slot, slots, *modules = argv
    for module in ("rlsuite.engine.runner", "rlsuite.engine.memory", *modules):
        importlib.import_module(module)
    folder = sys.stdin.readline().strip()
    if not folder:
        return 0
    worker = Worker(Path(folder), int(slot), int(slots))
    worker.work()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
