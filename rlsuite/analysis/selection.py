"""Which of many series get a colour of their own: a figure with thirty colours says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from rlsuite.analysis.style import Look, looks

MOST = 8
# So many of the muted lines show their spread; more would only make the file large.
MOST_MUTED = 150

T = TypeVar("T")


def ranked(values: Mapping[str, Iterable[float]]) -> list[str]:
    """Series by their mean rank over the environments in which they have a value, best first."""
    columns = {series: np.array(list(v), np.float64) for series, v in values.items()}
    if not columns:
        return []
    table = np.stack(list(columns.values()))
    ranks = np.full(table.shape, np.nan)
    for j, column in enumerate(table.T):
        some = np.flatnonzero(np.isfinite(column))
        ranks[some[np.argsort(-column[some], kind="stable")], j] = np.arange(some.size)
    counted = np.isfinite(ranks).sum(axis=1)
    total = np.nansum(ranks, axis=1)
    mean = np.where(counted > 0, total / np.maximum(counted, 1), np.inf)
    names = list(columns)
    return [names[i] for i in np.argsort(mean, kind="stable")]


def highlighted(
    series: Iterable[str], values: Mapping[str, Iterable[float]], most: int = MOST
) -> dict[str, Look]:
    """The looks of the series to name: all where they are few, else the best ones in order.

    Args:
      series: all of them, in their order.
      values: series to its score in each environment (NaN where it has none).
      most: how many are few.
    """
    names = list(dict.fromkeys(series))
    if len(names) <= most:
        return looks(names)
    return looks(ranked(values)[: most - 2])


def some(muted: Sequence[T], most: int = MOST_MUTED) -> Sequence[T]:
    """All of them, or as many as `most`, evenly spread over their order."""
    return muted[:: -(-len(muted) // most) or 1]
