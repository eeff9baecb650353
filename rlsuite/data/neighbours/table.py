"""The nearest of the K rows whose states are nearest to the query's own row.

The table does not depend on beta, on the policy or on the seed. Its answer is proved to be the
nearest of all rows when it is nearer than any row outside can be: such a row is farther than the
radius R in state alone, so

    d <= beta (R - |s - s_place|)

suffices (the last term is zero where the query's state is the row's). R was rounded down and the
comparison leaves room for the rounding of d, so that what is certified is so in exact arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rlsuite.data.neighbours import exact
from rlsuite.data.neighbours.keys import Beta, Found, Index, decide, query, slack


def search(
    index: Index,
    obs: Float[Array, "b s"],
    action: Float[Array, "b a"],
    place: Int[Array, " b"],
    beta: Beta,
    *,
    resolve: int = 0,
    chunk: int | None = None,
) -> Found:
    """The nearest row in the table to each query.

    Args:
      index: with a table.
      obs: standardised as the index is.
      action: of the queries.
      place: whose table is looked up; best the row that the state is taken from.
      beta: weight of the state, or of each of its entries.
      resolve: how many queries that are not certified are searched exactly; the others keep the
        table's answer.
      chunk: of that search, see `exact.search`.
    """
    assert index.table is not None, "an index without a table"
    table = jax.lax.stop_gradient(index.table)
    queries, weights = query(index, obs, action, beta)
    found, squared = decide(index, table.places[place], queries, weights)
    beside = queries - jax.lax.stop_gradient(index.keys)[place]
    certified = proved(squared, table.radius[place], beside[:, : obs.shape[1]], weights)
    answer = Found(found, jnp.sqrt(squared), certified)
    if not resolve:
        return answer
    asked = Asked(obs, action, place)
    return resolved(index, asked, beta, answer, min(resolve, place.shape[0]), chunk)


def proved(
    squared: Float[Array, " b"],
    radius: Float[Array, " b"],
    beside: Float[Array, "b s"],
    weights: Float[Array, " d"],
) -> Bool[Array, " b"]:
    """Whether rows at this squared distance are nearer than all outside the table.

    Args:
      squared: distance found.
      radius: of the table.
      beside: the query's state less the table's row's.
      weights: of `query`; the least weight of a state's entry bounds the others.
    """
    loose = slack(weights.shape[0])
    off = jnp.sqrt(jnp.square(beside).sum(-1)) * (1 + loose)
    reach = jnp.maximum(radius - off, 0) * (1 - loose)
    least = weights[: beside.shape[1]].min()
    return jnp.isinf(radius) | (squared <= least * jnp.square(reach) * (1 - loose))


class Asked(NamedTuple):
    """Queries."""

    obs: Float[Array, "b s"]
    action: Float[Array, "b a"]
    place: Int[Array, " b"]


def resolved(
    index: Index, asked: Asked, beta: Beta, answer: Found, count: int, chunk: int | None
) -> Found:
    """The answer with up to `count` uncertified ones searched exactly. The search is skipped where
    there is none (but not under vmap, which runs both branches).

    Args:
      index: what is searched.
      asked: the queries.
      beta: weight of the state, or of each of its entries.
      answer: the table's.
      count: most queries that are searched; at most b.
      chunk: of that search, see `exact.search`.
    """

    def again(answer: Found) -> Found:
        _, chosen = jax.lax.top_k((~answer.certified).astype(jnp.int32), count)
        few = jax.tree.map(lambda column: column[chosen], (asked, answer))
        (obs, action, place), old = few
        new = exact.search(index, obs, action, place, beta, chunk=chunk)
        # A certified row among the chosen keeps its answer, and so does one that was not beaten.
        better = ~old.certified & ((new.distance < old.distance) | new.certified)
        pick = jax.tree.map(lambda n, o: jnp.where(better, n, o), new, old)
        return jax.tree.map(lambda column, some: column.at[chosen].set(some), answer, pick)

    return jax.lax.cond(answer.certified.all(), lambda found: found, again, answer)
