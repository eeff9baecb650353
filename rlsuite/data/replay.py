"""The suite's one replay: a ring of transitions on the device, drawn from uniformly.

Rows are any pytree whose leaves share a leading axis. `add` may mask rows out (model-based agents
add only what they trust). What each step *led to* is stored with it, so that a reset observation
never stands where the next one should. No ring is *returned* from a `cond`: it would be copied.
Reading one in a `cond` copies nothing, and `apart` does so to save a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

Scalar = float | Float[Array, ""]


class Replay(struct.PyTreeNode):
    """`data` leaves are [capacity, ...]; the next row goes to `head`; `size` rows are filled."""

    data: PyTree
    head: Int[Array, ""]
    size: Int[Array, ""]

    @property
    def capacity(self) -> int:
        """Rows it can hold."""
        return jax.tree.leaves(self.data)[0].shape[0]


def init(row: PyTree, capacity: int) -> Replay:
    """An empty ring.

    Args:
      row: one transition, for its shapes and dtypes.
      capacity: rows; the oldest is overwritten.
    """

    def empty(leaf: Any) -> Array:
        leaf = jnp.asarray(leaf)
        return jnp.zeros((capacity, *leaf.shape), leaf.dtype)

    return Replay(jax.tree.map(empty, row), jnp.int32(0), jnp.int32(0))


def row_bytes(row: PyTree) -> int:
    """Bytes of one transition."""
    return sum(jnp.asarray(leaf).nbytes for leaf in jax.tree.leaves(row))


def add(replay: Replay, rows: PyTree, mask: Bool[Array, " n"] | None = None) -> Replay:
    """Append rows [n, ...] in order; those with a False mask leave no trace. n <= capacity.

    Args:
      replay: the ring.
      rows: of the ring's structure; cast to its types.
      mask: rows that are kept; None: all.
    """
    n, capacity = jax.tree.leaves(rows)[0].shape[0], replay.capacity
    if mask is None:
        place, added = replay.head + jnp.arange(n), jnp.int32(n)
    else:
        place, added = replay.head + jnp.cumsum(mask) - 1, mask.sum(dtype=jnp.int32)
    place = place % capacity
    if mask is not None:
        # Out of bounds is dropped; distinct places, so that the scatter needs no order.
        place = jnp.where(mask, place, capacity + jnp.arange(n))

    def put(ring: Array, new: Array) -> Array:
        return ring.at[place].set(new.astype(ring.dtype), mode="drop", unique_indices=True)

    return Replay(
        jax.tree.map(put, replay.data, rows),
        (replay.head + added) % capacity,
        jnp.minimum(replay.size + added, capacity),
    )


def draw(replay: Replay, key: PRNGKeyArray, shape: tuple[int, ...]) -> Int[Array, "*shape"]:
    """Places of uniformly drawn rows, with replacement. At least one row must be filled.

    32 random bits modulo the size: a place is at most size / 2^32 of itself too likely.
    `jax.random.randint` draws twice and splits its key to do better.

    Args:
      replay: the ring.
      key: used up.
      shape: of the places.
    """
    bits = jax.random.bits(key, shape, jnp.uint32)
    return (bits % replay.size.astype(jnp.uint32)).astype(jnp.int32)


def take(replay: Replay, places: Int[Array, "*b"]) -> PyTree:
    """The rows at these places."""
    return jax.tree.map(lambda ring: ring[places], replay.data)


def sample(replay: Replay, key: PRNGKeyArray, batch_size: int) -> PyTree:
    """A uniform minibatch [batch_size, ...], drawn with replacement.

    Args:
      replay: the ring, not empty.
      key: used up.
      batch_size: rows.
    """
    return take(replay, draw(replay, key, (batch_size,)))


def apart(replay: Replay, read: Callable[[], PyTree]) -> PyTree:
    """What `read` finds in the ring; zeros if it is empty.

    For reads in the same loop body as an `add`. XLA on the CPU would fuse the write into the
    gather, then need the ring both as it was and as it is, and copy all of it in every step
    (jax 0.10; 6 of 9 ms an update with a million rows). It does not fuse across a branch.

    Args:
      replay: what `read` reads.
      read: () -> any pytree of arrays.
    """
    blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(read))
    return jax.lax.cond(replay.size > 0, read, lambda: blank)


def n_step(
    replay: Replay,
    places: Int[Array, " b"],
    n: int,
    stride: int,
    gamma: Scalar,
) -> tuple[Float[Array, " b"], Float[Array, " b"], Int[Array, " b"]]:
    """Rewards of up to n steps from each place, cut where the episode or the ring's newest ends.

    sum_{k<m} gamma^k r_{t+k}, with m = n or fewer. For a ring filled by `stride` environments
    stepped together (every `add` brings one row of each, capacity a multiple of `stride`): the next
    step of a row's environment is `stride` places on. `data` must have `reward`, `terminated` and
    `truncated`.

    Args:
      replay: the ring.
      places: where the first steps stand.
      n: at most this many steps.
      stride: environments stepped together.
      gamma: discount.

    Returns:
      (summed reward, gamma^m (1 - terminated) of the last step, the last step's place: what the
      sum bootstraps from is that row's next observation).
    """
    data: Any = replay.data
    capacity = replay.capacity
    oldest = jnp.where(replay.size == capacity, replay.head, 0)
    age = (places - oldest) % capacity  # 0: the oldest row
    total = data.reward[places]
    discount = jnp.broadcast_to(jnp.asarray(gamma, jnp.float32), total.shape)
    last = places
    for k in range(1, n):
        ended = data.terminated[last] | data.truncated[last]
        on = (
            ~ended
            & (age + k * stride < replay.size)
            & (last == (places + (k - 1) * stride) % capacity)
        )
        following = (places + k * stride) % capacity
        total = total + jnp.where(on, discount * data.reward[following], 0.0)
        discount = jnp.where(on, discount * gamma, discount)
        last = jnp.where(on, following, last)
    return total, jnp.where(data.terminated[last], 0.0, discount), last
