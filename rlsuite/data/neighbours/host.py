"""The nearest row by SciPy's KD-tree in double precision: slow, simple, and not for programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rlsuite.data.neighbours.keys import Found, Index


def search(index: Index, obs: Any, action: Any, place: Any, beta: Any) -> Found:
    """As `exact.search`, on the host, numpy arrays. A tree is built in every call: see `searcher`.

    Args:
      index: what is searched.
      obs: [b, s], standardised as the index is.
      action: [b, a], of the queries.
      place: not used: of equals any may be found.
      beta: weight of the state, or of each of its entries.
    """
    return searcher(index, beta)(obs, action, place)


def searcher(index: Index, beta: Any) -> Callable[[Any, Any, Any], Found]:
    """(obs, action, place) -> the nearest rows, on a tree that is built once: for one beta."""
    from scipy.spatial import KDTree

    size, keys = index.divisor.shape[0], np.asarray(index.keys, np.float64)
    factor = np.ones(keys.shape[1])
    factor[:size] = np.asarray(beta, np.float64)
    tree: Any = KDTree(keys * factor)

    def ask(obs: Any, action: Any, place: Any) -> Found:
        queries = np.concatenate([np.asarray(obs, np.float64), np.asarray(action, np.float64)], 1)
        distance, found = tree.query(queries * factor)
        columns: Any = (found.astype(np.int32), distance, np.ones(len(found), bool))
        return Found(*columns)

    return ask
