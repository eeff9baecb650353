"""What is made once and used by many runs, in one folder of the machine's cache.

Each lies under its kind and an id that says what it was made from, so that it is found again from
any run folder. It is written aside and renamed: nobody reads half of one. Loads no jax.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlsuite.engine import files
from rlsuite.engine.cells import Cell
from rlsuite.engine.environment import cache_folder
from rlsuite.errors import UsageError, nearest

# Whoever waits for another must use some processor time, or counts as hung.
POLL_SECONDS = 0.05
# How folders of compiled programs begin, see `environment.worker_environment`.
COMPILED = "xla-"
# Of which parts of a file's arrays are what others are given.
_POLICY = "policy"


def place(kind: str, name: str) -> Path:
    """Where an artefact lies, whether it is there or not."""
    return cache_folder() / kind / name


def of_cell(cell: Cell) -> Path:
    """Where what a cell makes lies."""
    return place(cell.makes, f"{cell.digest}.done")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else makes this file meanwhile; the lock of a process that is killed is free.

    Raises:
      UsageError: its folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path.with_suffix(".lock"), "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise UsageError(
            f"cannot keep {path.name} in {path.parent} ({error.strerror}): set RLSUITE_CACHE"
        ) from None
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(POLL_SECONDS)
        files.remove_strays(path.parent, of=path.name)
        yield


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


# --- `rlsuite cache` ----------------------------------------------------------------------------


class Entry(NamedTuple):
    """A file or folder of the cache: kind, name, bytes and when it was last used."""

    path: Path
    kind: str
    size: int
    used: float


def entries(kind: str = "") -> list[Entry]:
    """What is kept, of one kind or of all; locks and half-written files are passed over. Compiled
    programs are one entry for each machine that shares the folder.

    Raises:
      UsageError: nothing of that kind is kept.
    """
    found = []
    for folder in sorted(path for path in cache_folder().glob("*") if path.is_dir()):
        if folder.name.startswith(COMPILED):
            found.append(_entry(folder, "compiled"))
            continue
        kept = [path for path in sorted(folder.iterdir()) if path.suffix != ".lock"]
        found += [_entry(path, folder.name) for path in kept if not path.name.startswith(".")]
    kinds = sorted({entry.kind for entry in found})
    if kind and kind not in kinds:
        hint = nearest(kind, kinds) if kinds else "the cache is empty"
        raise UsageError(f"nothing of kind {kind!r} is kept: {hint}")
    return [entry for entry in found if kind in ("", entry.kind)]


def _entry(path: Path, kind: str) -> Entry:
    inside = [path, *path.rglob("*")] if path.is_dir() else [path]
    stats = []
    for part in inside:
        # Others may clear it at the same time.
        with contextlib.suppress(FileNotFoundError):
            stats.append(part.stat())
    used = max((stat.st_mtime for stat in stats), default=0.0)
    return Entry(path, kind, sum(stat.st_size for stat in stats), used)


def clear(chosen: list[Entry]) -> int:
    """Remove what was chosen; run folders keep what they have. Returns the bytes freed."""
    for entry in chosen:
        with locked(entry.path):
            if entry.path.is_dir():
                shutil.rmtree(entry.path)
            else:
                entry.path.unlink(missing_ok=True)
    return sum(entry.size for entry in chosen)
