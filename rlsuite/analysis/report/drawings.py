"""Which files in a report's folder an earlier report made, so that stale ones can be removed.

A figure that is not drawn any more (its sweep is gone, its runs were merged) would go on speaking
of results that no longer are. It is removed only where its mark says that a report drew it and that
it was not changed since: each SVG ends in a comment with two hashes, of its own name and content
and of the PNG beside it; the page ends in one with the hashes of its tables. A copy under another
name, an edited file, anybody's own and those of versions that did not mark them do not match and
are left alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from rlsuite.io import files

_MARK = re.compile(rb"\n<!-- drawn by rlsuite: ([0-9a-f]{64}) ([0-9a-f]{64}) -->\n\Z")
_TABLES = re.compile(r"<!-- tables by rlsuite:((?: [\w.]+ [0-9a-f]{64})*) -->\n\Z")


def mark(svg: Path) -> None:
    """Put a figure's hashes at the end of its SVG, once its PNG is written."""
    body = svg.read_bytes().rstrip(b"\n")
    picture = svg.with_suffix(".png").read_bytes()
    hashes = f"{_hash(svg.stem.encode() + body)} {_hash(picture)}"
    files.write_atomic(svg, body + f"\n<!-- drawn by rlsuite: {hashes} -->\n".encode())


def remove_stale(folder: Path, drawn: Iterable[Path]) -> None:
    """Remove the suite's own figures of earlier reports that this one did not draw.

    Args:
      folder: of the figures.
      drawn: SVG files that have just been written.
    """
    kept = {path.name for path in drawn}
    for svg in sorted(folder.glob("*.svg")):
        if svg.name in kept or svg.is_symlink() or not svg.is_file():
            continue
        own, own_picture = _ours(svg)
        if own_picture:
            svg.with_suffix(".png").unlink()
        if own:
            svg.unlink()


def mark_of_tables(tables: Iterable[Path]) -> str:
    """The end of a page beside which some tables have been written."""
    told = "".join(f" {path.name} {_hash(path.read_bytes())}" for path in tables)
    return f"<!-- tables by rlsuite:{told} -->\n"


def tables_of(page: Path) -> dict[str, str]:
    """The tables that were written with a page, by name, and the hash of each; none where it is not
    there or from before they were marked."""
    try:
        found = _TABLES.search(page.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        found = None
    words = found[1].split() if found else []
    return dict(zip(words[::2], words[1::2], strict=True))


def remove_table(path: Path, known: Mapping[str, str]) -> None:
    """Remove a table that this report has nothing for, if an earlier one wrote it as it is.

    Args:
      path: of the table.
      known: from `tables_of`, of the page before this one.
    """
    if (
        path.is_file()
        and not path.is_symlink()
        and known.get(path.name) == _hash(path.read_bytes())
    ):
        path.unlink()


def _ours(svg: Path) -> tuple[bool, bool]:
    """Whether an SVG, and the PNG beside it, are as the suite wrote them."""
    content = svg.read_bytes()
    picture = svg.with_suffix(".png")
    pixels = picture.read_bytes() if picture.is_file() and not picture.is_symlink() else None
    found = _MARK.search(content)
    if found is None:
        return False, False
    own, other = (group.decode() for group in found.groups())
    ours = _hash(svg.stem.encode() + content[: found.start()]) == own
    return ours, ours and pixels is not None and _hash(pixels) == other


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
