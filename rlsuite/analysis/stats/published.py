"""Where published scores lie against ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import polars as pl

from rlsuite.analysis import text
from rlsuite.analysis.load import series as series_module
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.load.targets import NAMES, Target
from rlsuite.analysis.stats import scores, stats

# Budgets are rounded to whole rollouts: this share of steps apart is the same place.
NEAR = 0.05
_COLUMNS = {
    "env": pl.String, "series": pl.String, "seeds": pl.Int64, "mean": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "published_series": pl.String,
    "published": pl.Float64, "published_is": pl.String, "source": pl.String,
    "metric": pl.String, "published_metric": pl.String, "verdict": pl.String,
}  # fmt: skip


def table(frames: Frames, targets: Sequence[Target]) -> pl.DataFrame:
    """Our mean final score with its 95 % bootstrap interval beside what was published, which is
    mostly a mean too.

    A published series is compared with the one of ours it names, that of the same name, or the only
    one on its task; and only where ours ended where it did.

    Returns:
      env, series, seeds, mean, low, high, published_series, published, published_is (inside, above
      or below our interval; unknown where a single seed gives none), source, metric (of ours),
      published_metric (empty where it is not known), verdict (all of it in a sentence).
    """
    metric = scores.return_metric(frames) or ""
    scored = scores.final(frames)
    found = {s: e for s, e in scores.of_frames(frames).items() if e}
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
                metric, target.metric, verdict(target, x, metric),
            ))  # fmt: skip
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def _named(answering: Mapping[str, set[str]], ours: Sequence[str], name: str) -> list[str]:
    """The series of that name; else the only one that somebody called so, or whose agent it is."""
    if name in ours:
        return [name]
    found = [series for series in ours if name in answering[series]]
    return found if len(found) == 1 else []


def verdict(target: Target, ours: stats.Estimate, metric: str) -> str:
    """Where a published score lies, in words: "CleanRL's 2,383 lies inside our interval [...]".

    Args:
      target: the published score.
      ours: the mean it is compared with.
      metric: what ours is the mean of.
    """
    score, name = text.score(target.value), target.series
    # An s after a bracket or a quote would be read as part of the name.
    genitive = f"{name}'{'' if name[-1] == 's' else 's'} {score}"
    what = genitive if name[-1].isalnum() else f"{score} of {name}"
    seeds = "1 seed" if ours.n == 1 else f"{ours.n} seeds"
    where = place(target.value, ours)
    interval = text.interval(ours.value, ours.low, ours.high)
    said = f"{what} lies {where} our interval {interval} of {seeds}"
    if where == "unknown":
        said = f"{what} stands beside our {text.score(ours.value)} of {seeds}, without an interval"
    if other := target.kind_beside(metric):
        ours_is = text.with_article(NAMES[metric].lower())
        said += f"; theirs is {text.with_article(other)}, ours {ours_is}"
    return said


def beside(compared: pl.DataFrame, env: str, series: str) -> list[tuple[Target, str]]:
    """What a `table` sets beside one of our series, each with the metric of ours.

    Args:
      compared: of `table`.
      env: id of the task.
      series: name of ours.
    """
    of = compared.filter((pl.col("env") == env) & (pl.col("series") == series))
    return [
        (
            Target(
                env, row["published_series"], row["published"], row["source"],
                ours=series, metric=row["published_metric"],
            ),
            row["metric"],
        )
        for row in of.iter_rows(named=True)
    ]  # fmt: skip


def in_reach(frames: Frames, targets: Sequence[Target]) -> list[Target]:
    """The published scores reached within the budget of our runs on their task: a point far to the
    right of every curve would squeeze them and says nothing of them."""
    budgets = dict(frames.cells.group_by("env").agg(pl.col("total_steps").max()).iter_rows())
    return [
        t for t in targets
        if t.step is None or t.step <= (1 + NEAR) * budgets.get(t.env, math.inf)
    ]  # fmt: skip


def ended(scored: pl.DataFrame, target: Target, series: str) -> bool:
    """Whether a series of ours ended about where a published score was reached.

    Args:
      scored: of `scores.final`.
      target: the published score.
      series: name of ours.

    Returns:
      True where it is not known at which step the score was reached, too.
    """
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
