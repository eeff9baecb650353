"""The nearest of all rows, by brute force.

Two steps. A matrix product gives |x_j|^2 - 2 q x_j for every row, chunk by chunk, of which only the
least of each group of consecutive rows is kept. The rows of the few best groups are then measured
by differences, which lose nothing, and the nearest of them is the answer. It is proved if the best
of the groups left out is farther by more than float32 products may be wrong by:

    T + |q|^2 - c (2 |q| + d)^2 > d^2

with T the least product left out, d the distance found and c a few roundings per dimension. (If a
row left out were nearer than d, then its |x| <= |q| + d, its product would be wrong by at most
c (|q| + |x|)^2, and so T could not be that large.)
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rlsuite.data.neighbours.keys import Beta, Found, Index, decide, query, slack

GROUP, WIDE = 64, 4


def default_chunk() -> int:
    """Rows of one matrix product: what stays in a core's cache, or what fills an accelerator."""
    return 1024 if jax.default_backend() == "cpu" else 65_536


def search(
    index: Index,
    obs: Float[Array, "b s"],
    action: Float[Array, "b a"],
    place: Int[Array, " b"],
    beta: Beta,
    *,
    chunk: int | None = None,
    group: int = GROUP,
    wide: int = WIDE,
) -> Found:
    """The nearest row to each query.

    Args:
      index: what is searched.
      obs: standardised as the index is.
      action: of the queries.
      place: a row that is measured too and wins ties: the query's own, where it has one.
      beta: weight of the state, or of each of its entries.
      chunk: rows of one matrix product; chunk x b floats are live. None: `default_chunk`.
      group: consecutive rows of which one product is kept.
      wide: groups that are measured by differences.
    """
    queries, weights = query(index, obs, action, beta)
    keys = jax.lax.stop_gradient(index.keys)
    few = shortlist(keys, queries, weights, chunk=chunk, group=group, wide=wide)
    rows = jnp.concatenate([place[:, None], few.places], 1)
    found, squared = decide(index, rows, queries, weights)
    norm = (jnp.square(queries) * weights).sum(-1)
    certified = beyond(few.left, norm, jnp.sqrt(squared), queries.shape[1]) > squared
    return Found(found, jnp.sqrt(squared), certified)


def beyond(
    left: Float[Array, " b"], norm: Float[Array, " b"], distance: Float[Array, " b"], size: int
) -> Float[Array, " b"]:
    """A bound from below on the squared distance of the rows that are left out and nearer than
    `distance`; infinite where none is left out. See above.

    Args:
      left: least product left out.
      norm: |q|^2.
      distance: found.
      size: dimensions.
    """
    return left + norm - slack(size) * jnp.square(2 * jnp.sqrt(norm) + distance)


class Shortlist(NamedTuple):
    """The rows that may be the nearest.

    Attributes:
      places: whole groups.
      fresh: False where a row is listed for the second time.
      left: least product of the rows not listed; infinite where all are.
    """

    places: Int[Array, "b c"]
    fresh: Bool[Array, "b c"]
    left: Float[Array, " b"]


def shortlist(
    keys: Float[Array, "n d"],
    queries: Float[Array, "b d"],
    weights: Float[Array, " d"],
    *,
    chunk: int | None = None,
    group: int = GROUP,
    wide: int = WIDE,
) -> Shortlist:
    """The rows of the `wide` groups with the least product.

    Args:
      keys: rows that are searched.
      queries: as `keys.query` makes them, on the scale of `keys`.
      weights: of each entry's square in the distance.
      chunk: rows of one matrix product; chunk x b floats are live. None: `default_chunk`.
      group: consecutive rows of which one product is kept.
      wide: groups that are listed.
    """
    rows = keys.shape[0]
    group = max(min(group, rows), 1)
    chunk = max(min(chunk or default_chunk(), rows) // group, 1) * group
    # The last chunk is moved back to end with the data; what it repeats counts as infinitely far.
    seen = jnp.arange(0, rows, chunk, dtype=jnp.int32)
    starts = jnp.minimum(seen, rows - chunk)
    body = partial(_chunk_minima, keys, queries * weights, weights, chunk, group)
    least = jax.lax.scan(body, None, (starts, seen))[1]
    least = least.reshape(-1, queries.shape[0]).T
    if least.shape[1] <= wide:
        best = jnp.broadcast_to(jnp.arange(least.shape[1]), least.shape)
        left = jnp.full(least.shape[:1], jnp.inf)
    else:
        # The barrier: from slices of its result XLA makes a sort of the whole, ten times slower.
        products, order = jax.lax.optimization_barrier(jax.lax.top_k(-least, wide + 1))
        best, left = order[:, :wide], -products[:, wide]
    within = jnp.arange(group, dtype=jnp.int32)
    at, nth = jnp.divmod(best, chunk // group)
    places = (starts[at] + nth.astype(jnp.int32) * group)[..., None] + within
    fresh = places >= seen[at][..., None]
    count = queries.shape[0]
    return Shortlist(places.reshape(count, -1), fresh.reshape(count, -1), left)


def _chunk_minima(
    keys: Array, weighted: Array, weights: Array, chunk: int, group: int, _: Any, at: Any
) -> tuple[None, Float[Array, "g b"]]:
    """Of each group of one chunk the least |x|^2 - 2 q x, for every query."""
    start, seen = at
    block = jax.lax.dynamic_slice_in_dim(keys, start, chunk)
    # A product and not a sum of squares: under vmap over weights jax 0.10 on a CPU fuses such a sum
    # with the subtraction below into a kernel that reads wrong rows for all seeds but the first.
    norm = jnp.matmul(jnp.square(block), weights[:, None], precision="highest")
    product = norm - 2 * jnp.matmul(block, weighted.T, precision="highest")
    fresh = start + jnp.arange(chunk, dtype=jnp.int32) >= seen
    product = jnp.where(fresh[:, None], product, jnp.inf)
    # Queries are the last axis: the minimum runs over whole vectors of them.
    return None, product.reshape(chunk // group, group, -1).min(1)
