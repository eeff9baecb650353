"""Cells run in this process, stopped and resumed at will."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.run.inputs import Given
from rlsuite.engine.run.program import Program
from rlsuite.engine.run.runner import Runner, Stopped
from rlsuite.engine.store.store import Store
from rlsuite.io import files


def drive(
    cells: list[Cell], program: Program, folder: Path, stops: int | None = None, data: Any = None
) -> list[Any]:
    """Run to the end, stopping after every `stops` chunks; (arrays, meta) of each cell."""
    store = Store(folder)
    store.prepare(cells, [])
    while not all(store.is_done(cell.id) for cell in cells):
        chunks = iter(range(1, stops or 10**9))

        def stop(it: Any = chunks) -> bool:
            return next(it, None) is None

        try:
            Runner(cells, program, store, {}, lambda *_: None, stop, given=Given(data)).run()
        except Stopped:
            continue
    return [files.read_arrays(store.path(cell.id, "done")) for cell in cells]
