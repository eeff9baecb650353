"""One compiled tiny program for the engine's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_cells

from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.run.program import Program
from rlsuite.engine.run.runner import Runner, Stopped
from rlsuite.engine.store.store import Store
from rlsuite.io import files


@pytest.fixture(scope="session")
def program() -> Program:
    """One compiled program for all tests of this folder."""
    return Program.for_cell(tiny_cells()[0])


@pytest.fixture
def run(program: Program) -> Callable[..., dict[str, Any]]:
    """Run a cell in a store, stopping after every `stop_after` chunks until it is done."""

    def once(cell: Cell, folder: Path, stop_after: int | None = None) -> dict[str, Any]:
        store = Store(folder)
        store.prepare([cell], ["test"])
        while not store.is_done(cell.id):
            _until_stopped(cell, program, store, stop_after)
        arrays, meta = files.read_arrays(store.path(cell.id, "done"))
        return {"arrays": arrays, **meta}

    return once


def _until_stopped(cell: Cell, program: Program, store: Store, stop_after: int | None) -> None:
    chunks = 0

    def should_stop() -> bool:
        nonlocal chunks
        chunks += 1
        return stop_after is not None and chunks >= stop_after

    runner = Runner([cell], program, store, {}, lambda *_: None, should_stop)
    try:
        runner.run()
    except Stopped:
        return
