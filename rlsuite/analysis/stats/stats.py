"""Point estimates and stratified bootstrap intervals over runs (Agarwal et al., 2021).

Scores come as a mapping from environment to the scores of its runs; environments are the strata:
runs are resampled within each. With several environments the scores must share a scale
(`scores.normalise`). Equal seeds give equal intervals.

A score that is not a finite number (a seed that turned to NaN or failed) has no place in a mean
and no honest worst value either: it is left out of the point estimate and counted in `n_nan`, which
everything that prints a number prints beside it. Hence an estimate with `n_nan > 0` speaks of the
surviving seeds only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from rlsuite.analysis.stats import bootstrap
from rlsuite.analysis.stats.bootstrap import Counts, Floats
from rlsuite.contracts.errors import UsageError, nearest

StatisticName = Literal["iqm", "mean", "median", "optimality_gap"]
Scores = Mapping[str, ArrayLike]

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number, its interval (NaN where there is none), and the runs behind it."""

    value: float
    low: float
    high: float
    n: int
    n_nan: int

    @property
    def has_interval(self) -> bool:
        """False with a single run in some environment: nothing can be said of its spread."""
        return bool(np.isfinite(self.low))


@dataclass(frozen=True)
class Profile:
    """Fraction of runs that score above each threshold, with a pointwise interval."""

    thresholds: Floats
    value: Floats
    low: Floats
    high: Floats
    n: int
    n_nan: int


@dataclass(frozen=True)
class Strata:
    """Finite scores of the environments that have any, side by side, and how many were lost."""

    scores: Floats
    sizes: tuple[int, ...]
    n_nan: int

    @property
    def weights(self) -> Floats:
        """What each run counts for when every environment counts the same."""
        return np.concatenate([np.full(n, 1.0 / (n * len(self.sizes))) for n in self.sizes])

    @property
    def resampleable(self) -> bool:
        """Whether every environment has runs to choose between."""
        return bool(self.sizes) and min(self.sizes) > 1


def _strata(scores: Scores) -> Strata:
    arrays = [np.asarray(values, np.float64).ravel() for values in scores.values()]
    finite = [array[np.isfinite(array)] for array in arrays]
    lost = sum(array.size for array in arrays) - sum(array.size for array in finite)
    present = [array for array in finite if array.size]
    joined = np.concatenate(present) if present else np.empty(0)
    return Strata(joined, tuple(array.size for array in present), lost)


def iqm(scores: ArrayLike) -> float:
    """Interquartile mean: the mean without the lowest and highest quarter (rounded down) of runs.

    Equals `scipy.stats.trim_mean(scores, 0.25, axis=None)`, the definition rliable uses.
    """
    values = np.sort(np.asarray(scores, np.float64), axis=None)
    cut = values.size // 4
    return float(values[cut : values.size - cut].mean()) if values.size else float("nan")


def check_statistic(name: str) -> None:
    """Refuse a name that is no statistic.

    Raises:
      UsageError: with the nearest name.
    """
    if name not in get_args(StatisticName):
        raise UsageError(f"no statistic {name!r}: {nearest(name, get_args(StatisticName))}")


def evaluate(name: StatisticName, counts: Counts, strata: Strata, gamma: float) -> Floats:
    """A statistic of each resample; [resamples].

    Args:
      name: of the statistic.
      counts: [resamples, runs], how often each run is drawn.
      strata: the runs, in the same order.
      gamma: the score regarded as solved; optimality gap only.
    """
    total, sizes = strata.scores.size, strata.sizes
    if name == "iqm":
        return bootstrap.trimmed(counts, strata.scores, total // 4)
    if name == "mean":
        return counts @ (strata.weights * strata.scores)
    if name == "optimality_gap":
        return gamma - counts @ (strata.weights * np.minimum(strata.scores, gamma))
    if len(sizes) == 1:
        return bootstrap.trimmed(counts, strata.scores, (total - 1) // 2)
    edges = np.cumsum((0, *sizes))[:-1]
    sums = np.add.reduceat(counts * strata.scores, edges, axis=1)
    return np.median(sums / np.asarray(sizes), axis=1)


def estimate(
    scores: Scores | ArrayLike,
    statistic: StatisticName = "iqm",
    *,
    confidence: float = CONFIDENCE,
    reps: int = RESAMPLES,
    seed: int = 0,
    gamma: float = 1.0,
) -> Estimate:
    """A statistic of runs with its stratified bootstrap interval.

    Args:
      scores: environment to the scores of its runs, or the runs of one environment.
      statistic: `iqm` over all runs pooled; `mean` of the environments' means; `median` of the
        environments' means (of the runs, when there is one environment); `optimality_gap`, by how
        much scores clipped at `gamma` fall short of it on average.
      confidence: what fraction of resamples the interval holds (percentile interval).
      reps: bootstrap resamples.
      seed: of the resampling.
      gamma: the score regarded as solved; optimality gap only.

    Raises:
      UsageError: an unknown statistic.
    """
    check_statistic(statistic)
    strata = _strata(scores if isinstance(scores, Mapping) else {"": scores})
    if not strata.sizes:
        return Estimate(np.nan, np.nan, np.nan, 0, strata.n_nan)
    once = np.ones((1, strata.scores.size), np.int64)
    value = float(evaluate(statistic, once, strata, gamma)[0])
    low = high = float("nan")
    if strata.resampleable:
        blocks = bootstrap.resample(strata.sizes, reps, seed)
        drawn = np.concatenate([evaluate(statistic, c, strata, gamma) for c in blocks])
        low, high = (float(edge) for edge in bootstrap.interval(drawn, confidence))
    return Estimate(value, low, high, strata.scores.size, strata.n_nan)


def performance_profile(
    scores: Scores,
    thresholds: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    reps: int = RESAMPLES,
    seed: int = 0,
) -> Profile:
    """Fraction of runs above each threshold, environments counting the same.

    Args:
      scores: environment to the scores of its runs.
      thresholds: [T], increasing.
      confidence: of the pointwise interval.
      reps: bootstrap resamples.
      seed: of the resampling.
    """
    taus, strata = np.asarray(thresholds, np.float64), _strata(scores)
    above = (strata.scores[:, None] > taus).astype(np.float64)
    low = high = np.full(taus.shape, np.nan)
    if not strata.sizes:
        return Profile(taus, low, low, high, 0, strata.n_nan)
    weighted = strata.weights[:, None] * above
    if strata.resampleable:
        blocks = bootstrap.resample(strata.sizes, reps, seed)
        drawn = np.concatenate([counts @ weighted for counts in blocks])
        low, high = bootstrap.interval(drawn, confidence)
    return Profile(taus, weighted.sum(axis=0), low, high, strata.scores.size, strata.n_nan)
