"""From what a user wrote to a file or folder: a name, a path, or an id in Minari's own folder.

D4RL's names, and files that are not found as they are written, are looked up in the dataset
folder, RLSUITE_DATASETS (`--dataset-dir`); Minari's ids in MINARI_DATASETS_PATH, by default
`.minari/datasets` in the user's own folder.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from rlsuite import registry
from rlsuite.errors import UsageError, nearest
from rlsuite.registry import DatasetRow

FOLDER = "RLSUITE_DATASETS"


def find(spec: str) -> tuple[Path, DatasetRow | None]:
    """The path, and the row where it is known by name.

    Raises:
      UsageError: nothing of that name is there; says where it was looked for.
    """
    known = registry.datasets()
    if spec in known:
        return _named(known[spec]), known[spec]
    path = Path(spec).expanduser()
    if path.exists():
        return path.absolute(), _row_of_file(path)
    folder = os.environ.get(FOLDER)
    if folder and (kept := Path(folder) / path).exists():
        return kept.absolute(), _row_of_file(kept)
    minari = _minari_folder() / spec
    if (minari / "data" / "metadata.json").exists():
        return minari / "data", None
    if path.suffix:
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, beside) if beside else f"no folder {path.parent}"
        raise UsageError(f"no dataset file {spec}: {hint}")
    raise UsageError(f"no dataset {spec!r}: {nearest(spec, known)} Or give a path")


def _named(row: DatasetRow) -> Path:
    if row.make:
        module, _, attribute = row.make.partition(":")
        return getattr(importlib.import_module(module), attribute)()
    folder = os.environ.get(FOLDER)
    if not folder:
        raise UsageError(
            f"dataset {row.name} is nothing the suite downloads: put {row.files[0]} into a folder "
            f"and name that by --dataset-dir or {FOLDER}"
        )
    for name in (*row.files, row.name):
        if (Path(folder) / name).exists():
            return (Path(folder) / name).absolute()
    present = [p.name for p in Path(folder).iterdir()] if Path(folder).is_dir() else []
    hint = nearest(row.files[0], present) if present else "there is nothing in it"
    raise UsageError(f"no {row.files[0]} for dataset {row.name} in {folder}: {hint}")


def _row_of_file(path: Path) -> DatasetRow | None:
    """A file that is called as D4RL calls it is taken for it."""
    for row in registry.datasets().values():
        if path.name in row.files:
            return row
    return None


def _minari_folder() -> Path:
    explicit = os.environ.get("MINARI_DATASETS_PATH")
    return Path(explicit) if explicit else Path.home() / ".minari" / "datasets"
