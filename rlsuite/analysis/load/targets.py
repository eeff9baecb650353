"""Published numbers that figures are drawn against, each with its source."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlsuite.analysis import text
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.io.files import user_text

_COLUMNS = ("env", "series", "value", "source")
# What a score can be of, by the name of its rows. A grid reads its targets before it runs, also
# where there is no polars: nothing heavy is imported here.
NORMALISED = "eval/score"
NAMES = {
    NORMALISED: "Normalised score",
    "eval/return": "Evaluation return",
    "train/return": "Training return",
}


@dataclass(frozen=True)
class Target:
    """A published score: a horizontal line, or a point where `step` says when it was reached.

    `ours` is the series of ours it is set beside in the table; by default its namesake, or the only
    one on its task. `metric` says what was measured, by the name our rows have for it (see
    `NAMES`); empty where the publication does not say.
    """

    env: str
    series: str
    value: float
    source: str
    step: float | None = None
    ours: str = ""
    metric: str = ""

    def kind_beside(self, metric: str | None) -> str:
        """What this is a score of, where that is known to be another kind than `metric`."""
        known = self.metric in NAMES and metric in NAMES
        return NAMES[self.metric].lower() if known and self.metric != metric else ""

    def kind_said(self, metric: str | None) -> str:
        """`kind_beside` to follow a name: ", a training return"."""
        other = self.kind_beside(metric)
        return f", {text.with_article(other)}" if other else ""


def parse(row: Mapping[str, Any]) -> Target:
    """A target from a mapping with env, series, value, source and, optionally, step, ours and
    metric.

    Raises:
      UsageError: a column is missing, a number is none, or no return has the metric's name.
    """
    if missing := [column for column in _COLUMNS if row.get(column) in (None, "")]:
        raise UsageError(f"a target lacks {', '.join(missing)}: {dict(row)}")
    step = row.get("step")
    metric = str(row.get("metric") or "")
    if metric and metric not in NAMES:
        raise UsageError(f"a target's metric {metric!r} is none: {nearest(metric, NAMES)}")
    return Target(
        env=str(row["env"]),
        series=str(row["series"]),
        value=_number(row["value"], "value"),
        source=str(row["source"]),
        step=None if step in (None, "") else _number(step, "step"),
        ours=str(row.get("ours") or ""),
        metric=metric,
    )


def read(path: Path) -> list[Target]:
    """Targets from a CSV file; other columns are passed over, lines starting with # as well.

    Raises:
      UsageError: no such file, or a column or a number is missing.
    """
    try:
        lines = [line for line in user_text(path).splitlines() if not line.startswith("#")]
    except OSError as error:
        raise UsageError(f"cannot read targets {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no UTF-8 text ({error.reason}): save it as UTF-8") from None
    reader = csv.DictReader(lines)
    for column in _COLUMNS:
        if column not in (reader.fieldnames or ()):
            hint = nearest(column, reader.fieldnames or ())
            raise UsageError(f"{path} has no column {column!r}: {hint}")
    return [parse(row) for row in reader]


def _number(value: Any, column: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"a target's {column} must be a number, not {value!r}")
    return number
