"""Data for searches: walks of random steps, queries near their rows, the oracle's answers."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import h5py
import jax
import jax.numpy as jnp
import numpy as np
from offline_tools import DERIVED

from rlsuite.data.neighbours import cache, exact, host, keys, table
from rlsuite.data.neighbours.keys import Found, Index

BETAS = (0.0, 2.0, 7.5, 100.0)


class Asked(NamedTuple):
    """Queries: rows of the data with their actions disturbed."""

    obs: Any
    action: Any
    place: Any


def walk(rows: int, states: int = 17, actions: int = 6, seed: int = 0) -> Index:
    """A standardised random walk, and actions that follow it in part."""
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(size=(rows, states)), 0)
    drift = path @ rng.normal(size=(states, actions)) / np.sqrt(rows)
    action = np.tanh(drift + 0.5 * rng.normal(size=(rows, actions)))
    return keys.index(path, action, path.mean(0), path.std(0) + 1e-3)


def cloud(rows: int, states: int = 3, actions: int = 2, seed: int = 0) -> Index:
    """Independent points."""
    rng = np.random.default_rng(seed)
    obs, action = rng.normal(size=(rows, states)), rng.uniform(-1, 1, (rows, actions))
    return keys.index(obs, action, 0.0, 1.0)


def derived(name: str) -> Index:
    """A file of recorded transitions, as PRDC sees it."""
    with h5py.File(DERIVED / f"{name}-x1.hdf5") as file:
        columns = [np.asarray(file[c]) for c in ("observations", "actions", "timeouts")]
    obs, action, keep = *(c[:-1] for c in columns[:2]), ~columns[2][:-1]
    obs, action = obs[keep], action[keep]
    return keys.index(obs, action, obs.mean(0), obs.std(0) + 1e-3)


def near_rows(index: Index, count: int, noise: float = 0.3, seed: int = 1) -> Asked:
    """Rows with replacement, their actions plus noise within [-1, 1]."""
    rng = np.random.default_rng(seed)
    rows, size = index.keys.shape[0], index.divisor.shape[0]
    place = jnp.asarray(rng.integers(0, rows, count), jnp.int32)
    own = np.asarray(index.keys[place, size:])
    action = np.clip(own + noise * rng.normal(size=own.shape), -1, 1).astype(np.float32)
    return Asked(keys.own(index, place), jnp.asarray(action), place)


def with_table(index: Index, k: int) -> Index:
    """With a table of its own, not kept."""
    built = cache.build(np.asarray(keys.states(index)), k)
    return index._replace(table=keys.Table(*map(jnp.asarray, built)))


def search(way: str, index: Index, asked: Asked, beta: Any, batch: int = 256, **how: Any) -> Found:
    """A backend on all queries, in minibatches; `how` is static."""
    if way == "host":
        return host.search(index, *asked, beta)
    function: Any = {"exact": exact.search, "table": table.search}[way]
    program = jax.jit(partial(function, **how))
    count = len(asked.place)
    parts = [
        program(index, *(x[start : start + batch] for x in asked), beta)
        for start in range(0, count, batch)
    ]
    return jax.tree.map(lambda *xs: np.concatenate([np.asarray(x) for x in xs]), *parts)


def distances(index: Index, asked: Asked, place: Any, beta: Any) -> np.ndarray:
    """Of given rows, in double precision."""
    size = index.divisor.shape[0]
    query = np.concatenate([np.asarray(x, np.float64) for x in asked[:2]], 1)
    apart = query - np.asarray(index.keys, np.float64)[np.asarray(place)]
    apart[:, :size] *= np.asarray(beta, np.float64)
    return np.sqrt(np.square(apart).sum(-1))


def agreement(index: Index, asked: Asked, found: Found, beta: Any) -> tuple[float, float, float]:
    """Against the oracle: (share of equal rows, share of rows as near but for a float32's rounding
    of d^2, share certified)."""
    oracle = host.search(index, *asked, beta)
    mine = distances(index, asked, found.place, beta)
    near = mine <= oracle.distance * (1 + 1e-6)
    same = np.asarray(found.place) == oracle.place
    return float(same.mean()), float(near.mean()), float(np.asarray(found.certified).mean())
