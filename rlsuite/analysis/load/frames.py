"""What a store looks like to everything that draws or counts: two tables."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import polars as pl

from rlsuite.contracts.errors import UsageError

T = TypeVar("T")

ROW_COLUMNS = ("cell", "metric", "step", "seconds", "value")
CELL_COLUMNS = (
    "cell",
    "agent",
    "env",
    "series",
    "seed",
    "status",
    "total_steps",
    "sweep",
    "seconds",
    "compile_seconds",
    "provenance",
    "error",
)


@dataclass(frozen=True)
class Frames:
    """The rows and the cells of a store.

    Attributes:
      rows: cell, metric (`eval/return`, `train/return`, `loss/policy`, ...), step, seconds, value.
      cells: cell, agent, env, series (what a line in a figure is called), seed, status (`done`,
        `nan`, `failed`, `running` or `pending`), total_steps, sweep (JSON: swept field to value),
        seconds (wall), compile_seconds, provenance (JSON), error. Of a store also what each was
        run with, see `series.COLUMNS`.
    """

    rows: pl.DataFrame
    cells: pl.DataFrame

    @functools.cached_property
    def _made(self) -> dict[Hashable, Any]:
        return {}

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """What many parts of a report make of these tables, made for the first that asks.

        Args:
          name: of what is made, with all that it depends on besides the tables.
          make: makes it; nobody changes it afterwards.
        """
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def parted(self) -> tuple[Frames, Frames]:
        """(runs with a policy to play, those that made what others are given)."""
        if "makes" not in self.cells.columns:
            return self, self._of(pl.lit(False))
        made = pl.col("makes").fill_null("") != ""
        return self._of(~made), self._of(made)

    def _of(self, which: pl.Expr) -> Frames:
        cells = self.cells.filter(which)
        return Frames(self.rows.join(cells.select("cell"), on="cell", how="semi"), cells)

    @property
    def step_name(self) -> str:
        """What steps count: environment steps, an offline agent's updates, or some of each."""
        origins = self.cells["provenance"].unique().to_list()
        # A run that has not begun says nothing.
        told = [json.loads(text) for text in origins if text]
        units = {origin.get("budget_unit", "env_steps") for origin in told}
        if units == {"updates"}:
            return "Gradient updates"
        return "Environment steps, or updates" if "updates" in units else "Environment steps"

    def __post_init__(self) -> None:
        """Refuse tables that lack a column.

        Raises:
          UsageError: naming the table and what it lacks.
        """
        for name, table, columns in (
            ("rows", self.rows, ROW_COLUMNS),
            ("cells", self.cells, CELL_COLUMNS),
        ):
            if missing := [column for column in columns if column not in table.columns]:
                raise UsageError(f"the store's {name} have no column {', '.join(missing)}")
