"""Which files in a folder of figures an earlier report drew, so that stale ones can be removed.

A figure that is not drawn any more (its sweep is gone, its runs were merged) would go on speaking
of results that no longer are. It is removed only where it is certainly a report's and unchanged:
each SVG ends in a comment with two hashes, of its own name and content and of the PNG beside it. A
copy under another name, an edited figure and anybody's own file do not match and are left alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_MARK = re.compile(rb"\n<!-- drawn by rlsuite: ([0-9a-f]{64}) ([0-9a-f]{64}) -->\n\Z")
# What the suite drew before it marked its figures: by name and by how they were written.
_UNMARKED = re.compile(
    r"(curves_steps|curves_seconds|final|profile|online_cost|distribution|sweep_\d+)\Z"
)


def mark(svg: Path) -> None:
    """Put a figure's hashes at the end of its SVG, once its PNG is written."""
    body = svg.read_bytes().rstrip(b"\n")
    picture = svg.with_suffix(".png").read_bytes()
    hashes = f"{_hash(svg.stem.encode() + body)} {_hash(picture)}"
    svg.write_bytes(body + f"\n<!-- drawn by rlsuite: {hashes} -->\n".encode())


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


def remove_table(path: Path, columns: Sequence[str]) -> None:
    """Remove a table of an earlier report, known by its header, that this one has nothing for."""
    if path.is_file() and not path.is_symlink():
        with path.open(encoding="utf-8", errors="replace") as file:
            header = file.readline().strip().split(",")
        # Earlier versions wrote the first of the columns.
        if len(header) > 2 and header == list(columns)[: len(header)]:
            path.unlink()


def _ours(svg: Path) -> tuple[bool, bool]:
    """Whether an SVG, and the PNG beside it, are as the suite wrote them."""
    content = svg.read_bytes()
    picture = svg.with_suffix(".png")
    pixels = picture.read_bytes() if picture.is_file() and not picture.is_symlink() else None
    found = _MARK.search(content)
    if found is None:
        unmarked = _is_unmarked(svg.stem, content, pixels)
        return unmarked, unmarked
    own, other = (group.decode() for group in found.groups())
    ours = _hash(svg.stem.encode() + content[: found.start()]) == own
    return ours, ours and pixels is not None and _hash(pixels) == other


def _is_unmarked(stem: str, content: bytes, pixels: bytes | None) -> bool:
    """A pair of an earlier version: its names, drawn by matplotlib without a date, at 150 dpi."""
    # 150 dots an inch in dots a metre, as PNG writes it.
    resolution = b"pHYs" + (5906).to_bytes(4, "big") * 2
    return (
        _UNMARKED.match(stem) is not None
        and b"<dc:title>Matplotlib" in content
        and b"<dc:date>" not in content
        and pixels is not None
        and b"Matplotlib version" in pixels
        and resolution in pixels
    )


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
