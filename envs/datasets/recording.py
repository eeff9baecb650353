"""What a file holds once it has been read: flat columns of equal length, checked for shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from rlsuite.contracts.errors import UsageError, nearest

REQUIRED = ("observations", "actions", "rewards", "terminals")
# What the observations of tasks with a goal (PointMaze, AntMaze, Fetch) are made of, in the order
# in which they become one vector, here and in `rlsuite.envs.gym_rows`.
GOAL_PARTS = ("observation", "achieved_goal", "desired_goal")
KNOWN = (*REQUIRED, "timeouts", "next_observations", "next_obs_valid", "midway")


@dataclass(frozen=True)
class Header:
    """What a file says of itself before its arrays are read.

    Attributes:
      layout: d4rl, minari or npz.
      rows: steps recorded.
      observation, action: shapes of one entry; `discrete` where actions are indices.
      env: id of the environment as written in the file, or "".
      score: returns that count as 0 and 100, as written in the file.
      family: where a file that was converted came from: d4rl, minari or own.
      extra: what else it says: policy, seed, author.
    """

    layout: str
    rows: int
    observation: tuple[int, ...]
    action: tuple[int, ...]
    discrete: bool
    env: str = ""
    score: tuple[float, float] | None = None
    family: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """Steps in the order they were taken.

    Attributes:
      obs, action, reward, terminated, truncated: what was seen, done and got, row by row. A time
        limit is `truncated`, never `terminated`.
      next_obs: what each step led to, where the file has it.
      next_known: rows whose `next_obs` is what the step led to.
      midway: rows before which the first part of their episode was left out, where there are any.
      timed: False where the file had no `timeouts` and `truncated` was counted out.
    """

    header: Header
    obs: Num[np.ndarray, "n *o"]
    action: Num[np.ndarray, "n *a"]
    reward: Float[np.ndarray, " n"]
    terminated: Bool[np.ndarray, " n"]
    truncated: Bool[np.ndarray, " n"]
    next_obs: Num[np.ndarray, "n *o"] | None = None
    next_known: Bool[np.ndarray, " n"] | None = None
    midway: Bool[np.ndarray, " n"] | None = None
    timed: bool = True

    @property
    def ends(self) -> Bool[np.ndarray, " n"]:
        """Rows that end an episode."""
        return self.terminated | self.truncated


def check_columns(
    path: Path, columns: Mapping[str, Any], required: tuple[str, ...], names: Iterable[str]
) -> None:
    """Refuse missing keys and shapes that do not belong together.

    Args:
      path: for the message.
      columns: anything with `shape` and `dtype`.
      required: keys that must be there.
      names: all that the file holds, for the message.

    Raises:
      UsageError: in one line, naming key and file.
    """
    for key in required:
        if key not in columns:
            others = [name for name in names if name != key]
            hint = nearest(key, others) if others else "it is empty"
            raise UsageError(f"{path} has no {key!r}: {hint}")
    rows = columns["rewards"].shape[0] if columns["rewards"].shape else 0
    if rows < 2:
        raise UsageError(f"{path} holds {rows} steps: at least 2 are needed")
    for key in (key for key in KNOWN if key in columns):
        shape, dtype = columns[key].shape, columns[key].dtype
        if not shape or shape[0] != rows:
            raise UsageError(f"{path}: {key!r} has shape {shape}, but rewards has {rows} rows")
        refuse_other_type(path, key, dtype, "fiub")
    _check_widths(path, columns)


def refuse_other_type(where: Path | str, key: str, dtype: Any, kinds: str) -> None:
    """Refuse a column that holds no numbers, or not of numpy's `kinds`.

    Args:
      where: the file, for the message.
      key: the column's name.
      dtype: numpy's, of the column.
      kinds: letters of `dtype.kind` that are allowed: with f numbers, else indices.

    Raises:
      UsageError: naming both.
    """
    if dtype.kind not in kinds:
        wanted = "numbers" if "f" in kinds else "indices"
        raise UsageError(f"{where}: {key!r} holds {dtype}, not {wanted}")


def _check_widths(path: Path, columns: Mapping[str, Any]) -> None:
    for key in ("rewards", "terminals", "timeouts", "next_obs_valid", "midway"):
        if key in columns and columns[key].shape[1:] not in ((), (1,)):
            raise UsageError(
                f"{path}: {key!r} has shape {columns[key].shape}, not one number a row"
            )
    observation = columns["observations"].shape[1:]
    if not observation:
        raise UsageError(f"{path}: 'observations' has one number a row, not a vector")
    if "next_observations" in columns and columns["next_observations"].shape[1:] != observation:
        raise UsageError(
            f"{path}: 'next_observations' has shape {columns['next_observations'].shape}, "
            f"'observations' {columns['observations'].shape}"
        )
    action = columns["actions"]
    if action.dtype.kind == "f" and len(action.shape) != 2:
        raise UsageError(f"{path}: 'actions' has shape {action.shape}, not (n, size)")
    if action.dtype.kind != "f" and action.shape[1:] not in ((), (1,)):
        raise UsageError(
            f"{path}: 'actions' holds {action.dtype} of shape {action.shape}: indices are one a "
            "row, and actions in a box are floating-point numbers"
        )


def header(layout: str, columns: Mapping[str, Any], **said: Any) -> Header:
    """The header of checked columns; integer actions are indices."""
    action, discrete = columns["actions"], columns["actions"].dtype.kind in "iub"
    return Header(
        layout=layout,
        rows=columns["rewards"].shape[0],
        observation=tuple(columns["observations"].shape[1:]),
        action=() if discrete else tuple(action.shape[1:]),
        discrete=discrete,
        **said,
    )


def flags(where: Path | str, key: str, column: Any) -> Bool[np.ndarray, " n"]:
    """A column of yes and no.

    Args:
      where: the file, for the message.
      key: the column's name.
      column: [n] or [n, 1] of any type.

    Raises:
      UsageError: it holds anything but 0 and 1, which would end episodes nobody meant to end.
    """
    values = np.asarray(column).reshape(len(column))
    if count := int(((values != 0) & (values != 1)).sum()):
        raise UsageError(f"{where}: {key!r} holds values other than 0 and 1 in {count} rows")
    return values == 1


def recording(path: Path, said: Header, columns: Mapping[str, Any]) -> Recording:
    """Flat columns as a recording: float32, (n, 1) squeezed.

    Args:
      path: for the message.
      said: the header, of these columns.
      columns: checked (`check_columns`), by D4RL's names; of those that are not required any may be
        missing.

    Raises:
      UsageError: ends of episodes that are neither 0 nor 1.
    """
    n = said.rows

    def ends(key: str) -> Bool[np.ndarray, " n"]:
        return flags(path, key, columns[key]) if key in columns else np.zeros(n, bool)

    terminated = ends("terminals")
    after = np.asarray(columns["next_observations"]) if "next_observations" in columns else None
    known = ends("next_obs_valid") if "next_obs_valid" in columns else np.ones(n, bool)
    action = np.asarray(columns["actions"])
    return Recording(
        header=said,
        obs=float32(columns["observations"]),
        action=action.reshape(n).astype(np.int32) if said.discrete else float32(action),
        reward=float32(columns["rewards"]).reshape(n),
        terminated=terminated,
        # A row that is both is the end of the world that the time limit met.
        truncated=ends("timeouts") & ~terminated,
        next_obs=None if after is None else float32(after),
        next_known=None if after is None else known,
        midway=ends("midway") if "midway" in columns else None,
        timed="timeouts" in columns,
    )


def float32(column: Any) -> Float[np.ndarray, "..."]:
    """As agents get it; not copied where it is that already."""
    # What float32 cannot hold becomes infinite, and is refused or counted as that.
    with np.errstate(over="ignore"):
        return np.asarray(column).astype(np.float32, copy=False)


def completed(rec: Recording) -> Recording:
    """With what each step led to where the file has it not: the next row's observation.

    After a terminal it is unknown and nothing may depend on it: a copy of the last stands in. At a
    time limit and at the file's end it is unknown too, and said to be.
    """
    if rec.next_obs is not None:
        return rec
    following = np.concatenate([rec.obs[1:], rec.obs[-1:]])
    following[rec.terminated] = rec.obs[rec.terminated]
    known = ~rec.truncated
    known[-1] = rec.terminated[-1]
    return dataclasses.replace(rec, next_obs=following, next_known=known)


def limited(rec: Recording, limit: int) -> Bool[np.ndarray, " n"]:
    """Where a time limit must have ended an episode, for files that do not say so.

    Counts the steps since the last end. (D4RL's own counter starts at 1 after a terminal and is
    thus one step early there; its transition across two episodes is not reproduced.)
    """
    ends = np.flatnonzero(rec.terminated)
    starts = np.concatenate([[0], ends + 1])
    since = np.arange(rec.header.rows) - starts[np.searchsorted(ends, np.arange(rec.header.rows))]
    return (since % limit == limit - 1) & ~rec.terminated


def episodes(rec: Recording) -> tuple[Int[np.ndarray, " e"], Int[np.ndarray, " e"]]:
    """(first row, row after the last) of each episode; one that the file's end cuts is the last."""
    stops = np.flatnonzero(rec.ends) + 1
    if not stops.size or stops[-1] != rec.header.rows:
        stops = np.append(stops, rec.header.rows)
    return np.concatenate([[0], stops[:-1]]), stops
