"""The final table in a terminal."""

from __future__ import annotations

import polars as pl
from rich.table import Table

from rlsuite.analysis import text

# Called by what it is over.
TAIL = "tail"
NUMBERS = (
    "IQM last", "95 % interval", "mean", TAIL, "IQM best", "steps", "steps/s", "time/seed",
)  # fmt: skip


def summary_table(table: pl.DataFrame, title: str = "") -> Table:
    """The final table for rich.

    Args:
      table: from `tables.summary`.
      title: shown above.
    """
    out = Table(title=title or None, title_justify="left", header_style="bold")
    for name in ("env", "series", "seeds"):
        out.add_column(name)
    for name in NUMBERS:
        shown = text.tail([*table["tail_fewest"], *table["tail_most"]]) if name == TAIL else name
        out.add_column(shown, justify="right")
    previous = None
    for row in table.iter_rows(named=True):
        if previous not in (None, row["env"]):
            out.add_section()
        previous = row["env"]
        out.add_row(*summary_cells(row))
    return out


def summary_cells(row: dict) -> list[str]:
    """One row of `tables.summary` as text, in the order of the columns above."""
    return [
        row["env"],
        row["series"],
        text.seeds(row["ok"], row["nan"], row["failed"], row["open"]),
        text.score(row["iqm_last"]),
        text.interval(row["iqm_last"], row["low"], row["high"]),
        text.score(row["mean_last"]),
        text.score(row["mean_tail"]),
        text.score(row["iqm_best"]),
        text.count(row["steps"]),
        text.count(row["steps_per_second"]),
        text.duration(row["seconds"]),
    ]


MAKERS = ("env", "series", "makes", "seed", "status", "steps", "time", "last")


def makers_table(table: pl.DataFrame) -> Table:
    """Runs that made what others are given, for rich.

    Args:
      table: from `tables.makers`.
    """
    out = Table(title="made for them", title_justify="left", header_style="bold")
    for name in MAKERS:
        out.add_column(name, justify="right" if name in ("seed", "steps", "time") else "left")
    for row in table.iter_rows(named=True):
        out.add_row(*maker_cells(row))
    return out


def maker_cells(row: dict) -> list[str]:
    """One row of `tables.makers` as text, in the order of the columns above."""
    return [
        row["env"],
        row["series"],
        row["makes"],
        str(row["seed"]),
        row["status"],
        text.count(row["steps"]),
        text.duration(row["seconds"]),
        row["last"] or row["error"] or text.NOTHING,
    ]
