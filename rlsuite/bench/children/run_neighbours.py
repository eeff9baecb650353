"""Nearest-neighbour searches on one core. `python -m ... ORDER`, a JSON object."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rlsuite.bench.children.serve import serve
from rlsuite.bench.children.walk import walk
from rlsuite.data.neighbours import build, exact, host, keys, table
from rlsuite.data.neighbours.keys import Index


def indexed(order: dict[str, Any]) -> tuple[Index, float]:
    """The index with its table, and the seconds that took. Never from the disk."""
    obs, action = walk(order["rows"], order["states"], order["actions"], order["seed"])
    index = keys.index(obs, action, obs.mean(0), obs.std(0) + 1e-3)
    start = time.perf_counter()
    built = build.build(np.asarray(keys.states(index)), order["neighbours"])
    seconds = time.perf_counter() - start
    return index._replace(table=keys.Table(*map(jnp.asarray, built))), seconds


def minibatch(index: Index, order: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Rows whose actions are disturbed."""
    rng = np.random.default_rng(order["seed"])
    place = jnp.asarray(rng.integers(0, order["rows"], order["batch"]), jnp.int32)
    own = np.asarray(index.keys[place, order["states"] :])
    action = np.clip(own + order["noise"] * rng.normal(size=own.shape), -1, 1)
    return keys.own(index, place), jnp.asarray(action, jnp.float32), place


def compiled(search: Any, index: Index, asked: Any, beta: Any) -> tuple[Callable[[], Any], int]:
    """(one search of a minibatch, the bytes it works in).

    Args:
      search: of `exact` or `table`.
      index: what is searched.
      asked: (obs, action, place) of the minibatch.
      beta: weight of the state.
    """
    program = jax.jit(search).lower(index, *asked, beta).compile()
    analysis: Any = program.memory_analysis()
    return lambda: jax.block_until_ready(program(index, *asked, beta)), analysis.temp_size_in_bytes


def timed(search: Callable[[], Any], seconds: float) -> float:
    """Minibatches searched per second."""
    count, start = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - start < seconds:
        search()
        count += 1
    return count / (time.perf_counter() - start)


def main(argv: list[str]) -> None:
    """Build, compile, then serve `table`, `exact` and `host`."""
    order = json.loads(argv[0])
    index, build_seconds = indexed(order)
    asked, beta = minibatch(index, order), jnp.float32(order["beta"])
    assert index.table is not None
    of_keys, of_table = index.keys.nbytes, index.table.places.nbytes + index.table.radius.nbytes
    bare = index._replace(table=None)
    by_table, table_works = compiled(table.search, index, asked, beta)
    by_all, exact_works = compiled(exact.search, bare, asked, beta)
    ask = host.searcher(index, order["beta"])
    ways = {"table": by_table, "exact": by_all, "host": partial(ask, *asked)}
    memory = {"table": of_keys + of_table + table_works, "exact": of_keys + exact_works}
    truth = ways["host"]()
    right = {name: float(np.mean(ways[name]().distance <= truth.distance * (1 + 1e-6)))
             for name in ways}  # fmt: skip
    serve(
        {name: partial(timed, way, order["seconds"]) for name, way in ways.items()},
        build_seconds=build_seconds,
        # SciPy's tree holds the keys in double precision and as many bytes again, about.
        memory=memory | {"host": 4 * of_keys},
        right=right,
        certified={name: float(np.mean(ways[name]().certified)) for name in ways},
        self_neighbour=float(np.mean(truth.place == np.asarray(asked[2]))),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
