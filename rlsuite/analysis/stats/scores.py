"""From rows to one score per cell, and from cells to the samples that statistics take.

The last score of a cell is the mean of its final evaluation, the best is the largest mean over all
of its evaluations (an optimistic number, hence a column of its own). Runs on datasets whose
reference returns are known are scored on the scale where those are 0 and 100. Where a store holds
no evaluation at all, training returns stand in, and everything printed says so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from rlsuite.analysis import text
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.load.targets import NORMALISED
from rlsuite.analysis.stats.bootstrap import Floats

Samples = dict[str, dict[str, Floats]]
METRICS = ("eval/return", "train/return")
LOST = ("nan", "failed")


def return_metric(frames: Frames) -> str | None:
    """The metric scores are read from: normalised scores where every evaluated run has them, else
    evaluations, else training returns, else nothing."""
    return frames.once("return_metric", lambda: _return_metric(frames))


def _return_metric(frames: Frames) -> str | None:
    present = set(frames.rows["metric"].unique())
    if NORMALISED in present:
        having = frames.rows.filter(pl.col("metric").is_in([NORMALISED, "eval/return"]))
        per_metric = having.group_by("metric").agg(pl.col("cell").n_unique())
        if per_metric["cell"].n_unique() == 1:
            return NORMALISED
    return next((metric for metric in METRICS if metric in present), None)


def points(frames: Frames, metric: str | None) -> pl.DataFrame:
    """One value per cell and step (several rows of a step are averaged), in order of step."""
    return frames.once(("points", metric), lambda: _points(frames, metric))


def _points(frames: Frames, metric: str | None) -> pl.DataFrame:
    chosen = frames.rows.filter(pl.col("metric") == pl.lit(metric or ""))
    return (
        chosen.group_by("cell", "step")
        .agg(pl.col("value").mean(), pl.col("seconds").max())
        .sort("cell", "step")
    )


def final(frames: Frames, metric: str | None = None) -> pl.DataFrame:
    """The cells, in their order, with what each scored.

    Args:
      frames: the store.
      metric: default: `return_metric`.

    Returns:
      The columns of `frames.cells` with `last`, `tail` (mean of the last ten evaluations, or of all
      where there are fewer), `best`, `evaluations` and `last_step`; null in cells without a row.
      `best` leaves NaN out, the others do not.
    """
    metric = metric or return_metric(frames)
    return frames.once(("final", metric), lambda: _final(frames, metric))


def _final(frames: Frames, metric: str | None) -> pl.DataFrame:
    score = pl.col("value")
    per_cell = (
        points(frames, metric)
        .group_by("cell", maintain_order=True)
        .agg(
            last=score.last(),
            tail=score.tail(text.TAIL).mean(),
            best=score.filter(score.is_not_nan()).max(),
            evaluations=pl.len(),
            last_step=pl.col("step").last(),
        )
    )
    return frames.cells.join(per_cell, on="cell", how="left", maintain_order="left")


def of_frames(frames: Frames, column: str = "last", metric: str | None = None) -> Samples:
    """`samples` of `final`.

    Args:
      frames: the store.
      column: last, tail or best.
      metric: default: `return_metric`.
    """
    metric = metric or return_metric(frames)
    return frames.once(("samples", metric, column), lambda: samples(final(frames, metric), column))


def samples(scored: pl.DataFrame, column: str = "last") -> Samples:
    """Series to environment to the scores of its runs, all in order of appearance.

    A cell that turned to NaN or failed is a NaN, so that `stats` counts it; one that has not
    finished, or has no evaluation, is left out.

    Args:
      scored: from `final`.
      column: last, tail or best.
    """
    lost = pl.col("status").is_in(LOST)
    finished = scored.filter(lost | ((pl.col("status") == "done") & pl.col(column).is_not_null()))
    values = finished.with_columns(score=pl.when(lost).then(float("nan")).otherwise(pl.col(column)))
    out: Samples = {series: {} for series in scored["series"].unique(maintain_order=True)}
    grouped = values.group_by("series", "env", maintain_order=True).agg("score")
    for series, env, score in grouped.iter_rows():
        out[series][env] = np.array(score, np.float64)
    return out


def comparable(scored: Samples) -> Samples:
    """The series that cover the most environments, on the environments all of these share.

    Aggregates over different sets of environments cannot be set side by side.
    """
    covered = {
        series: {env: x for env, x in envs.items() if np.isfinite(x).any()}
        for series, envs in scored.items()
    }
    most = max(map(len, covered.values()), default=0)
    widest = {series: envs for series, envs in covered.items() if envs and len(envs) == most}
    shared = set.intersection(*(set(envs) for envs in widest.values())) if widest else set()
    return {s: {e: x for e, x in envs.items() if e in shared} for s, envs in widest.items()}


def normalise(
    scored: Samples, references: Mapping[str, tuple[float, float]] | None = None
) -> Samples:
    """Put environments on one scale.

    Args:
      scored: series to environment to scores.
      references: environment to (score that becomes 0, score that becomes 1), say of a random and
        of an expert policy. Where absent: the worst and the best run of all series here, so such
        scores compare these series with each other and mean nothing elsewhere.
    """
    bounds = {env: _range(scored, env) for envs in scored.values() for env in envs}
    bounds.update(references or {})
    return {
        series: {env: _scale(x, *bounds[env]) for env, x in envs.items()}
        for series, envs in scored.items()
    }


def _range(scored: Samples, env: str) -> tuple[float, float]:
    pooled = np.concatenate([envs[env] for envs in scored.values() if env in envs])
    finite = pooled[np.isfinite(pooled)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _scale(x: Floats, low: float, high: float) -> Floats:
    # All runs equal: nobody is worse than the best.
    return (x - low) / (high - low) if high > low else np.where(np.isnan(x), np.nan, 1.0)
