"""Resampling runs within strata, written as counts: how often each run was drawn.

A resample is a row of counts, so one sort of the scores serves every resample: an interquartile
mean becomes a clipped cumulative sum and a matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Statistic = Callable[[Counts], Floats]

# Bounds what one block of resamples holds in memory to tens of megabytes.
_BLOCK = 4_000_000


def trimmed(counts: Counts, scores: Floats, cut: int) -> Floats:
    """Mean of each resample without its `cut` smallest and `cut` largest members.

    Args:
      counts: [resamples, runs], every row with the same total.
      scores: [runs].
      cut: how many are dropped at either end; less than half of the total.

    Returns:
      [resamples]
    """
    order = np.argsort(scores, kind="stable")
    drawn = counts[:, order]
    upto = np.cumsum(drawn, axis=1)
    total = int(upto[0, -1])
    kept = np.clip(upto, cut, total - cut) - np.clip(upto - drawn, cut, total - cut)
    return kept @ scores[order] / (total - 2 * cut)


def resample(sizes: Sequence[int], reps: int, seed: int) -> Iterator[Counts]:
    """Draw runs with replacement within each stratum.

    Args:
      sizes: runs in each stratum.
      reps: how many resamples.
      seed: equal seeds draw equal resamples.

    Yields:
      Blocks of counts [block, sum(sizes)], strata side by side; `reps` rows in all.
    """
    rng = np.random.default_rng(seed)
    block = max(1, min(reps, _BLOCK // max(1, sum(sizes))))
    for start in range(0, reps, block):
        rows = min(block, reps - start)
        yield np.concatenate([_counts(rng, size, rows) for size in sizes], axis=1)


def _counts(rng: np.random.Generator, size: int, rows: int) -> Counts:
    drawn = rng.integers(0, size, (rows, size)) + np.arange(rows)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)


def interval(values: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Percentile interval over the first axis."""
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(values, [tail, 100.0 - tail], axis=0)
    return np.asarray(low), np.asarray(high)
