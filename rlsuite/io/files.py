"""Writing so that a kill at any moment leaves either the old file or the new one."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import platform
import re
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as _to_bytes

from rlsuite.contracts.errors import UsageError


def check_folder(folder: Path, option: str) -> None:
    """Refuse a folder, given as `option`, that is none or that could not be made and written into.

    Raises:
      UsageError: so.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"cannot write to {option} {folder}: {there} is a file, not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write to {option} {folder}: permission denied")


def check_video(path: Path) -> None:
    """Refuse a film that could not be written, before anything is played for it.

    Raises:
      UsageError: another format than .gif and .mp4, the package that writes MP4 is missing, or
        the place cannot be written to.
    """
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder")
    kind, gif = path.suffix.lower(), f"{path.stem}.gif"
    if kind not in (".gif", ".mp4"):
        raise UsageError(f"a film is a GIF or an MP4: call {path} {gif} or {path.stem}.mp4")
    if kind == ".mp4" and importlib.util.find_spec("av") is None:
        raise UsageError(
            f"{path} needs the package av, which is missing: install rlsuite[video], "
            f"or call it {gif}"
        )
    check_folder(path.parent, "the film's folder")


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A place beside `path` to write a file or folder into; it gets its name when the block ends
    well, and is removed when it does not.

    What is written is synced, then renamed, then its folder is synced: readers see the old content
    or the new, never half of it, whenever the process is killed or the power fails.
    """
    place = _temporary(path)
    try:
        yield place
        for written in [*place.rglob("*"), place] if place.is_dir() else [place]:
            _sync(written)
        os.replace(place, path)
    except BaseException:
        _remove(place)
        raise
    _sync(path.parent)


def write_atomic(path: Path, data: bytes) -> None:
    """Write aside, sync, rename: readers see the old content or the new, never half of it."""
    with aside(path) as place:
        place.write_bytes(data)


def write_utf8(path: Path, text: str) -> None:
    """UTF-8, atomically."""
    write_atomic(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """JSON, atomically."""
    write_utf8(path, json.dumps(value, indent=1, sort_keys=True))


def user_text(path: Path) -> str:
    """A text that a user wrote: UTF-8, with or without the mark that Windows' editors begin with.

    Raises:
      UnicodeDecodeError, OSError: it is none, or cannot be read.
    """
    return path.read_text(encoding="utf-8-sig")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # Some network file systems refuse to sync a folder.
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _remove(place: Path) -> None:
    with contextlib.suppress(OSError):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()


# --- what a kill leaves -------------------------------------------------------------------------

# Said in the name of a temporary file: whose it is. Older versions said the process only.
_OURS = re.compile(r"\.(?P<name>.+)\.(?P<host>[\w-]+)\.(?P<pid>\d+)-(?P<began>\d+)\.\d+\.tmp")
_OLDER = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)\.tmp")
# A process on another machine cannot be asked whether it lives; it writes all the time.
STRAY_SECONDS = 24 * 3600.0
_NAME_BYTES = 120
_COUNT = itertools.count()


def _temporary(path: Path) -> Path:
    """A name beside `path` that nobody else writes to, and that says who does."""
    pid = os.getpid()
    owner = f"{_host()}.{pid}-{_began(pid)}.{next(_COUNT)}"
    return path.with_name(f".{_shortened(path.name)}.{owner}.tmp")


def _shortened(name: str) -> str:
    """In bytes, of which a name may have 255."""
    return os.fsdecode(os.fsencode(name)[:_NAME_BYTES])


def is_temporary(name: str) -> str | None:
    """The (beginning of the) name of the file that a temporary file of ours was to become; None
    for any other file."""
    found = _OURS.fullmatch(name) or _OLDER.fullmatch(name)
    return found["name"] if found else None


def remove_strays(*folders: Path, of: str = "") -> list[Path]:
    """Remove what killed processes have left half written in some folders.

    A file that a living process may still be writing stays: of this machine, while its process
    lives; of another (a shared disk, a container), while it was touched within the last day.

    Args:
      folders: those that do not exist are passed over.
      of: only what was to become the file of this name.

    Returns:
      What was removed.
    """
    removed = []
    for folder in folders:
        with contextlib.suppress(OSError):
            for path in folder.glob(".*.tmp"):
                name = is_temporary(path.name)
                if name is None or (of and name != _shortened(of)) or not _is_stray(path):
                    continue
                _remove(path)
                removed.append(path)
    return removed


def _is_stray(path: Path) -> bool:
    try:
        old = time.time() - _touched(path) > STRAY_SECONDS
    except OSError:
        return False
    if (found := _OURS.fullmatch(path.name)) is None:
        older = _OLDER.fullmatch(path.name)
        return older is not None and (old or _began(int(older["pid"])) is None)
    if found["host"] != _host():
        return old
    return str(_began(int(found["pid"]))) != found["began"]


def _touched(path: Path) -> float:
    """When a file, or what is in a folder, was last written to."""
    inside = path.rglob("*") if path.is_dir() else ()
    return max(p.stat().st_mtime for p in (path, *inside))


def _host() -> str:
    """This machine, and within it what numbers processes: a container's numbers are its own."""
    with contextlib.suppress(OSError):
        space = os.stat("/proc/self/ns/pid").st_ino
        return f"{_word(platform.node())}-{space}"
    return _word(platform.node())


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", text)[:40] or "unnamed"


def _began(pid: int) -> int | None:
    """When a living process began, in the system's own units; 0 where it does not say, None for one
    that is not there (a number is given again, but not with the same beginning)."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *parts = stat.rpartition(")")[2].split()
        # A zombie writes no more.
        return None if state in "ZX" else int(parts[18])
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except OSError:
        pass
    return 0


# --- reading ------------------------------------------------------------------------------------


def read_json(path: Path) -> Any:
    """JSON from a file of the store.

    Raises:
      UsageError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: is {path.parent} a run folder?") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is damaged ({error}): restore it or use a new folder") from None


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """One safetensors file of named arrays, with `meta` and a checksum in its header.

    Args:
      path: replaced by one rename.
      arrays: by name, of any shape.
      meta: what JSON holds.
    """
    # Not `ascontiguousarray`: it turns a scalar into an array of shape (1,).
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header = {"meta": json.dumps(meta), "crc": str(_checksum(plain))}
    write_atomic(path, _to_bytes(plain, metadata=header))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The inverse of `write_arrays`; nothing is unpickled.

    Raises:
      UsageError: the file is missing, cut short or altered.
    """
    with _explained(path), safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = file.metadata() or {}
        meta = json.loads(header["meta"])
    if header.get("crc") != str(_checksum(arrays)):
        raise UsageError(f"{path} is damaged (checksum differs){_remedy(path)}")
    return arrays, meta


def read_meta(path: Path) -> dict[str, Any]:
    """Only the header's `meta`: cheap for large files."""
    with _explained(path), safe_open(path, framework="numpy") as file:
        return json.loads((file.metadata() or {})["meta"])


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What is wrong with a file that cannot be read, in one line."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a checkpoint file")
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"no file {path}") from None
    except PermissionError:
        raise UsageError(f"cannot read {path}: permission denied") from None
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
        reason = str(error).splitlines()[0]
        if not _of_a_run(path):
            raise UsageError(f"{path} is no checkpoint of rlsuite ({reason})") from None
        raise UsageError(f"{path} is damaged ({reason}){_remedy(path)}") from None


def _of_a_run(path: Path) -> bool:
    """Whether the file is one of the store's own, which can be made again."""
    return path.absolute().parent.name == "cells"


def _remedy(path: Path) -> str:
    return ": delete it to run that cell anew" if _of_a_run(path) else ""


def _checksum(arrays: Mapping[str, np.ndarray]) -> int:
    crc = 0
    for name in sorted(arrays):
        crc = zlib.crc32(name.encode(), crc)
        # The bytes themselves: a copy of a replay would be felt.
        crc = zlib.crc32(np.asarray(arrays[name], order="C").reshape(-1).view(np.uint8).data, crc)
    return crc
