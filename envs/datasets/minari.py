"""Minari's layout: a folder of metadata.json and main_data.hdf5. Needs no minari package.

One group per episode with T + 1 observations and T of everything else, so that what every step led
to is known. Flat Box observations and Box or Discrete actions.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.envs.datasets.d4rl import opened
from rlsuite.envs.datasets.recording import Header, Recording
from rlsuite.errors import UsageError

METADATA, MAIN = "metadata.json", "main_data.hdf5"
_PARTS = ("observations", "actions", "rewards", "terminations", "truncations")


def read_metadata(folder: Path) -> dict[str, Any]:
    """metadata.json.

    Raises:
      UsageError: missing or damaged, or another storage format.
    """
    path = folder / METADATA
    try:
        values = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{folder} is no Minari dataset: no {METADATA} in it") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is damaged ({error})") from None
    form = values.get("data_format", "hdf5")
    if form != "hdf5":
        raise UsageError(f"{folder} stores its data as {form!r}: only 'hdf5' can be read")
    return values


def read_header(folder: Path) -> Header:
    """What metadata.json says; opens no array."""
    meta = read_metadata(folder)
    observation = _space(folder, meta, "observation_space")
    action = _space(folder, meta, "action_space")
    if observation["type"] != "Box" or action["type"] not in ("Box", "Discrete"):
        kinds = f"{observation['type']} observations and {action['type']} actions"
        raise UsageError(f"{folder} has {kinds}: only Box, and Box or Discrete, can be read")
    if action.get("start", 0):
        raise UsageError(f"{folder} counts its actions from {action['start']}: only 0 can be read")
    low, high = meta.get("ref_min_score"), meta.get("ref_max_score")
    spec = meta.get("env_spec") or meta.get("eval_env_spec")
    spec = json.loads(spec) if isinstance(spec, str) else spec or {}
    return Header(
        layout="minari",
        rows=int(meta.get("total_steps", 0)),
        observation=tuple(observation["shape"]),
        action=tuple(action.get("shape", ())),
        discrete=action["type"] == "Discrete",
        env=str(meta.get("rlsuite_env") or spec.get("id", "")),
        score=None if low is None or high is None else (float(low), float(high)),
        family=str(meta.get("rlsuite_family", "")),
        extra={k: meta[k] for k in ("dataset_id", "algorithm_name", "author") if k in meta},
    )


def _space(folder: Path, meta: dict[str, Any], key: str) -> dict[str, Any]:
    value = meta.get(key)
    try:
        space = json.loads(value) if isinstance(value, str) else dict(value or {})
        space.setdefault("shape", [])
        return {**space, "type": space["type"]}
    except (json.JSONDecodeError, TypeError, KeyError):
        raise UsageError(f"{folder / METADATA} has no readable {key!r}") from None


def read(folder: Path) -> Recording:
    """The whole dataset, episodes in the order of their numbers.

    Raises:
      UsageError: damaged, episodes missing, wrong shapes.
    """
    said = read_header(folder)
    path = folder / MAIN
    with opened(path) as file:
        names = sorted((n for n in file if re.fullmatch(r"episode_\d+", n)), key=_number)
        if not names:
            raise UsageError(f"{path} holds no episodes")
        episodes = [_episode(path, name, file[name], said) for name in names]
    if said.rows != sum(len(e["rewards"]) for e in episodes):
        found = sum(len(e["rewards"]) for e in episodes)
        raise UsageError(f"{folder} says it has {said.rows} steps and has {found}: it is damaged")
    joined = {k: np.concatenate([e[k] for e in episodes]) for k in (*_PARTS, "next")}
    action = joined["actions"]
    return Recording(
        header=said,
        obs=joined["observations"].astype(np.float32, copy=False),
        action=action.astype(np.int32 if said.discrete else np.float32, copy=False),
        reward=joined["rewards"].astype(np.float32),
        terminated=joined["terminations"],
        truncated=joined["truncations"] & ~joined["terminations"],
        next_obs=joined["next"].astype(np.float32, copy=False),
        next_known=np.ones(len(action), bool),
    )


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


def _episode(path: Path, name: str, group: Any, said: Header) -> dict[str, np.ndarray]:
    for key in _PARTS:
        if key not in group or not hasattr(group[key], "shape"):
            raise UsageError(f"{path}: {name} has no {key!r}")
    steps = group["rewards"].shape[0] if group["rewards"].shape else 0
    wanted = {
        "observations": (steps + 1, *said.observation), "actions": (steps, *said.action),
        "rewards": (steps,), "terminations": (steps,), "truncations": (steps,),
    }  # fmt: skip
    for key, shape in wanted.items():
        if group[key].shape != shape:
            raise UsageError(f"{path}: {name} has {key!r} of shape {group[key].shape}, not {shape}")
    out = {key: group[key][()] for key in _PARTS}
    out["next"], out["observations"] = out["observations"][1:], out["observations"][:-1]
    for key in ("terminations", "truncations"):
        out[key] = out[key].astype(bool)
        if out[key][:-1].any():
            raise UsageError(f"{path}: {name} goes on after one of its {key}")
    if steps and not out["terminations"][-1]:
        # Whatever cut it, the next episode's first step does not follow.
        out["truncations"][-1] = True
    return out
