"""A folder per run: what was asked, and one file per cell that says how far it is.

    DIR/spec.json                    the resolved spec: configurations once, cells by hash
    DIR/claims.lock                  see `rlsuite.engine.store.claims`
    DIR/cells/ID.checkpoint          a cell under way: state, unfinished metrics and rows so far
    DIR/cells/ID.done                a finished cell: policy, rows, provenance
    DIR/cells/ID.failed              a cell that raised: the error (tried again next time)
    DIR/rows.parquet, cells.parquet  all rows, compacted when the run ends; can be made again

State and rows of a cell are committed by one rename, so no row can be twice or missing whatever
is killed when. Only the compaction imports polars.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.plan.checks import check_families, check_names
from rlsuite.io import files

# In version 1 cells had no ids of their own: they are found again, see `Cell.first_id`.
VERSION = 2
READABLE = (1, 2)
# What `rlsuite.analysis` makes of a folder's rows and cells.
TABLES = ("rows.parquet", "cells.parquet")
Rows = dict[str, list[tuple[int, float, float]]]


class Store:
    """A run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells_folder = folder / "cells"

    # --- the spec ---------------------------------------------------------------------------

    def prepare(
        self,
        cells: Iterable[Cell],
        command: list[str],
        title: str = "",
        how: Mapping[str, Any] | None = None,
    ) -> list[Cell]:
        """Create the folder, or add cells to it. Cells already there keep their files.

        Args:
          cells: asked for.
          command: the command line that asks.
          title: of the report; "" leaves the one there.
          how: what `Store.how` gives from now on; where a value is None, as it was.

        Returns:
          All cells of this request (not those only earlier requests had).

        Raises:
          UsageError: the folder cannot be written, holds something else, or is damaged.
        """
        self._make_folder()
        files.remove_strays(self.folder, self.cells_folder)
        with self._locked():
            known = {cell.id: cell for cell in self.cells()} if self.exists() else {}
            asked = {cell.id: cell for cell in self.known_as(cells)}
            self._check_data([*known.values()], [*asked.values()])
            for cell_id, cell in asked.items():
                if cell_id in known:
                    self._check_same(known[cell_id], cell)
                    asked[cell_id] = _told_again(known[cell_id], cell)
            commands = files.read_json(self._spec)["commands"] if self.exists() else []
            kept = self.how() | {k: v for k, v in (how or {}).items() if v is not None}
            if command not in commands:
                commands.append(command)
            title = title or self.title()
            self._write_spec({**known, **asked}, commands, title, kept)
        return list(asked.values())

    def _check_data(self, known: list[Cell], asked: list[Cell]) -> None:
        """The same runs on a dataset, or from a file, that has changed since are no resumption."""
        was = {cell.data.spec: cell.data for cell in known if cell.data is not None}
        for data in (cell.data for cell in asked if cell.data is not None):
            if data.spec in was and was[data.spec].hash != data.hash:
                raise UsageError(
                    f"{self.folder} was made when dataset {data.name} had content "
                    f"{was[data.spec].hash}, now {data.hash}: restore it, or use another --out"
                )
        began = {cell.start.path: cell.start for cell in known if cell.start is not None}
        for start in (cell.start for cell in asked if cell.start is not None):
            if (was_it := began.get(start.path, start)).identity != start.identity:
                raise UsageError(
                    f"{self.folder} was made when {start.path} had content {was_it.content}, now "
                    f"{start.content}: restore it, or use another --out"
                )
        check_families(cell.data for cell in [*known, *asked])
        check_names((cell.data, cell.env) for cell in [*known, *asked])

    def _check_same(self, known: Cell, asked: Cell) -> None:
        if known.cadence != asked.cadence:
            raise UsageError(
                f"{self.folder} already holds these runs with {known.cadence}: "
                "use the same evaluations, episodes and logs, or another --out"
            )
        if difference := known.differs(asked):
            raise UsageError(f"{self._spec} is damaged: {known.id} is another run ({difference})")

    def known_as(self, cells: Iterable[Cell]) -> list[Cell]:
        """The cells, those that the folder holds under the ids they were made under."""
        if not self.exists():
            return list(cells)
        known: dict[str, Cell] = {}
        for cell in self.cells():
            known.setdefault(cell.digest, cell)
        return [c.with_id(known[c.digest].id) if c.digest in known else c for c in cells]

    def check_file(self, cell: Cell, meta: dict[str, Any], path: Path) -> None:
        """Refuse a file of another run than the cell it is named after.

        Args:
          cell: as the folder's spec has it.
          meta: of the file.
          path: of the file.

        Raises:
          UsageError: naming the file and what differs.
        """
        if "cell" not in meta:
            return
        if difference := Cell.from_mapping(meta["cell"]).differs(cell):
            raise UsageError(
                f"{path} is of another run than {self._spec} says: {difference}; "
                "delete it to run that cell anew"
            )

    def check_folder(self) -> None:
        """Refuse what cannot become this run folder, before anything is recorded for it.

        Raises:
          UsageError: the folder cannot be written or holds something else.
        """
        files.check_folder(self.folder, "--out")
        if self.folder.is_dir() and any(self.folder.iterdir()) and not self.exists():
            strays = [p.name for p in self.folder.iterdir()]
            if strays not in (["claims.lock"], ["cells"]) and "spec.lock" not in strays:
                raise UsageError(
                    f"--out {self.folder} holds other files and no spec.json: use an empty folder"
                )

    def _make_folder(self) -> None:
        self.check_folder()
        try:
            self.cells_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write to --out {self.folder}: {error.strerror}") from None
        if not os.access(self.cells_folder, os.W_OK):
            raise UsageError(f"cannot write to --out {self.folder}: permission denied")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.folder / "spec.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @property
    def _spec(self) -> Path:
        return self.folder / "spec.json"

    def exists(self) -> bool:
        """Whether this is a run folder."""
        return self._spec.exists()

    def _write_spec(
        self,
        cells: dict[str, Cell],
        commands: list[list[str]],
        title: str = "",
        how: Mapping[str, Any] | None = None,
    ) -> None:
        # What many cells share is written once.
        shared: dict[str, dict[str, Any]] = {"configs": {}, "given": {}, "inputs": {}}
        rows = []
        for cell in cells.values():
            row = cell.to_mapping()
            for key, table in (("config", shared["configs"]), ("given", shared["given"]),
                               ("inputs", shared["inputs"])):  # fmt: skip
                if key not in row:
                    continue
                text = json.dumps(row[key], sort_keys=True)
                name = hashlib.sha256(text.encode()).hexdigest()[:12]
                table[name], row[key] = row[key], name
            rows.append(row)
        spec = {"version": VERSION, "title": title, "commands": commands, **shared, "cells": rows}
        files.write_json(self._spec, {**spec, **(how or {})})

    def how(self) -> dict[str, Any]:
        """How the folder's cells are run: `width`, how many at once by a worker, and whether
        `deterministic` on a GPU. Neither is part of what a cell is."""
        spec = files.read_json(self._spec) if self.exists() else {}
        return {
            "width": spec.get("width", 1), "deterministic": spec.get("deterministic", False)
        }  # fmt: skip

    def cells(self) -> list[Cell]:
        """Every cell ever asked of this folder, in the order asked."""
        spec = files.read_json(self._spec)
        try:
            if spec["version"] not in READABLE:
                raise UsageError(
                    f"{self.folder} was written by another version of rlsuite "
                    f"(store {spec['version']}, here {VERSION}): use a new folder"
                )
            configs, given, made = spec["configs"], spec.get("given", {}), spec.get("inputs", {})
            rows = [
                {**r, "config": configs[r["config"]], "given": given.get(r.get("given"), {}),
                 "inputs": made[r["inputs"]] if r.get("inputs") else {}}
                for r in spec["cells"]
            ]  # fmt: skip
            cells = [Cell.from_mapping(row) for row in rows]
        except (KeyError, TypeError) as error:
            raise UsageError(f"{self._spec} is damaged ({error!r}): use a new folder") from None
        return cells if spec["version"] > 1 else self._with_ids_of_files(cells)

    def _with_ids_of_files(self, cells: list[Cell]) -> list[Cell]:
        """Cells of version 1, those whose files have another id than today's code finds for them
        (a default had changed before) under the id of these."""
        found = {cell.id for cell in cells}
        paths = [p for kind in ("done", "checkpoint") for p in self.cells_folder.glob(f"*.{kind}")]
        stray = [path for path in paths if path.stem not in found]
        metas = [(path.stem, files.read_meta(path)) for path in stray]
        ids = {
            Cell.from_mapping(meta["cell"]).digest: stem for stem, meta in metas if "cell" in meta
        }
        lost = {c.digest for c in cells if not any(path.stem == c.id for path in paths)}
        return [c.with_id(ids[c.digest]) if c.digest in ids.keys() & lost else c for c in cells]

    def ids(self) -> dict[str, str]:
        """Digest -> the id that this folder has a run by."""
        return {str(cell.digest): cell.id for cell in self.cells()}

    def commands(self) -> list[list[str]]:
        """The command lines that asked for cells of this folder."""
        return files.read_json(self._spec)["commands"]

    def title(self) -> str:
        """What the report of this folder is called, "" where nobody said."""
        return files.read_json(self._spec).get("title", "") if self.exists() else ""

    # --- one cell ---------------------------------------------------------------------------

    def path(self, cell_id: str, kind: str) -> Path:
        """The cell's file of a kind: checkpoint, done or failed."""
        return self.cells_folder / f"{cell_id}.{kind}"

    def is_done(self, cell_id: str) -> bool:
        """Whether the cell has finished (with numbers or with NaN)."""
        return self.path(cell_id, "done").exists()

    def commit(
        self, cell_id: str, arrays: dict[str, np.ndarray], rows: Rows, meta: dict[str, Any]
    ) -> None:
        """A checkpoint: state and rows by one rename.

        Args:
          cell_id: of the cell, or the name of a search.
          arrays: by name: the state and the unfinished metrics; none of a search.
          rows: of the run so far.
          meta: what else is said of the run, as JSON holds it.
        """
        packed = {**arrays, **pack_rows(rows)}
        files.write_arrays(self.path(cell_id, "checkpoint"), packed, meta)

    def finish(
        self, cell_id: str, arrays: dict[str, np.ndarray], rows: Rows, meta: dict[str, Any]
    ) -> None:
        """The finished cell's file; its checkpoint and any earlier failure go.

        Args:
          cell_id: of the cell, or the name of a search.
          arrays: by name: the policy; none of a search.
          rows: of the run.
          meta: what else is said of the run, as JSON holds it.
        """
        packed = {**arrays, **pack_rows(rows)}
        files.write_arrays(self.path(cell_id, "done"), packed, meta)
        for kind in ("checkpoint", "failed"):
            self.path(cell_id, kind).unlink(missing_ok=True)

    def fail(self, cell_id: str, error: str) -> None:
        """Note what a cell raised; its checkpoint stays."""
        files.write_json(self.path(cell_id, "failed"), {"error": error})

    def why_failed(self, cell_id: str) -> str:
        """The last line of what a cell raised."""
        lines = files.read_json(self.path(cell_id, "failed"))["error"].strip().splitlines()
        return lines[-1] if lines else "nothing was said"


def _told_again(known: Cell, asked: Cell) -> Cell:
    """A run asked for again: in its sweep still, and called what it was called unless told anew."""
    return dataclasses.replace(
        asked,
        sweep={**known.sweep, **asked.sweep},
        label=asked.label or known.label,
        preset=asked.preset or known.preset,
        given={**known.given, **asked.given},
    ).with_id(known.id)


def check_readable(folder: Path) -> None:
    """Refuse what holds neither runs nor the tables kept of some, before polars is loaded.

    Raises:
      UsageError: so, or its spec is damaged.
    """
    if Store(folder).exists():
        Store(folder).cells()
    elif not all((folder / name).exists() for name in TABLES):
        drawn = (folder / "report.html").exists()
        raise UsageError(
            f"{folder} is no run folder (no spec.json) and keeps no tables of one"
            + (": its figures were drawn from rows that are gone, run it again" if drawn else "")
        )


def keep_grid(grid: Path, folder: Path) -> None:
    """Copy a grid file into a run folder as grid.toml; beside another one under the next number."""
    text = grid.read_bytes()
    for number in itertools.count(1):
        path = folder / (f"grid_{number}.toml" if number > 1 else "grid.toml")
        if not path.exists():
            files.write_atomic(path, text)
        if path.read_bytes() == text:
            return


def pack_rows(rows: Rows) -> dict[str, np.ndarray]:
    """Rows by metric as arrays: `rows/METRIC/step|seconds|value`."""
    packed = {}
    for metric, entries in rows.items():
        packed[f"rows/{metric}/step"] = np.array([e[0] for e in entries], np.int64)
        packed[f"rows/{metric}/seconds"] = np.array([e[1] for e in entries], np.float64)
        packed[f"rows/{metric}/value"] = np.array([e[2] for e in entries], np.float64)
    return packed


def unpack_rows(arrays: dict[str, np.ndarray]) -> Rows:
    """The inverse of `pack_rows`; other arrays are passed over."""
    rows: Rows = {}
    for name in arrays:
        if name.startswith("rows/") and name.endswith("/step"):
            metric = name[len("rows/") : -len("/step")]
            parts = [arrays[f"rows/{metric}/{column}"] for column in ("step", "seconds", "value")]
            rows[metric] = [(int(s), float(t), float(v)) for s, t, v in zip(*parts, strict=True)]
    return rows
