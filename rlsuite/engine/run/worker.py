"""A worker: one process that claims cells, runs them and commits, until nothing is left.

Started by `rlsuite.engine.launch.session` with the environment that makes jax single-threaded and
safe (`rlsuite.engine.launch.process_env`). It starts importing while the parent still plans, then
reads one line, the run folder, from standard input. Events are one JSON object a line, on a pipe
that the parent opens for them; without one, where somebody starts a worker by hand, on standard
output.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan.cells import Cadence
from rlsuite.engine.run.inputs import Inputs, Unfit
from rlsuite.io import files
from rlsuite.io.machine import EVENTS, LOGS

EVENT_SECONDS = 0.5
POLL_SECONDS = 0.5
WAITING_SECONDS = 5.0


class Place(NamedTuple):
    """Where a cell stands: those at the same place can run together."""

    group: str
    iterations: int
    cadence: Cadence
    iteration: int
    width: int
    # Of what those that run together share, which.
    shared: tuple[str, ...] = ()


class Worker:
    """Claims and runs the cells of one folder."""

    def __init__(self, folder: Path, slot: int, slots: int, width: int) -> None:
        from rlsuite.engine.store import provenance
        from rlsuite.engine.store.claims import Claims
        from rlsuite.engine.store.store import Store

        self.store = Store(folder)
        self.claims = Claims(folder)
        self.slot, self.slots, self.width = slot, slots, width
        self.provenance = provenance.collect()
        self.programs: dict[tuple[str, int], Any] = {}
        # Bytes that the program at hand was thought to take; 0 before it was asked.
        self.estimate = 0
        self.inputs = Inputs(self._made_by)
        self.stopping = False
        self.parent = os.getppid()
        self.ran = 0
        self._last_event: dict[str, float] = {}
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _on_signal(self, *_: Any) -> None:
        self.stopping = True
        if self.inputs.preparing:
            # No run is under way that could be lost; a table of neighbours can take minutes.
            from rlsuite.engine.run.runner import Stopped

            raise Stopped

    def should_stop(self) -> bool:
        """Asked to, or orphaned: a parent that was killed cannot ask."""
        return self.stopping or os.getppid() != self.parent

    def work(self) -> None:
        """Until every cell is finished or failed, or the worker is asked to stop."""
        told = time.monotonic()
        while not self.should_stop():
            left = self._left()
            if not left:
                break
            # Those that are left are other workers', or wait for what these make; one may die.
            if not self._one_pass(self._ready(left)):
                time.sleep(POLL_SECONDS)
                if time.monotonic() - told >= WAITING_SECONDS:
                    told = time.monotonic()
                    emit("waiting", slot=self.slot)
        emit("stopped" if self.should_stop() else "idle", slot=self.slot)

    def _left(self) -> list[Any]:
        done = {path.name.partition(".")[0] for path in self.store.cells_folder.glob("*.done")}
        done |= {path.name.partition(".")[0] for path in self.store.cells_folder.glob("*.failed")}
        return [cell for cell in self.store.cells() if cell.id not in done]

    def _made_by(self, cell: Any) -> Path:
        """The file of the run that makes an input, under the id that this folder has it by."""
        return self.store.path(str(self.store.ids().get(cell.digest, cell.digest)), "done")

    def _ready(self, left: list[Any]) -> list[Any]:
        """Cells whose inputs are there. Those whose inputs cannot be made are failed at once."""
        if not any(cell.needs for cell in left):
            return left
        ids, ready = self.store.ids(), []
        for cell in left:
            needs = [(role, made, str(ids.get(made.cell.digest, made.cell.digest)))
                     for role, made in cell.inputs.items() if not made.path]  # fmt: skip
            lost = [need for need in needs if self.store.path(need[2], "failed").exists()]
            if lost and self._claim(cell):
                role, made, maker = lost[0]
                why = f"it failed: {self.store.why_failed(maker)}"
                self._leave_out([cell], Unfit(why, f"with the {role} {made.name}"))
                self.claims.release(cell.id)
            elif not lost and all(self.store.is_done(maker) for *_, maker in needs):
                ready.append(cell)
        return ready

    def _ordered(self, cells: list[Any]) -> Iterator[Any]:
        """Cells under way first; then what others wait for; then group by group, each worker
        starting at another group."""
        started = [c for c in cells if self.store.path(c.id, "checkpoint").exists()]
        resumed = {cell.id for cell in started}
        groups: dict[str, list[Any]] = {}
        for cell in cells:
            if cell.id not in resumed and not cell.makes:
                groups.setdefault(cell.group, []).append(cell)
        names = list(groups)
        start = self.slot * len(names) // max(self.slots, 1)
        rotated = names[start:] + names[:start]
        yield from started
        yield from (cell for cell in cells if cell.makes and cell.id not in resumed)
        for name in rotated:
            yield from groups[name]

    def _one_pass(self, cells: list[Any]) -> bool:
        ran = False
        batch: list[Any] = []
        place: Place | None = None
        for cell in self._ordered(cells):
            if self.should_stop():
                break
            found = self._take(cell)
            if found is not None and batch and found != place:
                # Another worker may have it meanwhile: a cell waits for no batch it is not in.
                self.claims.release(cell.id)
                ran, batch = self._run_claimed(batch, place) or ran, []
                found = None if self.should_stop() else self._take(cell)
            if found is None:
                continue
            place = found
            batch.append(cell)
            if len(batch) == place.width:
                ran, batch = self._run_claimed(batch, place) or ran, []
        if batch and not self.should_stop():
            return self._run_claimed(batch, place) or ran
        for cell in batch:
            self.claims.release(cell.id)
        return ran

    def _take(self, cell: Any) -> Place | None:
        """Claim a cell and see where it stands; None where it is not to be had."""
        if not self._claim(cell):
            return None
        path = self.store.path(cell.id, "checkpoint")
        iteration, width = cell.begins, self.width
        try:
            if path.exists():
                meta = files.read_meta(path)
                # A cell goes on at the width that it began with: only so are its bits the same.
                if (iteration := meta["iteration"]) > cell.begins:
                    width = meta["provenance"].get("width", 1)
        except UsageError as error:
            self._fail([cell], error)
            self.claims.release(cell.id)
            return None
        shared = tuple(made.key for made in cell.inputs.values() if not made.own)
        shared += () if cell.start is None else (cell.start.content,)
        return Place(cell.group, cell.iterations, cell.cadence, iteration, width, shared)

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

    def _run_claimed(self, batch: list[Any], place: Place | None = None) -> bool:
        from rlsuite.engine.run.runner import Damaged

        left, width = list(batch), place.width if place else self.width
        begun = place is not None and place.iteration > batch[0].begins
        try:
            while left:
                try:
                    return self._run(left, width, begun)
                except Damaged as error:
                    # Its companions are at no fault.
                    self._fail([cell for cell in left if cell.id == error.cell_id], error)
                    left = [cell for cell in left if cell.id != error.cell_id]
            return True
        finally:
            for cell in batch:
                self.claims.release(cell.id)

    def _run(self, batch: list[Any], width: int, begun: bool = False) -> bool:
        from rlsuite.engine.run.runner import Damaged, Stopped

        for cell in batch:
            emit("start", cell=cell.id, slot=self.slot)
        runner = self._runner(batch, width, begun)
        if runner is None:
            return True
        try:
            runner.run()
        except Stopped:
            return True
        except Damaged:
            raise
        except Exception as error:
            self._fail([track.cell for _, track in runner.running], error)
            return True
        self.ran += 1
        return True

    def _runner(self, batch: list[Any], width: int, begun: bool) -> Any:
        """What runs the cells that can be run; None where none can, which is said."""
        from rlsuite.engine.run.runner import Runner, Stopped

        origin = self.provenance | describe(batch[0])
        try:
            self.inputs.check(batch[0])
            program = self._program(batch[0], width)
            batch, given = self._given(batch, program.agent, begun)
            if not batch:
                return None
            self._check_memory(program, batch[0], given[0])
            return Runner(
                batch, program, self.store, origin, self._report, self.should_stop,
                commit_first=self.ran == 0, given=given,
            )  # fmt: skip
        except Stopped:
            pass
        except Unfit as error:
            self._leave_out(batch, error)
        except UsageError as error:
            # What does not fit or cannot be built will not fit for the next seed either.
            emit("refused", cell=batch[0].id, error=str(error))
            self.stopping = True
        except Exception as error:
            # An agent's or environment's own fault: others may be built still.
            self._fail(batch, error)
        return None

    def _given(self, batch: list[Any], agent: Any, begun: bool) -> tuple[list[Any], list[Any]]:
        """The cells whose inputs are good, and these; the others are left out."""
        found = []
        for cell in batch:
            try:
                found.append((cell, self.inputs.of(cell, agent, begun)))
            except Unfit as error:
                self._leave_out([cell], error)
        return [cell for cell, _ in found], [given for _, given in found]

    def _fail(self, cells: list[Any], error: Exception) -> None:
        """Mark cells as failed, with one line for the parent and the whole text in a file."""
        whole = "".join(traceback.format_exception(error))
        (self.store.folder / LOGS).mkdir(exist_ok=True)
        for cell in cells:
            text = self.store.folder / LOGS / f"{cell.id}.txt"
            files.write_atomic(text, whole.encode())
            self.store.fail(cell.id, whole)
            inside = own_error(str(error))
            line = inside or (f"{type(error).__name__}: {error}".splitlines() or [""])[0]
            where = {"inside": cell.env} if inside else {}
            emit("failed", cell=cell.id, error=line, text=str(text), **where)

    def _leave_out(self, batch: list[Any], error: Unfit) -> None:
        for cell in batch:
            self.store.fail(cell.id, str(error))
            emit("failed", cell=cell.id, error=str(error), left_out=error.what)

    def _report(self, track: Any, steps: int, rate: float) -> None:
        if track.status != "running":
            seconds, ret = track.clock.train, track.latest
            emit(track.status, cell=track.cell.id, steps=steps, ret=ret, seconds=seconds)
            return
        self._compare_memory()
        now, cell = time.perf_counter(), track.cell.id
        if now - self._last_event.get(cell, 0.0) >= EVENT_SECONDS:
            self._last_event[cell] = now
            emit("progress", cell=cell, slot=self.slot, steps=steps, ret=track.latest, rate=rate)

    def _program(self, cell: Any, width: int) -> Any:
        from rlsuite.engine.run.program import Program

        if (cell.group, width) not in self.programs:
            # One program at a time: a grid of many shapes must not keep them all in memory.
            self.programs.clear()
            self.estimate = 0
            self.programs[cell.group, width] = Program.for_cell(cell, width)
        return self.programs[cell.group, width]

    def _check_memory(self, program: Any, cell: Any, given: Any) -> None:
        """Once for each program, before it is compiled."""
        from rlsuite.engine.run.memory import check_memory

        if not self.estimate:
            self.estimate = check_memory(program, cell, self.slots, given)
            emit("estimate", bytes=self.estimate)

    def _compare_memory(self) -> None:
        """Once for each program: what its compiled form says that it takes."""
        from rlsuite.engine.run.memory import PROCESS_BYTES

        [program] = self.programs.values()
        if program.memory and not program.compared:
            program.compared = True
            if (bytes_ := PROCESS_BYTES + program.memory) > self.estimate:
                emit("estimate", bytes=bytes_)


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


def own_error(text: str) -> str | None:
    """The line of the error that Python code raised where a compiled program called it.

    Args:
      text: what jax says of it: a word of its own, then the traceback.

    Returns:
      Its type and the first line of its message; None where `text` is about something else.
    """
    first, _, rest = text.partition("\n")
    if "callback" not in first.lower() or "Traceback" not in text:
        return None
    # After the last frame the first line that is not indented; a message may have several lines.
    frames = rest.rpartition("  File ")[2].splitlines()
    after = [line for line in frames[1:] if line.strip()] or [rest.strip().rpartition("\n")[2]]
    return next((line for line in after if not line[0].isspace()), after[-1].strip()) or None


class Channel:
    """Where events go: a pipe of their own to the parent, which nothing else is written to."""

    def __init__(self) -> None:
        self.pipe: int | None = None

    def take(self) -> None:
        """The pipe that the parent has left open; no process started from here inherits it."""
        number = os.environ.pop(EVENTS, "")
        if number:
            self.pipe = int(number)
            os.set_inheritable(self.pipe, False)

    def send(self, line: str) -> None:
        """One event. A parent that is gone is noticed by `should_stop`; the cell is committed."""
        if self.pipe is None:
            print(line, flush=True)
            return
        data = line.encode() + b"\n"
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self.pipe, data) :]


CHANNEL = Channel()


def emit(kind: str, **values: Any) -> None:
    """One event for the parent."""
    CHANNEL.send(json.dumps({"event": kind, **values}))


class Text(io.RawIOBase):
    """Standard output for environments and libraries: no end of the run if nobody reads it."""

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """Standard output's, for processes that are started from here."""
        return 1

    def write(self, data: Any) -> int:
        """All of it, or nothing where the reader is gone."""
        left = memoryview(data).cast("B")
        size = len(left)
        with contextlib.suppress(OSError):
            while left:
                left = left[os.write(1, left) :]
        return size


def main(argv: list[str]) -> int:
    """`python -m rlsuite.engine.run.worker SLOT SLOTS WIDTH [MODULE ...]`, the folder on stdin."""
    slot, slots, width, *modules = argv
    CHANNEL.take()
    text = io.TextIOWrapper(Text(), "utf-8", "replace", line_buffering=True)  # pyright: ignore
    sys.stdout = text
    if CHANNEL.pipe is not None:
        # The parent reads both in one.
        sys.stderr = text
    for module in ("rlsuite.engine.run.runner", "rlsuite.engine.run.memory", *modules):
        importlib.import_module(module)
    folder = sys.stdin.readline().strip()
    if not folder:
        return 0
    worker = Worker(Path(folder), int(slot), int(slots), int(width))
    worker.work()
    return 0


if __name__ == "__main__":
    # Under its own name too, or what it imports would find another channel.
    sys.modules["rlsuite.engine.run.worker"] = sys.modules[__name__]
    sys.exit(main(sys.argv[1:]))
