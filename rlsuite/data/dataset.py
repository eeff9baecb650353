"""What an offline agent finds in `ctx.data`: transitions, and statistics of them.

A `Dataset` is a pytree that all seeds share (it is never copied per seed and never closed over).
Actions are an agent's, as in the replay of the online agents: in [-1, 1] of the environment's box,
or an index. Whoever reads files makes one (`rlsuite.envs.datasets`); agents draw rows from it.

    rows = dataset.draw(ctx.data, key, (batch_size,))
    batch = dataset.take(ctx.data, rows)
"""

from __future__ import annotations

from typing import NamedTuple

import jax
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray, PyTree


class Rows(NamedTuple):
    """Transitions; every leaf has the same leading axis.

    Attributes:
      obs, next_obs: float32 [n, ...], or uint8 where the environment's observations are images.
        After a true terminal `next_obs` means nothing.
      action: float32 [n, a] in [-1, 1] of the box, or int32 [n].
      reward: float32 [n], as recorded.
      terminated: the future is worth nothing. Never a time limit.
      truncated: a time limit ended the episode here. D4RL's view has no such rows.
      next_action: what the recording did in `next_obs` (SARSA's, for ReBRAC).
      next_valid: whether it did anything there: False at an episode's last row.
      episode: int32 [n], the number of the episode the row belongs to.
    """

    obs: Num[Array, "n *o"]
    action: Num[Array, "n *a"]
    reward: Float[Array, " n"]
    terminated: Bool[Array, " n"]
    truncated: Bool[Array, " n"]
    next_obs: Num[Array, "n *o"]
    next_action: Num[Array, "n *a"]
    next_valid: Bool[Array, " n"]
    episode: Int[Array, " n"]


class Stats(NamedTuple):
    """Float32 statistics over the rows, computed in double precision when the data was read.

    Attributes:
      obs_mean, obs_std: of each observation entry.
      return_min, return_max: of undiscounted episode returns, over the rows there are.
      chunk_return_min, chunk_return_max: the same where episodes are cut at terminals or after a
        time limit's number of *rows*, as the helper shared by ODICE and CORL's IQL does: where a
        view leaves out each episode's last row its chunks straddle episodes.
    """

    obs_mean: Float[Array, "*o"]
    obs_std: Float[Array, "*o"]
    return_min: Float[Array, ""]
    return_max: Float[Array, ""]
    chunk_return_min: Float[Array, ""]
    chunk_return_max: Float[Array, ""]


class Dataset(NamedTuple):
    """Transitions and their statistics.

    Attributes:
      rows, stats: as read.
      kept: places of the rows that may be drawn; None: all.
      extra: what else an agent derived from the rows (`Agent.prepare`).
    """

    rows: Rows
    stats: Stats
    kept: Int[Array, " k"] | None = None
    extra: PyTree = ()

    @property
    def size(self) -> int:
        """Number of transitions."""
        return self.rows.reward.shape[0]


def draw(data: Dataset, key: PRNGKeyArray, shape: tuple[int, ...]) -> Int[Array, "*shape"]:
    """Places of uniformly drawn rows, with replacement.

    Args:
      data: of its rows only those in `kept` are drawn, if it has any.
      key: used up.
      shape: of the places.
    """
    if data.kept is None:
        return jax.random.randint(key, shape, 0, data.size)
    return data.kept[jax.random.randint(key, shape, 0, data.kept.shape[0])]


def take(data: Dataset, places: Int[Array, "*b"]) -> Rows:
    """The rows at these places, leaves [*b, ...]."""
    return jax.tree.map(lambda column: column[places], data.rows)
