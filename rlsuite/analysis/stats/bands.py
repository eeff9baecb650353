"""A statistic and its bootstrap interval for each column of a matrix of runs."""

from __future__ import annotations

import numpy as np

from rlsuite.analysis.stats import bootstrap, stats
from rlsuite.analysis.stats.bootstrap import Floats
from rlsuite.analysis.stats.stats import CONFIDENCE, StatisticName

# Pointwise bands are drawn, not printed, and the more runs the smoother they are: fewer resamples
# than for a number in a table, and fewer still with many runs.
_MOST, _LEAST, _DRAWS = 1000, 300, 300_000


def bands(
    runs: Floats,
    statistic: StatisticName = "iqm",
    *,
    confidence: float = CONFIDENCE,
    reps: int | None = None,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """A statistic over the runs present in each column, with its interval.

    Columns with the same runs share their resamples, so a band is as smooth as its runs are.

    Args:
      runs: [runs, columns], NaN where a run is absent.
      statistic: see `stats.estimate`.
      confidence: of the percentile interval.
      reps: bootstrap resamples; default: 1000, with many runs down to 300.
      seed: of the resampling.

    Returns:
      (value, low, high), each [columns]; NaN where no run, or no interval.
    """
    value, low, high = (np.full(runs.shape[1], np.nan) for _ in range(3))
    present = np.isfinite(runs)
    masks, group = np.unique(present, axis=1, return_inverse=True)
    for index, mask in enumerate(masks.T):
        columns = np.flatnonzero(group == index)
        some = runs[np.ix_(mask, columns)]
        if not len(some):
            continue
        once = np.ones((1, len(some)), np.int64)
        value[columns] = _evaluate(statistic, once, some)[0]
        if len(some) > 1:
            count = reps or max(_LEAST, min(_MOST, _DRAWS // len(some)))
            blocks = bootstrap.resample([len(some)], count, seed)
            drawn = np.concatenate([_evaluate(statistic, counts, some) for counts in blocks])
            low[columns], high[columns] = bootstrap.interval(drawn, confidence)
    return value, low, high


def _evaluate(statistic: StatisticName, counts: bootstrap.Counts, runs: Floats) -> Floats:
    strata = (stats.Strata(column, (len(column),), 0) for column in runs.T)
    return np.stack([stats.evaluate(statistic, counts, s, gamma=1.0) for s in strata], axis=1)
