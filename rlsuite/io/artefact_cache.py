"""Files and folders that are made once and used by many runs, in the machine's cache.

Each lies under its kind and an id that says what it was made from. Whoever makes one holds its
lock. Loads no jax.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.io import files
from rlsuite.io.machine import cache_folder

# Whoever waits for another must use some processor time, or counts as hung.
POLL_SECONDS = 0.05
# How folders of compiled programs begin, see `process_env.worker_environment`.
COMPILED = "xla-"


def place(kind: str, name: str) -> Path:
    """Where an artefact lies, whether it is there or not."""
    return cache_folder() / kind / name


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
