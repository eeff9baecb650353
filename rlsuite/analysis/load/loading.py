"""From a run folder to frames, and the compacted tables others can read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rlsuite.analysis.load import series
from rlsuite.analysis.load.frames import CELL_COLUMNS, Frames
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.store.store import TABLES, Store
from rlsuite.io import files

ROW_SCHEMA = {
    "cell": pl.String, "metric": pl.String, "step": pl.Int64,
    "seconds": pl.Float64, "value": pl.Float64,
}  # fmt: skip
CELL_SCHEMA = {
    name: {"seed": pl.Int64, "total_steps": pl.Int64}.get(
        name, pl.Float64 if name.endswith("seconds") else pl.String
    )
    for name in CELL_COLUMNS
}


def load(folder: Path) -> Frames:
    """All rows and cells of a run folder, whatever is finished.

    Raises:
      UsageError: no run folder, or a damaged file in it.
    """
    store = Store(folder)
    blocks: list[tuple[str, str, np.ndarray, np.ndarray, np.ndarray]] = []
    cells, origins = [], []
    known = store.cells()
    tasks = task_names(known)
    for cell in known:
        arrays, meta, status = _read(store, cell)
        blocks.extend(_blocks(cell.id, arrays))
        cells.append(_cell_row(store, cell, tasks[cell.id], meta, status))
        origins.append(meta.get("provenance", {}))
    table = pl.DataFrame(cells, schema=CELL_SCHEMA, orient="row")
    whole = table.hstack(series.columns(known, origins))
    return Frames(_rows_frame(blocks), series.named(whole))


def compact(folder: Path, frames: Frames) -> None:
    """Write rows.parquet and cells.parquet beside the cells; they can be made again."""
    files.remove_strays(folder)
    for name, table in zip(TABLES, (frames.rows, frames.cells), strict=True):
        with files.aside(folder / name) as place:
            table.write_parquet(place)


def _read(store: Store, cell: Cell) -> tuple[dict[str, np.ndarray], dict[str, Any], str]:
    for kind in ("done", "checkpoint"):
        path = store.path(cell.id, kind)
        # A cell may finish between the look and the read: then its other file is there.
        if path.exists():
            try:
                arrays, meta = files.read_arrays(path)
            except UsageError:
                if path.exists():
                    raise
                return _read(store, cell)
            store.check_file(cell, meta, path)
            failed = kind == "checkpoint" and store.path(cell.id, "failed").exists()
            return arrays, meta, meta.get("status", "failed" if failed else "running")
    return {}, {}, "failed" if store.path(cell.id, "failed").exists() else "pending"


def _blocks(cell_id: str, arrays: dict[str, np.ndarray]) -> list[tuple[str, str, Any, Any, Any]]:
    blocks = []
    for name in arrays:
        if name.startswith("rows/") and name.endswith("/step"):
            metric = name[len("rows/") : -len("/step")]
            step, seconds, value = (
                arrays[f"rows/{metric}/{c}"] for c in ("step", "seconds", "value")
            )
            blocks.append((cell_id, metric, step, seconds, value))
    return blocks


def _rows_frame(blocks: list[tuple[str, str, Any, Any, Any]]) -> pl.DataFrame:
    if not blocks:
        return pl.DataFrame(schema=ROW_SCHEMA)
    lengths = [len(block[2]) for block in blocks]
    index = pl.Series("block", np.repeat(np.arange(len(blocks)), lengths))
    names = pl.DataFrame({"cell": [b[0] for b in blocks], "metric": [b[1] for b in blocks]})
    columns = {
        name: np.concatenate([block[i] for block in blocks])
        for i, name in ((2, "step"), (3, "seconds"), (4, "value"))
    }
    return names[index].hstack(pl.DataFrame(columns)).cast(ROW_SCHEMA)  # pyright: ignore


def task_names(cells: Sequence[Cell]) -> dict[str, str]:
    """What the tables call the task of each cell, by its id: its dataset, as runs on several of one
    environment are several tasks, else its environment.

    Folders made before two datasets of one name were refused hold such; they are told apart by
    environment and content.
    """
    kinds: dict[str, set[tuple[str, str]]] = {}
    for cell in cells:
        if cell.data is not None:
            kinds.setdefault(cell.data.name, set()).add((cell.env, cell.data.hash))
    names = {}
    for cell in cells:
        names[cell.id] = cell.task
        if cell.data is not None and len(kinds[cell.data.name]) > 1:
            names[cell.id] += f" ({cell.env}, {cell.data.hash[:8]})"
    return names


def _cell_row(
    store: Store, cell: Cell, task: str, meta: dict[str, Any], status: str
) -> tuple[Any, ...]:
    clock = meta.get("clock", {})
    error = ""
    if status == "failed":
        error = files.read_json(store.path(cell.id, "failed"))["error"]
    return (
        cell.id,
        cell.agent,
        task,
        cell.series,
        cell.seed,
        status,
        cell.total_steps,
        json.dumps(cell.sweep),
        sum(clock.get(part, 0.0) for part in ("train", "evaluate", "commit")),
        float(meta.get("compile_seconds", 0.0)),
        json.dumps(meta.get("provenance", {})),
        error,
    )
