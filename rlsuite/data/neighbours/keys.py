"""What is searched, what is found, and how a shortlist is decided."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Beta = float | Float[Array, ""] | Float[Array, " s"]
# Half the distance between 1 and the next float32: what one operation loses at most.
ROUND = 2.0**-24


class Table(NamedTuple):
    """Of each row, the K rows that are nearest in state.

    Attributes:
      places: [n, k]; the row itself is the first.
      radius: no row outside the table has a state nearer than this. Rounded down; infinite where
        the table holds every row.
    """

    places: Int[Array, "n k"]
    radius: Float[Array, " n"]


class Index(NamedTuple):
    """A dataset as it is searched: a pytree that all seeds share.

    Attributes:
      keys: [n, s + a], the standardised state, then the action.
      divisor: [s], what centred states were divided by.
      table: what `table.search` needs.
    """

    keys: Float[Array, "n d"]
    divisor: Float[Array, " s"]
    table: Table | None = None


class Found(NamedTuple):
    """The answer to each query.

    Attributes:
      place: of the row.
      distance: sqrt(|beta (s - s_j)|^2 + |a - a_j|^2).
      certified: no row is nearer, but for the rounding of float32 in the distance itself. False
        says that it was not proved.
    """

    place: Int[Array, " b"]
    distance: Float[Array, " b"]
    certified: Bool[Array, " b"]


def index(obs: Any, action: Any, mean: Any, divisor: Any) -> Index:
    """The index of a dataset, on the host.

    Args:
      obs: [n, ...], as recorded; any shape is taken as a vector.
      action: [n, a].
      mean, divisor: of each entry of an observation. Distances do not feel the mean; products of
        centred numbers lose less.
    """
    flat = np.asarray(obs, np.float32).reshape(len(obs), -1)
    scale = np.broadcast_to(np.asarray(divisor, np.float32), np.shape(obs)[1:]).reshape(-1)
    centre = np.broadcast_to(np.asarray(mean, np.float32), np.shape(obs)[1:]).reshape(-1)
    keys = np.concatenate([(flat - centre) / scale, np.asarray(action, np.float32)], 1)
    return Index(jnp.asarray(keys), jnp.asarray(scale))


def states(index: Index) -> Float[Array, "n s"]:
    """The state part of the keys."""
    return index.keys[:, : index.divisor.shape[0]]


def own(index: Index, place: Int[Array, " b"]) -> Float[Array, "b s"]:
    """The states of some rows: the queries of a minibatch that was drawn from the dataset."""
    return index.keys[place, : index.divisor.shape[0]]


def query(
    index: Index, obs: Float[Array, "b s"], action: Float[Array, "b a"], beta: Beta
) -> tuple[Float[Array, "b d"], Float[Array, " d"]]:
    """(queries, weights): d_j^2 = sum_k weights_k (query_k - key_jk)^2. All stop-gradiented.

    Args:
      index: what is searched.
      obs: standardised as the index is.
      action: of the queries.
      beta: weight of the state, or of each of its entries.
    """
    weight = jnp.square(jnp.broadcast_to(jnp.asarray(beta, jnp.float32), index.divisor.shape))
    weights = jnp.concatenate([weight, jnp.ones(action.shape[-1:], jnp.float32)])
    return jax.lax.stop_gradient((jnp.concatenate([obs, action], -1), weights))


def squared(
    keys: Float[Array, "n d"],
    places: Int[Array, "b c"],
    queries: Float[Array, "b d"],
    weights: Float[Array, " d"],
) -> Float[Array, "b c"]:
    """d^2 of listed rows, from differences: its relative error is a few roundings, however far from
    zero keys and queries are (|x|^2 - 2 q x + |q|^2 has an error in proportion to |x|^2).

    Args:
      keys: of the index.
      places: rows that are measured, for each query.
      queries: of `query`.
      weights: of `query`.
    """
    apart = queries[:, None] - keys[places]
    return (jnp.square(apart) * weights).sum(-1)


def slack(size: int) -> float:
    """What a sum of `size` products may be wrong by, relative to the sum of their magnitudes: twice
    the classic bound (Higham, 2002, section 3.1), with room for what is done to each term."""
    return 2 * (size + 8) * ROUND


def decide(
    index: Index,
    places: Int[Array, "b c"],
    queries: Float[Array, "b d"],
    weights: Float[Array, " d"],
) -> tuple[Int[Array, " b"], Float[Array, " b"]]:
    """(place, d^2) of the nearest of listed rows; of equals the first listed.

    Args:
      index: what is searched.
      places: rows that are measured, for each query.
      queries: of `query`.
      weights: of `query`.
    """
    found = squared(jax.lax.stop_gradient(index.keys), places, queries, weights)
    best = jnp.argmin(found, -1)[:, None]
    return jnp.take_along_axis(places, best, 1)[:, 0], jnp.take_along_axis(found, best, 1)[:, 0]
