"""Files that libraries write themselves: beside the place, renamed when whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from rlsuite.contracts.errors import UsageError
from rlsuite.io import files


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A place to write a file or folder; it gets its name when the block ends well.

    Raises:
      UsageError: `path` exists already, or its folder cannot be written.
    """
    if path.exists():
        raise UsageError(f"{path} exists already: delete it or choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: permission denied")
    files.remove_strays(path.parent, of=path.name)
    with files.aside(path) as place:
        yield place
