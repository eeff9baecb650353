"""Run the cells of a request in workers and see them through."""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.launch.progress import Progress, Tally, duration
from rlsuite.engine.launch.session import Workers
from rlsuite.engine.plan import artefacts
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.store.store import Store
from rlsuite.io import files


@dataclass(frozen=True)
class Outcome:
    """How a command ended: cells still unfinished mean it was stopped or gave up."""

    finished: int
    nan: int
    failed: dict[str, str]
    left: int
    seconds: float


def modules(cells: Sequence[Cell]) -> tuple[str, ...]:
    """What workers should import while the parent plans."""
    agents = {registry.agent(c.agent) for c in cells}
    names = {f"{row.module}.{row.make.partition(':')[0]}" for row in agents}
    envs = {repr((c.env, c.env_options)): c for c in cells}.values()
    names |= {registry.env(c.env, c.env_options).target.partition(":")[0] for c in envs}
    return tuple(sorted(names))


def execute(
    store: Store, cells: Sequence[Cell], workers: Workers, console: Console, folder: Path
) -> Outcome:
    """Run what is not finished; show progress; return how it ended.

    Args:
      store: prepared.
      cells: of this request.
      workers: started, waiting for the folder.
      console: where progress goes.
      folder: of the store.

    Raises:
      UsageError: a worker could not build the program, it would not fit into memory, or no run
        could begin for the same fault of its dataset.
    """
    files.remove_strays(store.folder, store.cells_folder)
    share(store, cells)
    pending = [cell for cell in cells if not store.is_done(cell.id)]
    for cell in pending:
        # What failed before is tried again.
        store.path(cell.id, "failed").unlink(missing_ok=True)
    tally = Tally({c.id: c for c in cells}, {c.id for c in cells} - {c.id for c in pending})
    if len(pending) < len(cells):
        console.print(f"{len(cells) - len(pending)} of {len(cells)} runs are finished already")
    if pending:
        others = at_other_widths(store, pending, workers.width)
        if others:
            console.print(others)
        count = len(pending) if others else math.ceil(len(pending) / workers.width)
        console.print(workers.describe(count))
        workers.start(folder, count=count)
        with Progress(tally, console) as progress:
            workers.follow(progress.on_event)
        if tally.refused:
            raise UsageError(tally.refused)
        if tally.unfit.keys() == tally.cells.keys() and len({*tally.unfit.values()}) == 1:
            raise UsageError(next(iter(tally.unfit.values())))
    else:
        workers.dismiss()
    return Outcome(
        finished=sum(store.is_done(cell.id) for cell in cells),
        nan=tally.nan,
        failed={tally.name(c): error for c, error in tally.failed.items()},
        left=sum(not store.is_done(c.id) for c in cells),
        seconds=time.monotonic() - tally.began,
    )


def share(store: Store, cells: Sequence[Cell]) -> None:
    """Bring what other run folders have made already, and keep for them what this one has.

    Raises:
      UsageError: what is kept was made by other settings, or is damaged.
    """
    for cell in cells:
        if cell.makes and store.is_done(cell.id):
            artefacts.publish(store.path(cell.id, "done"), cell)
        elif cell.makes:
            artefacts.fetch(cell, store.path(cell.id, "done"))


def at_other_widths(store: Store, cells: Sequence[Cell], width: int) -> str:
    """A line on runs that began at another width: they go on at theirs, or their bits would differ.

    Args:
      store: of the run folder.
      cells: not finished.
      width: of those that have not begun.
    """
    found: Counter[int] = Counter()
    for cell in cells:
        path = store.path(cell.id, "checkpoint")
        with contextlib.suppress(UsageError):
            meta = files.read_meta(path) if path.exists() else None
            # Before its first step a run has no width yet.
            if meta and meta["iteration"] > cell.begins:
                found[meta["provenance"].get("width", 1)] += 1
    found.pop(width, None)
    parts = [f"{n} run{'s' * (n > 1)} at --vmap {w}" for w, n in sorted(found.items())]
    return f"{' and '.join(parts)}, as begun; others at --vmap {width}" if parts else ""


def check_vmap(cells: Sequence[Cell], width: int) -> None:
    """Refuse to vmap what cannot be.

    Raises:
      UsageError: an environment on the host is one simulator, which cannot be several.
    """
    envs = {repr((c.env, c.env_options)): c for c in cells} if width > 1 else {}
    for cell in envs.values():
        if not registry.env(cell.env, cell.env_options).resumable:
            raise UsageError(
                f"--vmap {width}: {cell.env} runs one seed at a time: leave --vmap out"
            )


def check_checkpoints(store: Store, cells: Sequence[Cell]) -> None:
    """Read what would be resumed, and of what runs the finished ones are, before anything is
    written or started.

    Raises:
      UsageError: a damaged checkpoint or the file of another run, naming the file.
    """
    for cell in store.known_as(cells):
        for kind in ("done", "checkpoint"):
            path = store.path(cell.id, kind)
            if path.exists():
                with contextlib.suppress(FileNotFoundError):
                    _check(store, cell, path)


def _check(store: Store, cell: Cell, path: Path) -> None:
    try:
        done = path.suffix == ".done"
        meta = files.read_meta(path) if done else files.read_arrays(path)[1]
    except UsageError:
        # Another worker may have finished the cell while it was read.
        if path.exists():
            raise
        return
    store.check_file(cell, meta, path)


def describe(outcome: Outcome, folder: Path) -> str:
    """The last line of a run."""
    text = f"{outcome.finished} runs finished in {duration(outcome.seconds)}"
    if outcome.nan:
        text += f", {outcome.nan} turned to NaN"
    if outcome.failed:
        text += f", {len(outcome.failed)} failed"
    if outcome.left:
        text += f"; {outcome.left} left: the same command goes on (folder {folder})"
    return text
