"""How likely a run of one algorithm scores above a run of another (Agarwal et al., 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike

from rlsuite.analysis.stats import bootstrap
from rlsuite.analysis.stats.bootstrap import Counts, Floats
from rlsuite.analysis.stats.stats import CONFIDENCE, RESAMPLES, Estimate


def probability_of_improvement(
    x: Mapping[str, ArrayLike],
    y: Mapping[str, ArrayLike],
    *,
    confidence: float = CONFIDENCE,
    reps: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """P(X > Y) + P(X = Y) / 2 for a run of each, averaged over the environments both have.

    Needs no common scale between environments: only runs of the same environment are compared.

    Args:
      x: environment to the scores of its runs.
      y: likewise, of the algorithm compared with.
      confidence: of the percentile interval; runs of both sides are resampled.
      reps: bootstrap resamples.
      seed: of the resampling.

    Returns:
      The estimate; `n` counts the runs of both sides, and so does `n_nan`.
    """
    pairs, n, n_nan = _pairs(x, y)
    if not pairs:
        return Estimate(np.nan, np.nan, np.nan, n, n_nan)
    wins = [_wins(a, b) for a, b in pairs]
    value = float(np.mean([w.mean() for w in wins]))
    if min(size for w in wins for size in w.shape) < 2:
        return Estimate(value, np.nan, np.nan, n, n_nan)
    rows = bootstrap.resample([w.shape[0] for w in wins], reps, seed)
    # Another stream, or equal-sized sides would be resampled in step.
    columns = bootstrap.resample([w.shape[1] for w in wins], reps, seed + 1)
    drawn = _resampled(wins, rows, columns)
    low, high = (float(edge) for edge in bootstrap.interval(drawn, confidence))
    return Estimate(value, low, high, n, n_nan)


def _pairs(
    x: Mapping[str, ArrayLike], y: Mapping[str, ArrayLike]
) -> tuple[list[tuple[Floats, Floats]], int, int]:
    pairs, n, n_nan = [], 0, 0
    for env in (env for env in x if env in y):
        sides = [np.asarray(side[env], np.float64).ravel() for side in (x, y)]
        a, b = (side[np.isfinite(side)] for side in sides)
        n += a.size + b.size
        n_nan += sum(side.size for side in sides) - a.size - b.size
        if a.size and b.size:
            pairs.append((a, b))
    return pairs, n, n_nan


def _wins(a: Floats, b: Floats) -> Floats:
    """[runs of a, runs of b]: 1 where a is above, 1/2 where they tie."""
    return (a[:, None] > b) + 0.5 * (a[:, None] == b)


def _resampled(wins: list[Floats], rows: Iterator[Counts], columns: Iterator[Counts]) -> Floats:
    drawn_rows, drawn_columns = np.concatenate(list(rows)), np.concatenate(list(columns))
    total, i, j = np.zeros(len(drawn_rows)), 0, 0
    for w in wins:
        a, b = w.shape
        left = drawn_rows[:, i : i + a] @ w
        total += np.einsum("rj,rj->r", left, drawn_columns[:, j : j + b]) / w.size
        i, j = i + a, j + b
    return total / len(wins)
