"""Values that no agent should learn from, and what `inspect` counts of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from jaxtyping import Bool, Num

from rlsuite.contracts import box
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.registry import EnvRow
from rlsuite.envs.datasets.recording import Recording

# In units of the box's half width: D4RL's clipped actions leave it by rounding only.
SLACK = 1e-3


def not_finite(rec: Recording) -> dict[str, int]:
    """Rows of each column that hold NaN or infinity, next observations where they are known;
    columns without are left out."""
    columns = {"observations": rec.obs, "actions": rec.action, "rewards": rec.reward}
    bad = {name: _odd_rows(column) for name, column in columns.items()}
    if rec.next_obs is not None and rec.next_known is not None:
        bad["next_observations"] = _odd_rows(rec.next_obs) & rec.next_known
    return {name: int(rows.sum()) for name, rows in bad.items() if rows.any()}


def _odd_rows(column: Num[np.ndarray, "n *a"]) -> Bool[np.ndarray, " n"]:
    return ~np.asarray(np.isfinite(column).all(axis=tuple(range(1, column.ndim))))


def transitions(rec: Recording) -> int:
    """Rows that agents get, see `view`."""
    if rec.header.layout == "d4rl":
        return int((~rec.truncated[:-1]).sum())
    return int(np.asarray(rec.next_known).sum())


def refuse_nothing(path: Path, rec: Recording) -> None:
    """Refuse data without a transition.

    Raises:
      UsageError: it says why there is none.
    """
    if not transitions(rec):
        raise UsageError(
            f"{path} has nothing to learn from: of none of its {rec.header.rows} steps it is known "
            "what it led to"
        )


def refuse_unfit(path: Path, rec: Recording, row: EnvRow | None) -> None:
    """What can be said of a recording before its environment is built.

    Args:
      path: for the message.
      rec: with its time limits.
      row: of the environment it says, where the suite knows it.

    Raises:
      UsageError: values that are no numbers, no transitions, actions outside the environment's box.
    """
    refuse_bad_values(path, rec)
    refuse_nothing(path, rec)
    if row is not None and fits(rec, row) and bounded(row):
        a = row.action
        space = f"[{a.low:g}, {a.high:g}]" if a.kind == "box" else str(a)
        refuse_outside(path, rec, bounds(row), f"{space} of {row.id}")


def fits(rec: Recording, row: EnvRow) -> bool:
    """Whether observations and actions are of an environment's sizes."""
    said = rec.header
    return (said.observation, said.action, said.discrete) == (
        row.observation.shape, row.action.shape, row.action.kind == "discrete",
    )  # fmt: skip


def sizes(rec: Recording, row: EnvRow) -> str:
    """What does not fit, for a message."""
    action = "indices" if rec.header.discrete else rec.header.action
    return (
        f"it has observations {rec.header.observation} and actions {action}, the environment "
        f"{row.observation.shape} and {row.action}"
    )


def bounded(row: EnvRow) -> bool:
    """Whether an environment's row says which actions there are, for every entry."""
    return row.action.kind == "discrete" or bool(
        np.isfinite([row.action.low, row.action.high]).all()
    )


def bounds(row: EnvRow) -> Any:
    """A registry row's action space as `outside` reads spaces."""
    if row.action.kind == "discrete":
        return SimpleNamespace(n=row.action.n, start=row.action.start)
    return SimpleNamespace(low=row.action.low, high=row.action.high)


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

    Args:
      path: for the message.
      rec: whose header is compared.
      env: built; its spaces count.

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
    """Actions of a box on the scale where it is [-1, 1]; indices from 0."""
    if not hasattr(space, "low"):
        return action - getattr(space, "start", 0)
    low, high = np.asarray(space.low, np.float32), np.asarray(space.high, np.float32)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise UsageError(f"actions of an unbounded box ({space}) cannot be scaled to [-1, 1]")
    centre, half = (low + high) / 2, (high - low) / 2
    return ((action - centre) / half).astype(np.float32)


def outside(action: Num[np.ndarray, "n *a"], space: Any) -> int:
    """Rows whose action the environment would not take."""
    if not hasattr(space, "low"):
        index = in_units(action, space)
        return int(((index < 0) | (index >= int(space.n))).sum())
    scaled = in_units(action, space)
    return int((np.abs(scaled) > 1 + SLACK).reshape(len(scaled), -1).any(1).sum())


def refuse_outside(path: Path, rec: Recording, space: Any, called: str) -> None:
    """Refuse actions that a space does not hold.

    Args:
      path: for the message.
      rec: its actions as recorded, on the environment's own scale.
      space: with `low` and `high`, or with `n` and perhaps `start` for indices.
      called: the space, for the message.

    Raises:
      UsageError: with how many, and the largest.
    """
    if count := outside(rec.action, space):
        furthest = f"the largest is {np.abs(rec.action).max():g}"
        raise UsageError(
            f"{path}: {count} of {rec.header.rows} actions are outside {called} ({furthest}): "
            "clip them by `rlsuite dataset convert --clip-actions`"
        )


def scaled_actions(path: Path, rec: Recording, space: Any) -> Num[np.ndarray, "n *a"]:
    """An agent's actions: vectors in [-1, 1] whatever the box's shape, or indices from 0.

    Args:
      path: for the message.
      rec: its actions as recorded, on the environment's own scale.
      space: the environment's, Box or Discrete.

    Returns:
      float32[n, d], d the box's number of entries, or indices [n].

    Raises:
      UsageError: some are outside the environment's space.
    """
    refuse_outside(path, rec, space, str(space))
    scaled = in_units(rec.action, space)
    if not hasattr(space, "low"):
        return scaled
    return np.clip(scaled, -1.0, 1.0).reshape(len(scaled), box.size(space))


def straddling(rec: Recording) -> Bool[np.ndarray, " n"]:
    """Rows that do not end an episode though the next row does not go on where they led."""
    found = np.zeros(rec.header.rows, bool)
    if rec.next_obs is None or rec.next_known is None or not rec.obs.size:
        return found
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(rec.next_obs[:-1] - rec.obs[1:])
    gap = gap.max(axis=tuple(range(1, gap.ndim)))
    inside = ~rec.ends[:-1] & rec.next_known[:-1]
    # NaN is no gap: it is reported as what it is.
    found[:-1] = inside & (gap > 1e-5 * (1 + np.nan_to_num(np.abs(rec.obs)).max()))
    return found
