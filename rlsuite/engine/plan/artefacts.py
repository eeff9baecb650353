"""What is made once and used by many runs, in one folder of the machine's cache.

Each lies under its kind and an id that says what it was made from, so that it is found again from
any run folder. It is written aside and renamed: nobody reads half of one. Loads no jax.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan.cells import Cell
from rlsuite.io import files
from rlsuite.io.artefact_cache import place

# Of which parts of a file's arrays are what others are given.
_POLICY = "policy"


def of_cell(cell: Cell) -> Path:
    """Where what a cell makes lies."""
    return place(cell.makes, f"{cell.digest}.done")


def publish(done: Path, cell: Cell) -> None:
    """Keep what a finished run made for other run folders too. One that turned to NaN is of no use
    to them; a cache that cannot be written keeps nothing and ends no run."""
    target = of_cell(cell)
    if files.read_meta(done).get("status") != "done" or target.exists():
        return
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        _linked(done, target)


def fetch(cell: Cell, done: Path) -> bool:
    """Bring a finished run into a run folder from the cache, if it is there.

    Raises:
      UsageError: the file is damaged or of another run.
    """
    source = of_cell(cell)
    if not cell.makes or not source.exists():
        return False
    said = files.read_meta(source).get("cell", {})
    if difference := Cell.from_mapping(said).differs(cell):
        raise UsageError(
            f"{source} was made by other settings ({difference}): delete it to make it anew"
        )
    _linked(source, done)
    os.utime(source)
    return True


def _linked(source: Path, target: Path) -> None:
    """The same file under a second name; on another file system a copy."""
    with files.aside(target) as aside:
        try:
            os.link(source, aside)
        except OSError:
            shutil.copyfile(source, aside)


def content(arrays: dict[str, np.ndarray], part: str = _POLICY) -> str:
    """Hash of what others are given of a run's arrays (its policy, its state): not of its rows,
    whose seconds differ each time."""
    digest = hashlib.sha256()
    for name in sorted(name for name in arrays if name.startswith(part)):
        digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype}".encode())
        digest.update(np.asarray(arrays[name], order="C").reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:16]


def read_content(path: Path) -> tuple[dict[str, Any], str]:
    """(what a file says of itself, hash of its artefact).

    Raises:
      UsageError: it is missing or damaged.
    """
    arrays, meta = files.read_arrays(path)
    return meta, content(arrays)
