"""A sweep over settings as a grid: the pooled score of the seeds at each pair of values."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rlsuite.analysis import stats
from rlsuite.analysis.bootstrap import Floats

_LARGEST = 24

Value = float | str


@dataclass(frozen=True)
class Grid:
    """The IQM of the final scores at each pair of values of two swept settings.

    Attributes:
      agent, env: whose sweep.
      x, y: names of the two settings, y the rows.
      x_values, y_values: numbers, increasing, or names in the order of the sweep.
      iqm: [len(y_values), len(x_values)], NaN where nothing has finished.
      n, lost: finite runs, and runs that turned to NaN or failed, at each pair.
      pooled: other swept settings, whose runs are pooled at each pair.
    """

    agent: str
    env: str
    x: str
    y: str
    x_values: list[Value]
    y_values: list[Value]
    iqm: Floats
    n: np.ndarray
    lost: np.ndarray
    pooled: tuple[str, ...]


def grids(scored: pl.DataFrame) -> list[Grid]:
    """A grid for each pair of settings swept by an agent in an environment; names are the rows.

    Args:
      scored: from `scores.final`.
    """
    out = []
    for (agent, env), cells in scored.group_by("agent", "env", maintain_order=True):
        settings = [json.loads(text) or {} for text in cells["sweep"].fill_null("{}")]
        lost = cells["status"].is_in(["nan", "failed"]).to_list()
        done = (cells["status"] == "done").to_list()
        last = cells["last"].to_list()
        runs = [
            (sweep, np.nan if bad or score is None else score)
            for sweep, bad, ok, score in zip(settings, lost, done, last, strict=True)
            if bad or (ok and score is not None)
        ]
        for (x, xs), (y, ys) in itertools.combinations(_axes(settings), 2):
            others = tuple(name for name in _varied(settings) if name not in (x, y))
            out.append(_grid(str(agent), str(env), (x, xs), (y, ys), runs, others))
    return out


def _varied(settings: list[dict[str, Any]]) -> list[str]:
    names = sorted({name for sweep in settings for name in sweep})
    return [n for n in names if len({json.dumps(sweep.get(n)) for sweep in settings}) > 1]


def _axes(settings: list[dict[str, Any]]) -> list[tuple[str, list[Value]]]:
    """Settings that take a few values, all numbers or all names; the numbers first."""
    numbers: list[tuple[str, list[Value]]] = []
    names: list[tuple[str, list[Value]]] = []
    for name in _varied(settings):
        values = [sweep[name] for sweep in settings if name in sweep]
        if all(map(_is_number, values)):
            numbers.append((name, sorted(set(values))))
        elif all(isinstance(value, str) for value in values):
            names.append((name, list(dict.fromkeys(values))))
    return [axis for axis in numbers + names if 2 <= len(axis[1]) <= _LARGEST]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _grid(
    agent: str,
    env: str,
    x: tuple[str, list[Value]],
    y: tuple[str, list[Value]],
    runs: list[tuple[dict[str, Any], float]],
    pooled: tuple[str, ...],
) -> Grid:
    shape = (len(y[1]), len(x[1]))
    iqm, n, lost = np.full(shape, np.nan), np.zeros(shape, int), np.zeros(shape, int)
    members: dict[tuple[Value, Value], list[float]] = {}
    for sweep, score in runs:
        if x[0] in sweep and y[0] in sweep:
            members.setdefault((sweep[y[0]], sweep[x[0]]), []).append(score)
    for i, j, (row, column) in _pairs(y[1], x[1]):
        scores = np.array(members.get((row, column), []), np.float64)
        finite = scores[np.isfinite(scores)]
        n[i, j], lost[i, j] = finite.size, scores.size - finite.size
        iqm[i, j] = stats.iqm(finite)
    return Grid(agent, env, x[0], y[0], x[1], y[1], iqm, n, lost, pooled)


def _pairs(
    rows: list[Value], columns: list[Value]
) -> Iterator[tuple[int, int, tuple[Value, Value]]]:
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            yield i, j, (row, column)
