"""Minari's layout: a folder of metadata.json and main_data.hdf5. Needs no minari package.

One group per episode with T + 1 observations and T of everything else, so that what every step led
to is known. Flat Box observations and Box or Discrete actions; observations of tasks with a goal,
three Boxes, are joined (`recording.GOAL_PARTS`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rlsuite.contracts.errors import UsageError
from rlsuite.envs.datasets.d4rl import opened
from rlsuite.envs.datasets.damage import readable, score
from rlsuite.envs.datasets.recording import (
    GOAL_PARTS,
    Header,
    Recording,
    flags,
    float32,
    refuse_other_type,
)

METADATA, MAIN = "metadata.json", "main_data.hdf5"
# An episode's attribute, see `Recording.midway`; the minari package passes it by.
MIDWAY = "rlsuite_midway"
_PARTS = ("observations", "actions", "rewards", "terminations", "truncations")


def read_metadata(folder: Path) -> dict[str, Any]:
    """metadata.json.

    Raises:
      UsageError: missing or damaged, or another storage format.
    """
    path = folder / METADATA
    if not path.exists():
        raise UsageError(_older(folder) or f"{folder} is no Minari dataset: no {METADATA} in it")
    with readable(path, "JSON"):
        values = json.loads(path.read_bytes())
    if not isinstance(values, dict):
        raise UsageError(f"{path} is damaged (it holds a {type(values).__name__}, not a table)")
    form = values.get("data_format", "hdf5")
    if form != "hdf5":
        raise UsageError(f"{folder} stores its data as {form!r}: only 'hdf5' can be read")
    return values


def read_header(folder: Path) -> Header:
    """What metadata.json says; opens no array."""
    path, meta = folder / METADATA, read_metadata(folder)
    observation = _space(path, meta, "observation_space")
    action = _space(path, meta, "action_space")
    if observation["type"] == "Dict":
        observation = {"type": "Box", "shape": [sum(goal_parts(path, meta).values())]}
    if observation["type"] != "Box" or action["type"] not in ("Box", "Discrete"):
        kinds = f"{observation['type']} observations and {action['type']} actions"
        raise UsageError(f"{folder} has {kinds}: only Box, and Box or Discrete, can be read")
    rows = meta.get("total_steps")
    if not (isinstance(rows, int) and _is_count(rows)):
        raise _unreadable(path, "total_steps")
    return Header(
        layout="minari",
        rows=rows,
        observation=tuple(observation["shape"]),
        action=tuple(action["shape"]),
        discrete=action["type"] == "Discrete",
        env=str(meta.get("rlsuite_env") or _env(path, meta)),
        score=score(path, meta.get("ref_min_score"), meta.get("ref_max_score")),
        family=str(meta.get("rlsuite_family", "")),
        extra={k: meta[k] for k in ("dataset_id", "algorithm_name", "author") if k in meta},
    )


def _older(folder: Path) -> str:
    """What is said of a folder that Minari wrote before 0.5, its metadata in the HDF5 file; "" of
    any other."""
    if not (folder / MAIN).exists():
        return ""
    with opened(folder / MAIN) as file:
        said = str(file.attrs["minari_version"]) if "minari_version" in file.attrs else ""
        if not said and "total_episodes" not in file.attrs:
            return ""
    wrote = f"Minari {said}" if said else "a Minari before 0.5"
    return (
        f"{folder} was written by {wrote}, which had no {METADATA}: only folders of Minari 0.5 and "
        "later can be read. Download the dataset again with that (`minari download`), or load its "
        "episodes with the Minari that wrote it and write them with "
        "minari.create_dataset_from_buffers of 0.5"
    )


def _unreadable(path: Path, key: str) -> UsageError:
    return UsageError(f"{path} has no readable {key!r}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _table(path: Path, meta: dict[str, Any], key: str) -> dict[str, Any]:
    """A value that is a table, or JSON of one."""
    value = meta.get(key)
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        raise _unreadable(path, key) from None
    if not isinstance(found, dict):
        raise _unreadable(path, key)
    return found


def _space(path: Path, meta: dict[str, Any], key: str) -> dict[str, Any]:
    space = _table(path, meta, key)
    shape = space.get("shape", None if space.get("type") == "Box" else [])
    if space.get("type") in ("Box", "Discrete"):
        if not isinstance(shape, list) or not all(_is_count(size) for size in shape):
            raise _unreadable(path, key)
    elif not isinstance(space.get("type"), str):
        raise _unreadable(path, key)
    return {**space, "shape": shape}


def goal_parts(path: Path, meta: dict[str, Any]) -> dict[str, int]:
    """Sizes of the parts that the observations of a task with a goal are joined of, in order;
    nothing where observations are one Box.

    Raises:
      UsageError: they are of other parts.
    """
    space = _space(path, meta, "observation_space")
    if space["type"] != "Dict":
        return {}
    parts = space.get("subspaces")
    if not isinstance(parts, dict) or set(parts) != set(GOAL_PARTS):
        names = ", ".join(map(str, parts)) if isinstance(parts, dict) else "nothing"
        raise UsageError(
            f"{path.parent} has Dict observations of {names}: only Box, or a Dict of "
            f"{', '.join(GOAL_PARTS)} (joined in this order), can be read"
        )
    boxes = {name: _space(path, parts, name) for name in GOAL_PARTS}
    for name, box in boxes.items():
        if box["type"] != "Box" or len(box["shape"]) != 1:
            raise UsageError(f"{path.parent}: {name!r} is no vector, it cannot be joined")
    return {name: box["shape"][0] for name, box in boxes.items()}


def _env(path: Path, meta: dict[str, Any]) -> str:
    """Gymnasium's id; "" where none is said."""
    key = next((key for key in ("env_spec", "eval_env_spec") if meta.get(key)), None)
    if key is None:
        return ""
    found = _table(path, meta, key).get("id", "")
    if not isinstance(found, str):
        raise _unreadable(path, key)
    return found


def read(folder: Path) -> Recording:
    """The whole dataset, episodes in the order of their numbers.

    Raises:
      UsageError: damaged, episodes missing, wrong shapes.
    """
    said, path = read_header(folder), folder / MAIN
    goal = goal_parts(folder / METADATA, read_metadata(folder))
    with opened(path) as file:
        names = sorted((n for n in file if re.fullmatch(r"episode_\d+", n)), key=_number)
        if not names:
            raise UsageError(f"{path} holds no episodes")
        episodes = [_episode(path, name, file.get(name), said, goal) for name in names]
    found = sum(len(e["rewards"]) for e in episodes)
    if said.rows != found:
        raise UsageError(f"{folder} says it has {said.rows} steps and has {found}: it is damaged")
    if found < 2:
        raise UsageError(f"{path} holds {found} steps: at least 2 are needed")
    joined = {k: np.concatenate([e[k] for e in episodes]) for k in (*_PARTS, "next", "midway")}
    action = joined["actions"]
    return Recording(
        header=said,
        obs=float32(joined["observations"]),
        action=action.astype(np.int32) if said.discrete else float32(action),
        reward=float32(joined["rewards"]),
        terminated=joined["terminations"],
        truncated=joined["truncations"] & ~joined["terminations"],
        next_obs=float32(joined["next"]),
        next_known=np.ones(len(action), bool),
        midway=joined["midway"],
    )


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


def _episode(
    path: Path, name: str, group: Any, said: Header, goal: dict[str, int]
) -> dict[str, np.ndarray]:
    out = _arrays(path, name, group, said, goal)
    out["next"], out["observations"] = out["observations"][1:], out["observations"][:-1]
    out["midway"] = np.zeros(len(out["rewards"]), bool)
    out["midway"][:1] = bool(group.attrs.get(MIDWAY, False))
    for key in ("terminations", "truncations"):
        out[key] = flags(f"{path}: {name}", key, out[key])
        if out[key][:-1].any():
            raise UsageError(f"{path}: {name} goes on after one of its {key}")
    if len(out["rewards"]) and not out["terminations"][-1]:
        # Whatever cut it, the next episode's first step does not follow.
        out["truncations"][-1] = True
    return out


def _arrays(
    path: Path, name: str, group: Any, said: Header, goal: dict[str, int]
) -> dict[str, np.ndarray]:
    """The arrays of an episode, their shapes and types checked, a goal's parts joined."""
    parts = {f"observations/{part}": size for part, size in goal.items()}
    keys = (*(key for key in _PARTS if not (goal and key == "observations")), *parts)
    found: dict[str, Any] = {}
    if isinstance(group, h5py.Group):
        found = {key: group.get(key) for key in keys}
    for key in keys:
        if not isinstance(found.get(key), h5py.Dataset):
            raise UsageError(f"{path}: {name} has no {key!r}")
    steps = found["rewards"].shape[0] if found["rewards"].shape else 0
    seen = {key: (size,) for key, size in parts.items()} or {"observations": said.observation}
    wanted = {
        **{key: (steps + 1, *shape) for key, shape in seen.items()},
        "actions": (steps, *said.action), "rewards": (steps,), "terminations": (steps,),
        "truncations": (steps,),
    }  # fmt: skip
    for key, shape in wanted.items():
        if found[key].shape != shape:
            raise UsageError(f"{path}: {name} has {key!r} of shape {found[key].shape}, not {shape}")
        kinds = "iub" if key == "actions" and said.discrete else "fiub"
        refuse_other_type(f"{path}: {name}", key, found[key].dtype, kinds)
    out = {key: found[key][()] for key in keys}
    if goal:
        out["observations"] = np.concatenate([out.pop(key) for key in parts], -1)
    return out
