"""Pieces of a self-contained page: escaped tables that sort, inlined figures, one style sheet."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlsuite.analysis.report.page_assets import SCRIPT, STYLE


@dataclass(frozen=True)
class Field:
    """A table field: what is shown, what it sorts by (default: the text), and how."""

    shown: str
    key: float | str | None = None
    strong: bool = False
    pre: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading; `body` is HTML."""

    title: str
    body: str

    @property
    def anchor(self) -> str:
        """Its fragment identifier."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The whole document; nothing in it is fetched from anywhere.

    Args:
      title: plain text.
      subtitle: plain text.
      sections: from top to bottom.
    """
    links = "".join(f'<a href="#{s.anchor}">{escape(s.title)}</a>' for s in sections)
    parts = "\n".join(
        f'<section id="{s.anchor}"><h2>{escape(s.title)}</h2>\n{s.body}\n</section>'
        for s in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style></head>\n<body><main>\n"
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p><nav>{links}</nav></header>\n"
        f"{parts}\n</main>\n<script>\n{SCRIPT}</script></body></html>\n"
    )


def escape(text: str) -> str:
    """Text that is only text, whatever a cell's error message holds."""
    return html.escape(text)


def paragraph(text: str) -> str:
    """A note in the page's small type."""
    return f'<p class="note">{escape(text)}</p>'


def details(summary: str, body: str) -> str:
    """What few read, folded under a line; `body` is HTML."""
    return f"<details><summary>{escape(summary)}</summary>\n{body}\n</details>"


def table(header: Sequence[str], rows: Iterable[Sequence[Field | str]]) -> str:
    """A table whose columns sort at a click; a column of numbers stands at the right."""
    body = [[f if isinstance(f, Field) else Field(f) for f in row] for row in rows]
    right = [any(isinstance(row[i].key, float) for row in body) for i in range(len(header))]
    heads = "".join(
        f'<th scope="col"{_right(r)}><button type="button">{escape(name)}</button></th>'
        for name, r in zip(header, right, strict=True)
    )
    lines = "\n".join(
        "<tr>" + "".join(_field(f, r) for f, r in zip(row, right, strict=True)) + "</tr>"
        for row in body
    )
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _right(right: bool) -> str:
    return ' class="num"' if right else ""


def _field(field: Field, right: bool) -> str:
    shown = escape(field.shown)
    shown = f"<strong>{shown}</strong>" if field.strong else shown
    shown = f"<pre>{shown}</pre>" if field.pre else shown
    key = field.key
    if isinstance(key, float) and not math.isfinite(key):
        key = ""
    sort = "" if key is None else f' data-key="{escape(str(key))}"'
    return f"<td{_right(right)}{sort}>{shown}</td>"


def figure(svg: Path, caption: str) -> str:
    """An SVG file inlined as an image (its ids stay its own), with its caption."""
    data = base64.b64encode(svg.read_bytes()).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
