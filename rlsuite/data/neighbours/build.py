"""Tables of nearest states, built once on the host or on an accelerator.

Two ways to the same rows: SciPy's KD-tree, unbeaten on few dimensions and slow on many (on 60,000
rows of Hopper 0.09 ms of processor time a row, of HalfCheetah 0.65, of a diffuse walk in 17
dimensions 25), and the products of `exact`, whose cost depends on nothing but sizes (0.12 to 0.15).
Both are tried on a few rows and the faster one is taken. What it lists is measured again in double
precision, and a row whose list is not proved to be right is asked of the tree: the choice does not
show in the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rlsuite.data.neighbours import exact
from rlsuite.data.neighbours.keys import squared
from rlsuite.io.machine import cores

BATCH, GROUP, SPARE = 512, 16, 8
PROBES = 32
SAY_SECONDS = 15.0
Say = Callable[[str], None]
# Row numbers[b] -> at least as many of the nearest rows as were asked for, in any order.
Way = Callable[[Int[np.ndarray, " b"]], Int[np.ndarray, "b c"]]


class HostTable(NamedTuple):
    """`keys.Table` as numpy arrays."""

    places: Int[np.ndarray, "n k"]
    radius: Float[np.ndarray, " n"]


def build(
    states: Float[np.ndarray, "n s"],
    k: int,
    say: Say = lambda line: None,
    way: Callable[[Any, int], Way] | None = None,
) -> HostTable:
    """The k nearest rows of each row, itself first.

    The radius is the distance to the nearest row left out, the (k + 1)-th, rounded down.

    Args:
      states: standardised.
      k: rows kept of each; all of them where there are fewer.
      say: told now and then how far it is.
      way: `by_tree` or `by_products`; default the faster.
    """
    rows, wide = len(states), np.asarray(states, np.float64)
    k, count = min(k, rows), min(k + 1, rows)
    ask = way(states, count) if way else faster(states, count)
    clock = Clock(rows, say)
    places, radius = np.empty((rows, k), np.int32), np.full(rows, np.inf, np.float32)
    for start in range(0, rows, BATCH):
        # Always whole batches, or the last would be compiled anew.
        own = np.arange(min(start, max(rows - BATCH, 0)), min(start + BATCH, rows))
        found, distance = ordered(wide, own, ask(own), count)
        places[own] = found[:, :k]
        if k < rows:
            radius[own] = rounded_down(distance[:, k])
        clock.tell(int(own[-1]) + 1)
    return HostTable(places, radius)


def faster(states: Float[np.ndarray, "n s"], count: int) -> Way:
    """The way that answers a few rows in less time."""
    rows = len(states)
    ways = [by_tree(states, count), by_products(states, count)]
    probe = np.linspace(0, rows - 1, min(BATCH, rows)).astype(np.int64)
    # The first call compiles.
    ways[1](probe)
    seconds = [seconds_per_row(ways[0], probe[:: -(-len(probe) // PROBES)]),
               seconds_per_row(ways[1], probe)]  # fmt: skip
    return ways[int(np.argmin(seconds))]


def seconds_per_row(way: Way, rows: Int[np.ndarray, " b"]) -> float:
    """Of one call."""
    start = time.perf_counter()
    way(rows)
    return (time.perf_counter() - start) / len(rows)


def by_tree(states: Float[np.ndarray, "n s"], count: int) -> Way:
    """SciPy's KD-tree, on all cores."""
    from scipy.spatial import KDTree

    wide = np.asarray(states, np.float64)
    tree: Any = KDTree(wide)
    # Ranks as a list: of one rank SciPy would drop the axis.
    ranks = list(range(1, count + 1))
    return lambda own: tree.query(wide[own], k=ranks, workers=cores())[1]


def by_products(states: Float[np.ndarray, "n s"], count: int) -> Way:
    """The shortlist of `exact`, compiled, on jax's device.

    The `count` nearest rows lie in no more than `count` groups, so that with a few spare ones for
    rounding almost every list is proved to hold them; the others are the tree's.
    """
    keys, tree = jnp.asarray(states), None
    listed = jax.jit(partial(nearest, count=count))

    def ask(own: Int[np.ndarray, " b"]) -> Int[np.ndarray, "b c"]:
        nonlocal tree
        found, proved = map(np.array, listed(keys, own))
        if not proved.all():
            tree = tree or by_tree(states, count)
            found[~proved] = tree(own[~proved])
        return found

    return ask


def nearest(
    keys: Float[Array, "n s"], own: Int[Array, " b"], count: int
) -> tuple[Int[Array, "b c"], Bool[Array, " b"]]:
    """(the `count` rows nearest to some rows, whether it is proved that they are).

    Args:
      keys: standardised states.
      own: numbers of the rows whose neighbours are looked for.
      count: rows for each, itself among them.
    """
    queries, weights = keys[own], jnp.ones(keys.shape[1])
    few = exact.shortlist(keys, queries, weights, group=GROUP, wide=count + SPARE)
    distance = squared(keys, few.places, queries, weights)
    distance = jnp.where(few.fresh, distance, jnp.inf)
    least, best = jax.lax.optimization_barrier(jax.lax.top_k(-distance, count))
    norm, last = jnp.square(queries).sum(-1), -least[:, -1]
    proved = exact.beyond(few.left, norm, jnp.sqrt(last), keys.shape[1]) > last
    return jnp.take_along_axis(few.places, best, 1), proved


def ordered(
    wide: Float[np.ndarray, "n s"],
    own: Int[np.ndarray, " b"],
    found: Int[np.ndarray, "b c"],
    count: int,
) -> tuple[Int[np.ndarray, "b c"], Float[np.ndarray, "b c"]]:
    """(rows, distances) by distance in double precision, equals by number, each row itself first;
    if it is not in its list (it has many copies), it takes the last place.

    Args:
      wide: standardised states.
      own: numbers of the rows whose neighbours were looked for.
      found: at least `count` rows for each, in any order.
      count: rows kept of each.
    """
    here = found == own[:, None]
    found = np.where(here.any(1)[:, None], found, np.c_[found[:, :-1], own])
    distance = np.sqrt(np.square(wide[own][:, None] - wide[found]).sum(-1))
    first = np.where(found == own[:, None], -1.0, distance)
    order = np.lexsort((found, first), axis=1)[:, :count]
    return np.take_along_axis(found, order, 1), np.take_along_axis(distance, order, 1)


def rounded_down(distance: Float[np.ndarray, " b"]) -> Float[np.ndarray, " b"]:
    """Float32 numbers below the given ones, none below zero."""
    return np.maximum(np.nextafter(distance.astype(np.float32), np.float32(-1)), np.float32(0))


class Clock:
    """Says how far a long loop is."""

    def __init__(self, total: int, say: Say) -> None:
        self.total, self.say = total, say
        self.start = self.said = time.monotonic()

    def tell(self, done: int) -> None:
        """A line, where the last is a while ago."""
        now = time.monotonic()
        if now - self.said >= SAY_SECONDS and done < self.total:
            left = (now - self.start) / done * (self.total - done)
            self.say(f"{done:,} of {self.total:,} rows, {left / 60:.1f} minutes left")
            self.said = now
