"""Where published scores lie against ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import polars as pl

from rlsuite.analysis import scores, stats
from rlsuite.analysis import series as series_module
from rlsuite.analysis.frames import Frames
from rlsuite.analysis.targets import Target

# Budgets are rounded to whole rollouts: this share of steps apart is the same place.
NEAR = 0.05
_COLUMNS = {
    "env": pl.String, "series": pl.String, "seeds": pl.Int64, "mean": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "published_series": pl.String,
    "published": pl.Float64, "published_is": pl.String, "source": pl.String,
}  # fmt: skip


def table(frames: Frames, targets: Sequence[Target]) -> pl.DataFrame:
    """Our mean final score with its 95 % bootstrap interval beside what was published, which is
    mostly a mean too.

    A published series is compared with the one of ours it names, that of the same name, or the only
    one on its task; and only where ours ended where it did.

    Returns:
      env, series, seeds, mean, low, high, published_series, published, published_is (inside, above
      or below our interval; unknown where a single seed gives none), source.
    """
    scored = scores.final(frames)
    found = {s: e for s, e in scores.samples(scored).items() if e}
    answering = series_module.answering(scored)
    rows = []
    for target in targets:
        ours = [series for series, envs in found.items() if target.env in envs]
        ours = [series for series in ours if ended(scored, target, series)]
        named = _named(answering, ours, target.ours or target.series)
        ours = [] if target.ours else ours
        for series in named or (ours if len(ours) == 1 else []):
            x = stats.estimate(found[series][target.env], "mean")
            rows.append((
                target.env, series, x.n, x.value, x.low, x.high,
                target.series, target.value, place(target.value, x), target.source,
            ))  # fmt: skip
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def _named(answering: Mapping[str, set[str]], ours: Sequence[str], name: str) -> list[str]:
    """The series of that name; else the only one that somebody called so, or whose agent it is."""
    if name in ours:
        return [name]
    found = [series for series in ours if name in answering[series]]
    return found if len(found) == 1 else []


def beside(compared: pl.DataFrame, env: str, series: str) -> list[tuple[float, str]]:
    """(score, name) of what a `table` sets beside one of our series."""
    of = compared.filter((pl.col("env") == env) & (pl.col("series") == series))
    return list(of.select("published", "published_series").iter_rows())


def in_reach(frames: Frames, targets: Sequence[Target]) -> list[Target]:
    """The published scores reached within the budget of our runs on their task: a point far to the
    right of every curve would squeeze them and says nothing of them."""
    budgets = dict(frames.cells.group_by("env").agg(pl.col("total_steps").max()).iter_rows())
    return [
        t for t in targets
        if t.step is None or t.step <= (1 + NEAR) * budgets.get(t.env, math.inf)
    ]  # fmt: skip


def ended(scored: pl.DataFrame, target: Target, series: str) -> bool:
    """Whether a series of ours ended about where a published score was reached."""
    if target.step is None:
        return True
    of = (pl.col("env") == target.env) & (pl.col("series") == series)
    last = scored.filter(of)["last_step"].drop_nulls().to_list()
    return bool(last) and abs(max(last) - target.step) <= NEAR * target.step


def place(value: float, ours: stats.Estimate) -> str:
    """Where a number lies: inside, above or below an interval."""
    if not ours.has_interval:
        return "unknown"
    if value > ours.high:
        return "above"
    return "below" if value < ours.low else "inside"
