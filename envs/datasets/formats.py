"""Which layout a path has; reading and writing by it."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from types import ModuleType

from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.envs.datasets.recording import Header, Recording

LAYOUTS = {"d4rl": "d4rl", "npz": "npz", "minari": "minari"}
ENDINGS = {".hdf5": "d4rl", ".h5": "d4rl", ".npz": "npz"}


def layout_of(path: Path) -> str:
    """d4rl, npz or minari.

    Raises:
      UsageError: no such file or folder, or of another kind.
    """
    if path.is_dir():
        return "minari"
    if not path.exists():
        known = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UsageError(f"no dataset {path}" + (f": {nearest(path.name, known)}" if known else ""))
    if not path.is_file():
        # Reading a pipe would wait for somebody to write.
        raise UsageError(f"{path} is neither a file nor a folder")
    return layout_for(path)


def layout_for(path: Path) -> str:
    """What a path that need not exist would be written as: by its ending, a folder without one."""
    if not path.suffix:
        return "minari"
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"{path} ends in {path.suffix}, not .hdf5 or .npz, and is no folder")
    return ENDINGS[ending]


def module(layout: str) -> ModuleType:
    """The reader of a layout; loads h5py where it needs it."""
    return importlib.import_module(f"rlsuite.envs.datasets.{layout}")


def read_header(path: Path) -> Header:
    """Shapes and origin; reads no arrays where the layout allows."""
    return module(layout_of(path)).read_header(inner(path))


def read(path: Path) -> Recording:
    """The whole recording."""
    return module(layout_of(path)).read(inner(path))


def inner(path: Path) -> Path:
    """A Minari dataset's own folder, or the `data` folder in it."""
    if path.is_dir() and not (path / "metadata.json").exists() and (path / "data").is_dir():
        return path / "data"
    return path


def fingerprint(path: Path) -> str:
    """Hash of a dataset's content, whatever it is called."""
    layout, path = layout_of(path), inner(path)
    files = [path]
    if path.is_dir():
        # Of a folder that is none of Minari's its reader says more than that a file is missing.
        module(layout).read_metadata(path)
        files = [path / "metadata.json", path / "main_data.hdf5"]
    digest = hashlib.sha256()
    for file in files:
        try:
            with open(file, "rb") as stream:
                part = hashlib.file_digest(stream, "sha256").digest()
        except OSError as error:
            raise UsageError(f"cannot read {file}: {error.strerror}") from None
        digest.update(part)
    return digest.hexdigest()[:16]
