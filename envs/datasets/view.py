"""From a recording to the transitions that agents learn from.

D4RL's files: the Q-learning view that all published scores use. Row i becomes (obs[i], action[i],
reward[i], obs[i + 1], terminal[i]); rows at a time limit and the file's last row are dropped. Other
layouts know what each step led to: every row with a known next observation stays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from rlsuite.data.dataset import Dataset, Rows, Stats
from rlsuite.envs.datasets.recording import Recording


def dataset(rec: Recording, limit: int) -> Dataset:
    """The view of a recording as numpy arrays, actions as recorded.

    Args:
      rec: its actions are scaled by the caller.
      limit: of an episode, for `Stats.chunk_return_*`.
    """
    rows = d4rl_rows(rec) if rec.header.layout == "d4rl" else known_rows(rec)
    return Dataset(rows, statistics(rows, limit))


def d4rl_rows(rec: Recording) -> Rows:
    """The Q-learning view: see above."""
    keep = np.flatnonzero(~rec.truncated[:-1])
    return _rows(rec, keep, rec.obs[1:][keep])


def known_rows(rec: Recording) -> Rows:
    """Every row whose next observation is known."""
    assert rec.next_obs is not None
    assert rec.next_known is not None
    keep = np.flatnonzero(rec.next_known)
    return _rows(rec, keep, rec.next_obs[keep])


def _rows(rec: Recording, keep: Int[np.ndarray, " n"], next_obs: Num[np.ndarray, "..."]) -> Rows:
    number = np.cumsum(rec.ends) - rec.ends
    following = np.minimum(keep + 1, rec.header.rows - 1)
    columns: dict[str, Any] = dict(  # noqa: C408
        obs=rec.obs[keep],
        action=rec.action[keep],
        reward=rec.reward[keep],
        terminated=rec.terminated[keep],
        truncated=rec.truncated[keep],
        next_obs=next_obs,
        next_action=rec.action[following],
        next_valid=~rec.ends[keep] & (following == keep + 1),
        episode=number[keep].astype(np.int32),
    )
    return Rows(**columns)


def statistics(rows: Rows, limit: int) -> Stats:
    """Means, deviations and return ranges, in double precision."""
    episode = np.asarray(rows.episode)
    reward = np.asarray(rows.reward, np.float64)
    starts = np.flatnonzero(np.diff(episode, prepend=episode[:1] - 1))
    returns = np.add.reduceat(reward, starts)
    chunks = chunk_returns(reward, np.asarray(rows.terminated), limit)
    obs = np.asarray(rows.obs)
    numbers = (
        obs.mean(0, dtype=np.float64), obs.std(0, dtype=np.float64),
        returns.min(), returns.max(), chunks.min(), chunks.max(),
    )  # fmt: skip
    return Stats(*(np.asarray(x, np.float32) for x in numbers))  # pyright: ignore


def chunk_returns(
    reward: Float[np.ndarray, " n"], terminated: Bool[np.ndarray, " n"], limit: int
) -> Float[np.ndarray, " c"]:
    """Returns of chunks that end at a terminal or after `limit` rows; an unfinished last is left
    out, unless it is all there is.

    Args:
      reward: in the order of the rows.
      terminated: rows that end a chunk.
      limit: most rows of a chunk.

    Returns:
      A sum of rewards for each chunk, undiscounted.
    """
    stops = np.append(np.flatnonzero(terminated) + 1, len(reward))
    cuts: list[Any] = []
    start = 0
    for stop in np.unique(stops):
        cuts.append(np.arange(start, stop, limit))
        start = stop
    starts = np.concatenate(cuts)
    sums = np.add.reduceat(reward, starts)
    finished = terminated[-1] or (len(reward) - starts[-1]) == limit
    return sums if finished or len(sums) == 1 else sums[:-1]
