"""Writing Minari's layout: what the minari package reads, and `rlsuite.envs.datasets.minari`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rlsuite.envs.datasets.aside import written_aside
from rlsuite.envs.datasets.checks import straddling
from rlsuite.envs.datasets.minari import MAIN, METADATA, MIDWAY
from rlsuite.envs.datasets.recording import Header, Recording, completed
from rlsuite.io.files import write_json

# The release whose layout this is.
VERSION = "0.5.3"
NAMESPACE = "rlsuite/"


def write(folder: Path, rec: Recording, space: Any = None, **more: Any) -> None:
    """A dataset's folder.

    A row whose next observation is unknown (D4RL's last of a time-limited episode) gives its
    observation to the end of the episode before it, and its action is lost, as in D4RL's view.

    Args:
      folder: made; must not exist.
      rec: its time limits and terminals end episodes, and so do gaps.
      space: the environment's action space; default [-1, 1], or as many actions as were seen.
      more: further keys of metadata.json.
    """
    rec = completed(rec)
    steps = episodes = 0
    with written_aside(folder) as aside:
        aside.mkdir()
        with h5py.File(aside / MAIN, "w") as file:
            for start, stop in zip(*_bounds(rec), strict=True):
                taken = _write_episode(file, episodes, rec, int(start), int(stop))
                steps, episodes = steps + taken, episodes + (taken > 0)
        named = re.sub(r"[^\w-]+", "-", folder.name)
        more = {"dataset_id": f"{NAMESPACE}{named}-v0", **more}
        _write_metadata(aside, rec, steps, episodes, space, more)


def _bounds(rec: Recording) -> tuple[np.ndarray, np.ndarray]:
    ends = rec.ends | straddling(rec) | ~np.asarray(rec.next_known)
    stops = np.flatnonzero(ends) + 1
    if not stops.size or stops[-1] != rec.header.rows:
        stops = np.append(stops, rec.header.rows)
    return np.concatenate([[0], stops[:-1]]), stops


def _write_episode(file: Any, number: int, rec: Recording, start: int, stop: int) -> int:
    """The steps written: none, where an episode is one row of unknown outcome."""
    assert rec.next_obs is not None
    assert rec.next_known is not None
    known = bool(rec.next_known[stop - 1])
    last = rec.next_obs[stop - 1] if known else rec.obs[stop - 1]
    stop = stop if known else stop - 1
    if stop == start:
        return 0
    terminations = rec.terminated[start:stop]
    truncations = np.zeros(stop - start, bool)
    truncations[-1] = not terminations[-1]
    group = file.create_group(f"episode_{number}")
    group.attrs["id"], group.attrs["total_steps"] = number, stop - start
    if rec.midway is not None and rec.midway[start]:
        group.attrs[MIDWAY] = True
    action = rec.action[start:stop]
    for key, value in {
        "observations": np.concatenate([rec.obs[start:stop], last[None]]),
        "actions": action.astype(np.int64) if rec.header.discrete else action,
        "rewards": rec.reward[start:stop].astype(np.float64),
        "terminations": terminations,
        "truncations": truncations,
    }.items():
        group.create_dataset(key, data=value)
    group.create_group("infos")
    return stop - start


def _write_metadata(
    folder: Path, rec: Recording, steps: int, episodes: int, space: Any, more: dict[str, Any]
) -> None:
    header = rec.header
    meta = {
        "total_episodes": episodes,
        "total_steps": steps,
        "data_format": "hdf5",
        "observation_space": json.dumps(_box(header.observation, -np.inf, np.inf)),
        "action_space": json.dumps(_action_space(rec, space)),
        "minari_version": VERSION,
        "dataset_size": round((folder / MAIN).stat().st_size / 1e6, 3),
        "rlsuite_family": header.family or "own",
        "rlsuite_env": header.env,
        **more,
    }
    if (spec := _env_spec(header.env)) is not None:
        meta["env_spec"] = spec
    if header.score is not None:
        meta["ref_min_score"], meta["ref_max_score"] = header.score
    write_json(folder / METADATA, meta)


def _env_spec(env: str) -> str | None:
    """Gymnasium's description of an environment that it has, as the minari package reads it."""
    from gymnasium.envs import registration

    spec = registration.registry.get(re.sub("^(mujoco|gym):", "", env))
    try:
        return None if spec is None else spec.to_json()
    except ValueError:
        # Made by a class or a function, which has no name to write; `rlsuite_env` says what it is.
        return None


def _action_space(rec: Recording, space: Any) -> dict[str, Any]:
    header: Header = rec.header
    if header.discrete:
        n = int(space.n) if space is not None else int(rec.action.max()) + 1
        return {
            "type": "Discrete",
            "dtype": "int64",
            "start": int(getattr(space, "start", 0)),
            "n": n,
        }
    box = _box(header.action, -1.0, 1.0)
    if space is not None:
        box |= {"low": np.asarray(space.low).tolist(), "high": np.asarray(space.high).tolist()}
    return box


def _box(shape: tuple[int, ...], low: float, high: float) -> dict[str, Any]:
    bounds = {key: np.full(shape, value).tolist() for key, value in (("low", low), ("high", high))}
    return {"type": "Box", "dtype": "float32", "shape": list(shape), **bounds}
