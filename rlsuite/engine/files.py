"""Writing so that a kill at any moment leaves either the old file or the new one."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as _to_bytes

from rlsuite.errors import UsageError


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


def write_atomic(path: Path, data: bytes) -> None:
    """Write aside, sync, rename: readers see the old content or the new, never half of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(aside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def write_json(path: Path, value: Any) -> None:
    """JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=1, sort_keys=True).encode())


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
    """One safetensors file of named arrays, with `meta` and a checksum in its header."""
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
