"""A random walk and what might have been done on it. NumPy only: rivals' scripts load it."""

from __future__ import annotations

from typing import Any

import numpy as np

# The walk never ends; who wants episodes cuts it here.
EPISODE = 1000


def walk(rows: int, states: int, actions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(obs[n, s], action[n, a]) in float32. Consecutive rows are near each other, as in recordings;
    actions follow the state in part.

    Args:
      rows: n.
      states: s, numbers in an observation.
      actions: a, numbers in an action.
      seed: of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    obs = np.cumsum(rng.normal(size=(rows, states)), 0)
    drift = obs @ rng.normal(size=(states, actions)) / np.sqrt(rows)
    action = np.tanh(drift + 0.5 * rng.normal(size=(rows, actions)))
    return obs.astype(np.float32), action.astype(np.float32)


def rewards(rows: int, seed: int) -> np.ndarray:
    """[n] in float32: noise."""
    return np.random.default_rng(seed + 1).normal(size=rows).astype(np.float32)


def steps(order: dict[str, Any]) -> dict[str, np.ndarray]:
    """Columns by D4RL's names: of the npz file of an order, or of the walk."""
    if order["file"]:
        with np.load(order["file"]) as file:
            return {name: file[name] for name in file.files if file[name].ndim}
    rows = order["rows"]
    obs, action = walk(rows + 1, order["obs"], order["action"], 0)
    ends = np.arange(1, rows + 1) % EPISODE == 0
    return {
        "observations": obs[:-1], "actions": action[:-1], "rewards": rewards(rows, 0),
        "terminals": np.zeros(rows, bool), "timeouts": ends, "next_observations": obs[1:],
    }  # fmt: skip
