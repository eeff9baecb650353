"""Which of many series get a colour of their own: a figure with thirty colours says nothing.

It is decided once for a page, so that a series has one colour in all of its figures. Where there
are too many, the named ones are those with the most seeds, of these the best; ties share a rank, so
that the order in which series stand in a file decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import polars as pl

from rlsuite.analysis.figures.style import Look, looks
from rlsuite.analysis.stats import stats
from rlsuite.analysis.stats.bootstrap import Floats

MOST = 8
# So many of the muted lines show their spread; more would only make the file large.
MOST_MUTED = 150
# Scores this close, as a share, are equal: means of equal numbers may differ in the last digits.
_TIE = 1e-11

T = TypeVar("T")
# Runs an environment, then environments.
Fullness = tuple[float, ...]


def ranked(
    values: Mapping[str, Iterable[float]], fullness: Mapping[str, Fullness] | None = None
) -> list[str]:
    """Series, best first: by their mean rank over the environments in which they have a value.

    Equal values share the mean of their ranks. Series without any value come last.

    Args:
      values: series to its score in each environment (NaN where it has none).
      fullness: series to how much stands behind it (`fullness`); what has less never comes before
        what has more. Default: all the same.
    """
    columns = {series: np.array(list(v), np.float64) for series, v in values.items()}
    if not columns:
        return []
    ranks = np.stack([_ranks(column) for column in np.stack(list(columns.values())).T], axis=1)
    counted = np.isfinite(ranks).sum(axis=1)
    total = np.nansum(ranks, axis=1)
    mean = np.where(counted > 0, total / np.maximum(counted, 1), np.inf)
    names = list(columns)

    def place(i: int) -> tuple[bool, Fullness, float]:
        full = (fullness or {}).get(names[i], ())
        return bool(np.isinf(mean[i])), tuple(-number for number in full), float(mean[i])

    return [names[i] for i in sorted(range(len(names)), key=place)]


def _ranks(column: Floats) -> Floats:
    """0 for the highest; NaN where there is no finite value."""
    out = np.full(column.shape, np.nan)
    order = np.argsort(np.where(np.isfinite(column), -column, np.nan), kind="stable")
    order = order[: np.isfinite(column).sum()]
    if order.size:
        falling = column[order]
        apart = -np.diff(falling) > _TIE * np.maximum(np.abs(falling[:-1]), np.abs(falling[1:]))
        which = np.cumsum(np.concatenate([[False], apart]))
        counts = np.bincount(which)
        out[order] = (np.cumsum(counts) - (counts + 1) / 2)[which]
    return out


def fullness(samples: Mapping[str, Mapping[str, Sequence[float] | Floats]]) -> dict[str, Fullness]:
    """Series to its mean number of runs an environment, lost ones too, and its environments."""
    out: dict[str, Fullness] = {}
    for series, envs in samples.items():
        sizes = [len(scores) for scores in envs.values() if len(scores)]
        out[series] = (float(np.mean(sizes)), float(len(sizes))) if sizes else (0.0, 0.0)
    return out


def highlighted(
    series: Iterable[str],
    values: Mapping[str, Iterable[float]],
    most: int = MOST,
    fullness: Mapping[str, Fullness] | None = None,
) -> dict[str, Look]:
    """The looks of the series to name: all where they are few, else the first of `ranked`; always
    in the order of `series`, which gives the colours.

    Args:
      series: all of them, in the order in which they were given.
      values: see `ranked`.
      most: how many are few.
      fullness: see `ranked`.
    """
    names = list(dict.fromkeys(series))
    if len(names) <= most:
        return looks(names)
    chosen = set(ranked(values, fullness)[: most - 2])
    return looks([name for name in names if name in chosen])


def of_page(scored: pl.DataFrame) -> dict[str, Look]:
    """The looks of a whole page, by the scores that its runs have reached so far.

    Args:
      scored: from `scores.final`, in the order in which the series were given.
    """
    envs = scored["env"].unique(maintain_order=True).to_list()
    lost = pl.col("status").is_in(["nan", "failed"])
    score = pl.when(lost).then(float("nan")).otherwise(pl.col("last"))
    having = scored.filter(lost | pl.col("last").is_not_null()).with_columns(score=score)
    samples: dict[str, dict[str, Floats]] = {
        series: {} for series in scored["series"].unique(maintain_order=True)
    }
    for series, env, column in having.group_by("series", "env").agg("score").iter_rows():
        samples[series][env] = np.array(column, np.float64)
    values = {
        series: [stats.iqm(x[np.isfinite(x)]) if (x := by_env.get(env)) is not None else np.nan
                 for env in envs]
        for series, by_env in samples.items()
    }  # fmt: skip
    return highlighted(samples, values, fullness=fullness(samples))


def some(muted: Sequence[T], most: int = MOST_MUTED) -> Sequence[T]:
    """All of them, or as many as `most`, evenly spread over their order."""
    return muted[:: -(-len(muted) // most) or 1]
