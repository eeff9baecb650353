"""One folder with everything a run has to say: figures, tables, and a page that holds both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from rlsuite.analysis.figures import online
from rlsuite.analysis.load import targets as targets_module
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.load.targets import Target
from rlsuite.analysis.report import drawings, figure_sections, html, table_sections, tables
from rlsuite.analysis.stats import published as published_module
from rlsuite.analysis.stats import scores
from rlsuite.contracts.errors import UsageError
from rlsuite.io import files

# Tables that only some stores have anything for.
_NOT_ALWAYS = ("published", "online_cost")


def write(
    frames: Frames,
    out_dir: Path,
    title: str,
    targets: Sequence[Target | Mapping[str, Any]] | None = None,
    references: Mapping[str, tuple[float, float]] | None = None,
) -> Path:
    """Write figures (PNG and SVG), tables (CSV) and one self-contained HTML page.

    Works on a store that is still being filled, on one seed, and without any evaluation: a section
    with nothing to show says why or is left out.

    Args:
      frames: the store.
      out_dir: made if absent; receives report.html, summary.csv, scores.csv and figures/; also
        published.csv where something was published, online_cost.csv for runs on datasets.
      title: of the page.
      targets: published scores to draw against: `Target` or mappings with env, series, value,
        source and, optionally, step and ours; those of larger budgets than ours are left out.
      references: environment to (score that counts 0, score that counts 1) for aggregates over
        environments; default: the worst and the best run in this store.

    Returns:
      The path of report.html.

    Raises:
      UsageError: the folder cannot be written, or a target is incomplete.
    """
    given = [t if isinstance(t, Target) else targets_module.parse(t) for t in targets or ()]
    _make_folder(out_dir)
    whole = frames
    frames, made = frames.parted()
    published = published_module.in_reach(frames, given)
    metric = scores.return_metric(frames)
    scored = scores.final(frames, metric)
    summary = tables.summary(frames, metric)
    compared = published_module.table(frames, published)
    found = {"summary": summary, "scores": tables.per_run(scored)}
    found |= {"published": compared, "online_cost": online.choosing(frames)}
    marks = _write_tables(found, out_dir)

    drawn = figure_sections.draw(
        frames, scored, out_dir / "figures", published, compared, references
    )
    sections = [table_sections.summary_section(summary, metric, compared), *drawn]
    sections += table_sections.makers_sections(made)
    sections += table_sections.closing_sections(whole if frames.cells.is_empty() else frames)
    page = html.page(title, table_sections.subtitle(whole), sections)
    path = out_dir / "report.html"
    files.write_utf8(path, page + marks)
    return path


def _write_tables(found: Mapping[str, pl.DataFrame], folder: Path) -> str:
    """Write the tables that have anything to say, and remove earlier reports' where they have not.

    Returns:
      What the page bears, so that the next report knows them.
    """
    known = drawings.tables_of(folder / "report.html")
    written = []
    for name, table in found.items():
        path = folder / f"{name}.csv"
        if table.is_empty() and name in _NOT_ALWAYS:
            drawings.remove_table(path, known)
        else:
            files.write_utf8(path, table.write_csv())
            written.append(path)
    return drawings.mark_of_tables(written)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write the report to {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise UsageError(f"cannot write the report to {folder}: permission denied")
    files.remove_strays(folder, folder / "figures")
