"""From one layout to another, and repairs that are only made when asked for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.refs import DataRef, task
from rlsuite.envs.datasets import checks, d4rl, formats, minari_write, npz, origin
from rlsuite.envs.datasets.recording import Recording, completed
from rlsuite.envs.datasets.source import DEFAULT_LIMIT, opened, timed


@dataclass(frozen=True)
class Conversion:
    """What was written and what was changed on the way."""

    source: DataRef
    layout: str
    clipped: int
    dropped: int


def convert(
    spec: str, target: Path, *, clip_actions: bool = False, drop_bad: bool = False, env: str = ""
) -> Conversion:
    """Write a dataset in the layout of the target's name: .hdf5, .npz, or a Minari folder.

    Environment, family and reference scores go along.

    Args:
      spec: name or path.
      target: must not exist.
      clip_actions: to the environment's box.
      drop_bad: leave out rows that hold NaN or infinity; episodes are cut there.
      env: id to write where the file says none; its reference scores too, where it has none.

    Raises:
      UsageError: it cannot be read or written; it was recorded on another environment than `env`
        or is of other sizes; clipping without a known environment.
    """
    layout = formats.layout_for(target)
    if target.exists():
        raise UsageError(f"{target} exists already: delete it or choose another name")
    ref, rec = opened(spec)
    row = _row(ref, rec, env, clip_actions)
    env = env or ref.env
    origin.refuse_borrowed_name(target, ref.family, env)
    rec = timed(rec, (row.time_limit if row else None) or DEFAULT_LIMIT)
    score = ref.score or origin.usual_score(env, ref.family)
    header = dataclasses.replace(rec.header, env=env, family=ref.family, score=score, extra={})
    rec = dataclasses.replace(rec, header=header)
    dropped = 0
    if drop_bad:
        rec, dropped = without_bad_rows(rec)
    rec, clipped = clipped_actions(rec, row) if clip_actions else (rec, 0)
    write(layout, target, rec, row)
    return Conversion(ref, layout, clipped, dropped)


def _row(ref: DataRef, rec: Recording, asked: str, clip: bool) -> registry.EnvRow | None:
    """The row of the environment asked for, or of what the file says, where the suite has it."""
    if not asked:
        row = registry.envs().get(ref.env)
    else:
        row = registry.env(asked)
        if ref.env and task(ref.env) != task(asked):
            raise UsageError(
                f"{ref.name} was recorded on {ref.env}, not on {asked}: --env is for files that do "
                "not say, leave it out"
            )
    if row is not None and (asked or clip) and not checks.fits(rec, row):
        raise UsageError(f"{ref.name} does not fit {row.id}: {checks.sizes(rec, row)}")
    return row


def write(layout: str, target: Path, rec: Recording, row: registry.EnvRow | None) -> None:
    """Write a recording in a layout of `formats`.

    Args:
      layout: d4rl, minari or npz.
      target: the file, or Minari's folder; what it lies in is made.
      rec: its actions on the environment's own scale.
      row: of its environment, where that is known: Minari's layout tells the bounds of actions.

    Raises:
      UsageError: the target cannot be written.
    """
    if layout == "minari":
        minari_write.write(target, rec, _space(rec, row))
        return
    writers: dict[str, Any] = {"d4rl": d4rl.write, "npz": npz.write}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        writers[layout](target, rec)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from None


def _space(rec: Recording, row: registry.EnvRow | None) -> Any:
    """The environment's actions, where the row says them for every entry."""
    from gymnasium import spaces

    if row is None:
        return None
    if row.action.kind == "discrete":
        return spaces.Discrete(row.action.n, start=row.action.start)
    shape = rec.header.action
    return spaces.Box(row.action.low, row.action.high, shape, np.float32)


def without_bad_rows(rec: Recording) -> tuple[Recording, int]:
    """Rows that are finite, and how many were not; the row before a gap ends its episode, and what
    follows it is marked as `midway`."""
    rec = completed(rec)
    assert rec.next_obs is not None
    assert rec.next_known is not None
    good = np.ones(rec.header.rows, bool)
    for column in (rec.obs, rec.action, rec.reward):
        good &= np.isfinite(column).reshape(rec.header.rows, -1).all(1)
    good &= np.isfinite(rec.next_obs).reshape(rec.header.rows, -1).all(1) | ~rec.next_known
    gap = np.append(~good[1:], False) & ~rec.terminated
    cut = rec.truncated | gap
    columns = ("obs", "action", "reward", "terminated", "next_obs", "next_known")
    kept = {name: getattr(rec, name)[good] for name in columns}
    # What is left of an episode behind a gap has not the episode's return.
    behind = np.append(False, ~good[:-1] & ~rec.ends[:-1])
    midway = (behind if rec.midway is None else behind | rec.midway)[good]
    rows = int(good.sum())
    if rows < 2:
        raise UsageError(f"only {rows} rows are finite: nothing is left to write")
    header = dataclasses.replace(rec.header, rows=rows)
    made = dataclasses.replace(rec, header=header, truncated=cut[good], midway=midway, **kept)
    return made, int((~good).sum())


def clipped_actions(rec: Recording, row: registry.EnvRow | None) -> tuple[Recording, int]:
    """Actions within the environment's box, and how many were not."""
    if row is None or row.action.kind != "box" or not checks.bounded(row):
        raise UsageError("--clip-actions needs the environment's box: give --env")
    space = _space(rec, row)
    count = checks.outside(np.nan_to_num(rec.action), space)
    action = np.clip(rec.action, row.action.low, row.action.high)
    return dataclasses.replace(rec, action=action.astype(np.float32)), count
