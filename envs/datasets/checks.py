"""Values that no agent should learn from, and what `inspect` counts of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Num

from rlsuite.envs.datasets.recording import Recording
from rlsuite.errors import UsageError

# In units of the box's half width: D4RL's clipped actions leave it by rounding only.
SLACK = 1e-3


def columns(rec: Recording) -> dict[str, np.ndarray]:
    """The columns of numbers; unknown next observations as zeros."""
    found = {"observations": rec.obs, "actions": rec.action, "rewards": rec.reward}
    if rec.next_obs is not None and rec.next_known is not None:
        found["next_observations"] = rec.next_obs[rec.next_known]
    return found


def not_finite(rec: Recording) -> dict[str, int]:
    """Rows of each column that hold NaN or infinity; columns without are left out."""
    bad = {
        name: int((~np.isfinite(column)).reshape(len(column), -1).any(1).sum())
        for name, column in columns(rec).items()
    }
    return {name: count for name, count in bad.items() if count}


def refuse_bad_values(path: Path, rec: Recording) -> None:
    """Refuse NaN and infinity.

    Raises:
      UsageError: with the column and how many rows.
    """
    for name, count in not_finite(rec).items():
        raise UsageError(
            f"{path}: {count} rows of {name!r} are not finite: see `rlsuite dataset inspect`, or "
            "leave them out by `rlsuite dataset convert --drop-bad`"
        )


def refuse_other_sizes(path: Path, rec: Recording, env: Any) -> None:
    """Refuse data of other sizes than the environment that was built, its options included.

    Raises:
      UsageError: with both.
    """
    space = env.action_space
    wanted = (tuple(env.observation_space.shape), tuple(space.shape or ()), hasattr(space, "n"))
    if (rec.header.observation, rec.header.action, rec.header.discrete) != wanted:
        raise UsageError(
            f"{path} has observations {rec.header.observation} and actions {rec.header.action}, "
            f"{env.id} as built has {wanted[0]} and {space}: they do not fit"
        )


def in_units(action: Num[np.ndarray, "n *a"], space: Any) -> Num[np.ndarray, "n *a"]:
    """Actions of a box on the scale where it is [-1, 1]; indices as they are."""
    if not hasattr(space, "low"):
        return action
    low, high = np.asarray(space.low, np.float32), np.asarray(space.high, np.float32)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise UsageError(f"actions of an unbounded box ({space}) cannot be scaled to [-1, 1]")
    centre, half = (low + high) / 2, (high - low) / 2
    return ((action - centre) / half).astype(np.float32)


def outside(action: Num[np.ndarray, "n *a"], space: Any) -> int:
    """Rows whose action the environment would not take."""
    if not hasattr(space, "low"):
        return int(((action < 0) | (action >= int(space.n))).sum())
    scaled = in_units(action, space)
    return int((np.abs(scaled) > 1 + SLACK).reshape(len(scaled), -1).any(1).sum())


def scaled_actions(path: Path, rec: Recording, space: Any) -> Num[np.ndarray, "n *a"]:
    """An agent's actions.

    Raises:
      UsageError: some are outside the environment's space.
    """
    if count := outside(rec.action, space):
        furthest = f"the largest is {np.abs(rec.action).max():g}"
        raise UsageError(
            f"{path}: {count} of {rec.header.rows} actions are outside {space} ({furthest}): "
            "clip them by `rlsuite dataset convert --clip-actions`"
        )
    scaled = in_units(rec.action, space)
    return np.clip(scaled, -1.0, 1.0) if hasattr(space, "low") else scaled


def straddling(rec: Recording) -> Bool[np.ndarray, " n"]:
    """Rows that do not end an episode though the next row does not go on where they led."""
    found = np.zeros(rec.header.rows, bool)
    if rec.next_obs is None or rec.next_known is None:
        return found
    gap = np.abs(rec.next_obs[:-1] - rec.obs[1:]).reshape(rec.header.rows - 1, -1).max(1)
    inside = ~rec.ends[:-1] & rec.next_known[:-1]
    # NaN is no gap: it is reported as what it is.
    found[:-1] = inside & (gap > 1e-5 * (1 + np.nan_to_num(np.abs(rec.obs)).max()))
    return found
