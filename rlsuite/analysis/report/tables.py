"""The tables of a report as polars frames: final scores, aggregates, comparisons, cost, losses."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from rlsuite.analysis import text
from rlsuite.analysis.figures import selection
from rlsuite.analysis.load import series as series_module
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.load.series import COLUMNS, SETTING
from rlsuite.analysis.stats import scores, stats
from rlsuite.analysis.stats.improvement import probability_of_improvement
from rlsuite.analysis.stats.scores import Samples
from rlsuite.engine.plan import labels

# Beyond this many series a table of all pairs is read by nobody.
_MOST_COMPARED = 6


def summary(frames: Frames, metric: str | None = None) -> pl.DataFrame:
    """The final table: a row per environment and series.

    Returns:
      env, series; seeds, of which ok, nan, failed, open (running or pending); iqm_last with low
      and high, mean_last, mean_tail (of the last ten evaluations), iqm_best, over the ok seeds that
      have a score; steps (median per seed), steps_per_second and seconds (wall time without
      compilation, over and per finished seed); tail_fewest and tail_most, how many evaluations
      mean_tail is over.
    """
    metric = metric or scores.return_metric(frames)
    return frames.once(("summary", metric), lambda: _summary(frames, metric))


def _summary(frames: Frames, metric: str | None) -> pl.DataFrame:
    columns = ("last", "tail", "best")
    last, tail, best = (scores.of_frames(frames, column, metric) for column in columns)
    counts = _counts(scores.final(frames, metric))
    rows = []
    for row in counts.iter_rows(named=True):
        key = row["series"], row["env"]
        x = last[key[0]].get(key[1], np.empty(0))
        iqm = stats.estimate(x)
        mean = stats.estimate(x, "mean", reps=1)
        ends = stats.estimate(tail[key[0]].get(key[1], np.empty(0)), "mean", reps=1)
        top = stats.estimate(best[key[0]].get(key[1], np.empty(0)), reps=1)
        numbers = {"iqm_last": iqm.value, "low": iqm.low, "high": iqm.high}
        numbers |= {"mean_last": mean.value, "mean_tail": ends.value, "iqm_best": top.value}
        rows.append({**{k: row[k] for k in _COUNTED}, **numbers, **{k: row[k] for k in _COSTS}})
    return pl.DataFrame(rows, schema=_SUMMARY_SCHEMA)


_COUNTED = ("env", "series", "seeds", "ok", "nan", "failed", "open")
_COSTS = ("steps", "steps_per_second", "seconds", "tail_fewest", "tail_most")
_SUMMARY_SCHEMA: dict[str, Any] = {
    **dict.fromkeys(_COUNTED[:2], pl.String),
    **dict.fromkeys(_COUNTED[2:], pl.Int64),
    **dict.fromkeys(("iqm_last", "low", "high", "mean_last", "mean_tail", "iqm_best"), pl.Float64),
    **dict.fromkeys(_COSTS[:3], pl.Float64),
    **dict.fromkeys(_COSTS[3:], pl.Int64),
}


def _counts(scored: pl.DataFrame) -> pl.DataFrame:
    status, done = pl.col("status"), pl.col("status") == "done"
    seconds = pl.col("seconds").filter(done)
    tail = pl.col("evaluations").filter(done).clip(upper_bound=text.TAIL).cast(pl.Int64)
    grouped = _together(scored).group_by("env", "series", maintain_order=True)
    return grouped.agg(
        seeds=pl.len().cast(pl.Int64),
        ok=done.sum().cast(pl.Int64),
        nan=(status == "nan").sum().cast(pl.Int64),
        failed=(status == "failed").sum().cast(pl.Int64),
        open=status.is_in(["running", "pending"]).sum().cast(pl.Int64),
        steps=pl.col("total_steps").median(),
        steps_per_second=_taken(scored).filter(done).sum() / _positive(seconds.sum()),
        seconds=seconds.median(),
        tail_fewest=tail.min(),
        tail_most=tail.max(),
    )


def _together(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells of an environment side by side, environments in order of appearance."""
    order = pl.col("order").min().over("env")
    return cells.with_row_index("order").sort(order, maintain_order=True).drop("order")


def _taken(cells: pl.DataFrame) -> pl.Expr:
    """Steps that runs took themselves, without those behind the state that they went on from."""
    total = pl.col("total_steps")
    return total - pl.col("behind").fill_null(0) if "behind" in cells.columns else total


def _positive(total: pl.Expr) -> pl.Expr:
    """Null instead of zero, which nothing should be divided by."""
    return pl.when(total > 0).then(total)


def aggregate(samples: Samples) -> pl.DataFrame:
    """Statistics over environments; the samples share one scale (`scores.normalise`).

    Returns:
      series, runs, lost, then value, low and high of iqm, mean, median and optimality_gap.
    """
    rows = []
    names: tuple[stats.StatisticName, ...] = ("iqm", "mean", "median", "optimality_gap")
    for series, envs in samples.items():
        found = {name: stats.estimate(envs, name) for name in names}
        row: dict[str, Any] = {"series": series, "runs": found["iqm"].n, "lost": found["iqm"].n_nan}
        for name, estimate in found.items():
            row |= {
                name: estimate.value,
                f"{name}_low": estimate.low,
                f"{name}_high": estimate.high,
            }
        rows.append(row)
    return pl.DataFrame(rows)


def comparisons(samples: Samples) -> pl.DataFrame:
    """Probability that a run of `series` scores above one of `versus`, over shared environments.

    All pairs of six series: those with the most seeds, of these the best by mean rank over
    environments.
    """
    envs = list(dict.fromkeys(env for by_env in samples.values() for env in by_env))
    values = {
        s: [stats.estimate(by_env.get(env, np.empty(0)), reps=1).value for env in envs]
        for s, by_env in samples.items()
        if by_env
    }
    best = selection.ranked(values, selection.fullness(samples))[:_MOST_COMPARED]
    rows = []
    for a, b in itertools.combinations(best, 2):
        found = probability_of_improvement(samples[a], samples[b])
        if np.isfinite(found.value):
            shared = sum(env in samples[b] for env in samples[a])
            row = {"series": a, "versus": b, "environments": shared, "probability": found.value}
            rows.append({**row, "low": found.low, "high": found.high, "lost": found.n_nan})
    return pl.DataFrame(rows)


def per_run(scored: pl.DataFrame) -> pl.DataFrame:
    """What each run scored, with the settings in which the runs differ.

    Args:
      scored: from `scores.final`.
    """
    settings = [name for name in scored.columns if name.startswith(SETTING)]
    dropped = ["provenance", "error", *COLUMNS, *settings]
    told = [
        scored[name] if scored[name].dtype != pl.List else _as_text(scored[name])
        for name in [*(n for n in ("preset",) if n in scored.columns), *settings]
    ]
    # An agent that has no such setting does not differ in it; an option not given is another.
    varying = [
        column for column in told
        if (column if column.name.startswith("env.") else column.drop_nulls()).n_unique() > 1
    ]  # fmt: skip
    return scored.drop(dropped, strict=False).with_columns(varying)


def _as_text(lists: pl.Series) -> pl.Series:
    shown = [None if x is None else labels.shown(x.to_list()) for x in lists]
    return pl.Series(lists.name, shown, pl.String)


def losses(frames: Frames) -> pl.DataFrame:
    """Cells that failed or turned to NaN: where they got to and what was raised."""
    steps = frames.rows.group_by("cell").agg(last_step=pl.col("step").max())
    lost = frames.cells.filter(pl.col("status").is_in(scores.LOST))
    joined = lost.join(steps, on="cell", how="left", maintain_order="left")
    return joined.select("env", "series", "seed", "status", "last_step", "total_steps", "error")


def makers(made: Frames) -> pl.DataFrame:
    """Runs that made what others are given: how far they came and what they measured last.

    Args:
      made: from `Frames.parted`.

    Returns:
      env, series, makes, seed, status, steps (taken; fewer than asked for where a fit was over),
      seconds, last (metric and value, as text).
    """
    last = made.rows.sort("step").group_by("cell", "metric", maintain_order=True).last()
    told = last.sort("metric").group_by("cell", maintain_order=True).agg(
        pl.col("step").max().alias("steps"),
        pl.format("{} {}", "metric", pl.col("value").round_sig_figs(3)).str.join(", ")
        .alias("last"),
    )  # fmt: skip
    joined = made.cells.join(told, on="cell", how="left", maintain_order="left")
    if "makes" not in joined.columns:
        joined = joined.with_columns(makes=pl.lit("", pl.String))
    return joined.select(
        "env", "series", "makes", "seed", "status", "steps", "seconds", "last", "error"
    )


_SETTINGS = dict.fromkeys(("agent", "setting", "value", "origin", "shared"), pl.String) | {
    "shared": pl.Boolean, "series": pl.List(pl.String)
}  # fmt: skip


def settings(frames: Frames) -> pl.DataFrame:
    """What the series were run with, as far as it was kept: a row per agent, setting and value.

    Returns:
      agent, setting (`env.NAME`: an option of the environment), value as text, origin (default,
      preset and its name, file or flag), shared (whether all of the agent's series have it), series
      (with their tasks, where a series has the value only on some).
    """
    if "variant" not in frames.cells.columns:
        return pl.DataFrame(schema=_SETTINGS)
    found = _Values()
    for row in frames.cells.unique(["env", "variant"], maintain_order=True).iter_rows(named=True):
        values = series_module.settings(row)
        if values:
            told = json.loads(row["given"] or "{}")
            values["total_steps"] = row["total_steps"]
            for name, value in values.items():
                place = told.get(name, "file" if name.startswith("env.") else "default")
                place = f"preset {row['preset']}" if place == "preset" else place
                found.add(row["agent"], name, _shown(name, value), place, row)
    return pl.DataFrame(list(found.rows()), schema=_SETTINGS, orient="row")


class _Values:
    """Who has which value of which setting."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, str, str], dict[str, None]] = {}
        self.tasks: dict[tuple[str, str, str], dict[str, list[str]]] = {}
        self.all: dict[str, dict[str, list[str]]] = {}

    def add(self, agent: str, name: str, value: str, place: str, row: Mapping[str, Any]) -> None:
        """Note one."""
        key = (agent, name, value)
        self.places.setdefault(key, {})[place] = None
        self.tasks.setdefault(key, {}).setdefault(row["series"], []).append(row["env"])
        every = self.all.setdefault(agent, {}).setdefault(row["series"], [])
        every += [] if row["env"] in every else [row["env"]]

    def rows(self) -> Iterator[tuple[str, str, str, str, bool, list[str]]]:
        """As `settings` returns them."""
        for (agent, name, value), having in self.tasks.items():
            every = self.all[agent]
            whole = {s for s, tasks in having.items() if len(tasks) == len(every[s])}
            names = [s if s in whole else f"{s} ({', '.join(t)})" for s, t in having.items()]
            places = ", ".join(self.places[agent, name, value])
            yield agent, name, value, places, whole == set(every), names


def _shown(name: str, value: Any) -> str:
    return f"{value:,}" if name == "total_steps" else labels.shown(value)


def cost(frames: Frames) -> pl.DataFrame:
    """What each agent took in each environment, finished or not.

    Returns:
      env, agent, cells, compute_seconds, compile_seconds, finished steps, steps_per_second.
    """
    done = pl.col("status") == "done"
    seconds, steps = pl.col("seconds"), _taken(frames.cells).filter(done)
    return (
        _together(frames.cells)
        .group_by("env", "agent", maintain_order=True)
        .agg(
            cells=pl.len().cast(pl.Int64),
            compute_seconds=seconds.sum(),
            compile_seconds=pl.col("compile_seconds").sum(),
            steps=steps.sum(),
            steps_per_second=steps.sum() / _positive(seconds.filter(done).sum()),
        )
    )


def provenance(frames: Frames) -> pl.DataFrame:
    """What the cells were run with: each field, its values, and how many cells had each."""
    found: dict[str, dict[str, int]] = {}
    counted = frames.cells["provenance"].drop_nulls().value_counts(sort=True)
    for told, count in counted.iter_rows():
        for field, value in (json.loads(told or "{}") or {}).items():
            shown = value if isinstance(value, str) else json.dumps(value)
            values = found.setdefault(field, {})
            values[shown] = values.get(shown, 0) + count
    rows = [
        {"field": field, "value": value, "cells": count}
        for field, values in found.items()
        for value, count in values.items()
    ]
    return pl.DataFrame(rows, schema={"field": pl.String, "value": pl.String, "cells": pl.Int64})
