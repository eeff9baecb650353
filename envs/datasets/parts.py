"""The folder in which a recording lies until it is whole: what was asked for, and its chunks.

Only what is written here is ever deleted: the folder's name is made of the user's target, and
another of that name may hold anything.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from rlsuite.contracts.errors import UsageError
from rlsuite.io import files

ASKED = "asked.json"
_WRITTEN = re.compile(r"asked\.json|\d{3,}-\d{9,}\.safetensors")


def beside(target: Path) -> Path:
    """The folder of a target."""
    return target.with_name(f"{target.name}.parts")


def chunk(parts: Path, stream: int, start: int) -> Path:
    """The file of a chunk.

    Args:
      parts: the folder.
      stream: number of the policy that is recorded.
      start: steps of each environment before it.
    """
    return parts / f"{stream:03}-{start:09}.safetensors"


def begin(parts: Path, identity: dict[str, Any]) -> None:
    """Make the folder, or find it as the same recording left it.

    Raises:
      UsageError: other settings were begun with, it holds something else, it cannot be written.
    """
    asked = parts / ASKED
    files.remove_strays(parts)
    if asked.exists():
        if files.read_json(asked) != json.loads(json.dumps(identity)):
            raise UsageError(f"{parts} was begun with other settings: delete it, or give the same")
        return
    try:
        parts.mkdir(parents=True, exist_ok=True)
        if foreign := sorted(p.name for p in parts.iterdir() if not _own(p.name)):
            raise UsageError(
                f"{parts} holds {foreign[0]}, which is no recording's: move it away, or choose "
                "another name"
            )
        files.write_json(asked, identity)
    except OSError as error:
        raise UsageError(f"cannot write {parts}: {error.strerror}") from None


def clear(parts: Path) -> None:
    """Delete what a recording wrote; the folder stays if anything else is in it."""
    for path in parts.iterdir():
        if _own(path.name) and not path.is_dir():
            path.unlink()
    with contextlib.suppress(OSError):
        parts.rmdir()


def _own(name: str) -> bool:
    """Also what a kill leaves of a write."""
    return _WRITTEN.fullmatch(files.is_temporary(name) or name) is not None
