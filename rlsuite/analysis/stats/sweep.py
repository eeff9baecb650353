"""A sweep over settings: scores against the values of one, or at each pair of values of two."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl

from rlsuite.analysis.stats import stats
from rlsuite.analysis.stats.bootstrap import Floats

_LARGEST = 24

# Between the names of settings that were varied side by side.
_AND = " and "

Value = float | str
_Part = tuple[str, str, list[str], pl.DataFrame]


@dataclass(frozen=True)
class Grid:
    """The IQM of the final scores at each pair of values of two swept settings.

    Attributes:
      agent, env: whose sweep: the label of its series without the swept values.
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


@dataclass(frozen=True)
class Line:
    """The IQM of the final scores at each value of the one setting that some runs differ in.

    Attributes:
      family: what was swept: the label of its series without the setting's value.
      env: where.
      setting: its name; of settings that were varied side by side all names.
      values: numbers, increasing; else texts in the order of the sweep.
      series: the series at each value; empty where there are several.
      estimates: of the runs at each value, the lost ones counted.
    """

    family: str
    env: str
    setting: str
    values: list[Value]
    series: list[str]
    estimates: list[stats.Estimate]


def lines(scored: pl.DataFrame, settings: Collection[str] | None = None) -> list[Line]:
    """A line for each setting that a family of runs varies by itself in an environment, and for
    settings that were varied side by side.

    Args:
      scored: from `scores.final`.
      settings: of `settings_of_lines`, only these.
    """
    return [
        _line(family, env, names, cells)
        for family, env, names, cells in _line_parts(scored)
        if settings is None or _AND.join(names) in settings
    ]


def settings_of_lines(scored: pl.DataFrame) -> list[str]:
    """What `lines` would draw against, without any interval computed."""
    return list(dict.fromkeys(_AND.join(names) for _, _, names, _ in _line_parts(scored)))


def _line_parts(scored: pl.DataFrame) -> Iterator[_Part]:
    for family, env, names, cells in _parts(scored):
        known = cells.filter((pl.col("status") == "done") & pl.col("last").is_finite())
        if _together(_points(cells), names) and not known.is_empty():
            yield family, env, names, cells


def _parts(scored: pl.DataFrame) -> Iterator[_Part]:
    """Family, environment, settings that were varied with each other, and the runs that differ in
    nothing else.

    The product of two settings is one part. Where each was varied with the other at its default
    there are two, which meet in the runs that have all defaults: most of the fields of a grid would
    be empty.
    """
    for family, env, cells in families(scored):
        settings = _points(cells)
        varied = _varied(settings)
        values = [tuple(json.dumps(sweep.get(name)) for name in varied) for sweep in settings]
        # Each setting's default has all the runs in which another was varied.
        columns = zip(*dict.fromkeys(values), strict=True)
        default = [Counter(column).most_common(1)[0][0] for column in columns]
        apart = [
            frozenset(n for n, one, d in zip(varied, point, default, strict=True) if one != d)
            for point in values
        ]
        found = list(dict.fromkeys(apart))
        for names in (n for n in found if n and not any(n < other for other in found)):
            inside = pl.Series([some <= names for some in apart], dtype=pl.Boolean)
            yield family, env, sorted(names), cells.filter(inside)


def _points(cells: pl.DataFrame) -> list[dict[str, Any]]:
    return [json.loads(text or "{}") or {} for text in cells["sweep"]]


def families(scored: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Runs that differ in nothing but what was swept: the name they share, where, and they."""
    swept = scored.filter(pl.col("sweep").fill_null("{}") != "{}")
    names = [_family(row) for row in swept.iter_rows(named=True)]
    keys = ["family", "env", *(name for name in ("sweep_group",) if name in swept.columns)]
    tagged = swept.with_columns(family=pl.Series(names, dtype=pl.String))
    for (family, env, *_), cells in tagged.group_by(keys, maintain_order=True):
        yield str(family), str(env), cells


def _family(cell: Mapping[str, Any]) -> str:
    """A series' label without the values that were swept; what holds none is not told apart."""
    series = str(cell.get("series") or "")
    label = series
    for name in json.loads(cell["sweep"] or "{}"):
        words = re.escape(name.rpartition(".")[2].replace("_", " "))
        label = re.sub(rf"(?<!\S){re.escape(name)}=(\[[^]]*\]|\S+)", "", label)
        label = re.sub(rf",? ?(?<!\w){words} [^,]+(?=,|$)", "", label)
    return cell["agent"] if label == series else " ".join(label.split()).strip(", ")


def _together(settings: list[dict[str, Any]], names: Sequence[str]) -> bool:
    """Whether each value of one setting goes with one value of each other, as in a zip."""
    pairs = {tuple(json.dumps(sweep.get(name)) for name in names) for sweep in settings}
    return all(len({pair[i] for pair in pairs}) == len(pairs) for i in range(len(names)))


def _line(family: str, env: str, names: list[str], cells: pl.DataFrame) -> Line:
    runs: dict[Value, list[float]] = {}
    series: dict[Value, set[str]] = {}
    for row in cells.iter_rows(named=True):
        value = _value(json.loads(row["sweep"]), names)
        series.setdefault(value, set()).add(row["series"])
        scores = runs.setdefault(value, [])
        if row["status"] in ("nan", "failed"):
            scores.append(np.nan)
        elif row["status"] == "done" and row["last"] is not None:
            scores.append(row["last"])
    numbers = all(map(_is_number, runs))
    values = sorted(runs, key=float) if numbers else list(runs)
    return Line(
        family, env, _AND.join(names),
        values if numbers else [str(value) for value in values],
        [next(iter(series[value])) if len(series[value]) == 1 else "" for value in values],
        [stats.estimate(runs[value]) for value in values],
    )  # fmt: skip


def _value(sweep: dict[str, Any], names: list[str]) -> Value:
    parts = [sweep.get(name) for name in names]
    if len(parts) == 1 and _is_number(parts[0]):
        return cast(float, parts[0])
    return ", ".join(part if isinstance(part, str) else json.dumps(part) for part in parts)


def grids(scored: pl.DataFrame) -> list[Grid]:
    """A grid for each pair of settings that a family of runs varies with each other in an
    environment; names are the rows.

    Args:
      scored: from `scores.final`.
    """
    out = []
    for name, env, names, cells in _parts(scored):
        settings = _points(cells)
        if _together(settings, names):
            continue
        lost = cells["status"].is_in(["nan", "failed"]).to_list()
        done = (cells["status"] == "done").to_list()
        last = cells["last"].to_list()
        runs = [
            (sweep, np.nan if bad or score is None else score)
            for sweep, bad, ok, score in zip(settings, lost, done, last, strict=True)
            if bad or (ok and score is not None)
        ]
        for (x, xs), (y, ys) in itertools.combinations(_axes(settings), 2):
            if _together(settings, (x, y)):
                continue
            others = tuple(name for name in names if name not in (x, y))
            out.append(_grid(name, env, (x, xs), (y, ys), runs, others))
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
