"""The random walk as a dataset of ours."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rlsuite.bench.children.walk import rewards, walk
from rlsuite.data.dataset import Dataset, Rows, Stats


def dataset(rows: int, states: int, actions: int, seed: int) -> Dataset:
    """Transitions along one walk that never ends.

    Args:
      rows: transitions.
      states: numbers in an observation.
      actions: numbers in an action.
      seed: of the walk and of the rewards.
    """
    obs, action = walk(rows + 1, states, actions, seed)
    reward = rewards(rows, seed)
    never, zeros = np.zeros(rows, bool), np.zeros(rows, np.int32)
    columns: Any = (
        obs[:-1], action[:-1], reward, never, never, obs[1:], action[1:], ~never, zeros
    )  # fmt: skip
    low, high = reward.min(), reward.max()
    stats: Any = Stats(obs.mean(0), obs.std(0), low, high, low, high)
    return jax.tree.map(jnp.asarray, Dataset(Rows(*columns), stats))
