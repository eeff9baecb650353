"""What stands beside a result: command, commit, versions, device, seeds, budget."""

from __future__ import annotations

import contextlib
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from rlsuite.analysis.load.frames import Frames
from rlsuite.engine.store.store import Store
from rlsuite.io import files


def write(frames: Frames, commands: Sequence[str], into: Path, title: str) -> None:
    """Write `provenance.json` of runs into the folder of their report.

    Args:
      frames: the runs.
      commands: that made them.
      into: the folder.
      title: of the report, which keeps it when it is drawn again.
    """
    text = json.dumps({"title": title, "commands": [*commands], **summarize(frames)}, indent=1)
    files.write_utf8(into / "provenance.json", text + "\n")


def title(folder: Path) -> str:
    """What the report of a folder was called when it was last drawn, else what its runs are called,
    else ""."""
    if (folder / "provenance.json").exists():
        told = files.read_json(folder / "provenance.json").get("title")
        if told:
            return str(told)
    if of_runs := Store(folder).title():
        return of_runs
    # Before titles were kept they stood in the page alone.
    page = folder / "report.html"
    with contextlib.suppress(OSError):
        text = page.read_text(encoding="utf-8", errors="replace")[:2000]
        if found := re.search(r"<title>(.*?)</title>", text):
            return html.unescape(found[1])
    return ""


def summarize(frames: Frames) -> dict[str, Any]:
    """Each recorded setting with the values it took over the cells, and the runs by series."""
    finished = frames.cells.filter(pl.col("status").is_in(["done", "nan"]))
    origins = [json.loads(text) for text in finished["provenance"].unique().to_list()]
    names = sorted({name for origin in origins for name in origin})
    settings = {name: sorted({str(o[name]) for o in origins if name in o}) for name in names}
    return {
        "settings": {n: v[0] if len(v) == 1 else v for n, v in settings.items()},
        "runs": _runs(finished),
        "core_hours": round(float(finished["seconds"].sum()) / 3600, 3),
    }


def _runs(cells: pl.DataFrame) -> list[dict[str, Any]]:
    groups = cells.group_by("env", "series", maintain_order=True).agg(
        pl.col("seed").sort(), pl.col("total_steps").first()
    )
    return [{**row, "seed": _ranges(row["seed"])} for row in groups.iter_rows(named=True)]


def _ranges(seeds: list[int]) -> str:
    """0,1,2,5 as '0-2,5'."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][1] + 1:
            parts[-1][1] = seed
        else:
            parts.append([seed, seed])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
