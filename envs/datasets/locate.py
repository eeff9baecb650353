"""From what a user wrote to a file or folder: a name, a path, or an id in Minari's own folder.

D4RL's names, and files that are not found as they are written, are looked up in the dataset
folder, RLSUITE_DATASETS (`--dataset-dir`); Minari's ids in MINARI_DATASETS_PATH, by default
`.minari/datasets` in the user's own folder.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from pathlib import Path

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.contracts.registry import DatasetRow
from rlsuite.envs.datasets.origin import plain
from rlsuite.io.machine import home_folder

FOLDER = "RLSUITE_DATASETS"


def find(spec: str) -> tuple[Path, DatasetRow | None]:
    """The path, and the row where it is known by name.

    Raises:
      UsageError: nothing of that name is there; says where it was looked for.
    """
    known = registry.datasets()
    if spec in known:
        return _named(known[spec]), known[spec]
    path = Path(spec)
    # Without a home folder it is a name like any other.
    with contextlib.suppress(RuntimeError):
        path = path.expanduser()
    if path.exists():
        return path.absolute(), _row_of_file(path)
    folder = os.environ.get(FOLDER)
    if folder and (kept := Path(folder) / path).exists():
        return kept.absolute(), _row_of_file(kept)
    minari = _minari_folder() / spec / "data"
    # Minari before 0.5 had no metadata.json; its reader says so.
    if any((minari / name).exists() for name in ("metadata.json", "main_data.hdf5")):
        return minari, None
    raise UsageError(_nowhere(spec, path))


def _nowhere(spec: str, path: Path) -> str:
    """Where a dataset was looked for, and what lies there under a similar name."""
    folder = os.environ.get(FOLDER)
    for link in (path, *([Path(folder) / path] if folder else [])):
        if link.is_symlink():
            return f"dataset {link} is a link to {link.readlink()}, which is not there"
    places = [path.parent]
    if folder and not path.is_absolute():
        places.append(Path(folder) / path.parent)
    files = {p.name for place in places if place.is_dir() for p in place.iterdir()}
    ids = _minari_ids()
    what = f"no dataset file {spec}" if path.suffix else f"no dataset {spec!r}"
    known = set() if path.suffix and files else {*registry.datasets()}
    word = spec if spec.count("/") == 2 and not files else path.name
    if not path.is_absolute():
        places.append(_minari_folder())
    looked = ", ".join(map(str, places))
    other = "" if folder or path.is_absolute() else "; --dataset-dir names another folder"
    hint = nearest(word, {*files, *ids, *known})
    if path.parent != Path() and not files and not hint.startswith("did you mean"):
        hint = f"no folder {path.parent}"
    return f"{what}: {hint} (looked in {looked}{other})"


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
        if (found := _called(Path(folder) / name)) is not None:
            return found.absolute()
    present = [p.name for p in Path(folder).iterdir()] if Path(folder).is_dir() else []
    hint = nearest(row.files[0], present) if present else "there is nothing in it"
    raise UsageError(f"no {row.files[0]} for dataset {row.name} in {folder}: {hint}")


def _row_of_file(path: Path) -> DatasetRow | None:
    """A file that is called as D4RL calls it is taken for it."""
    for row in registry.datasets().values():
        if plain(path.name) in row.files:
            return row
    return None


def _called(path: Path) -> Path | None:
    """The path if it is there, or the one whose ending is written in other letters."""
    if path.exists():
        return path
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    return next((other for other in beside if plain(other.name) == path.name), None)


def _minari_folder() -> Path:
    explicit = os.environ.get("MINARI_DATASETS_PATH")
    return Path(explicit) if explicit else (home_folder() or Path()) / ".minari" / "datasets"


def _minari_ids() -> set[str]:
    folder = _minari_folder()
    found = folder.glob("**/data/metadata.json")
    return {str(path.parent.parent.relative_to(folder)) for path in found}
