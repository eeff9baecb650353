"""D4RL's layout: one HDF5 file of flat arrays. Read without the d4rl package."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rlsuite.envs.datasets.aside import written_aside
from rlsuite.envs.datasets.recording import (
    KNOWN,
    REQUIRED,
    Header,
    Recording,
    check_columns,
    header,
    recording,
)
from rlsuite.errors import UsageError

_SAID = {"env": "env_id", "family": "rlsuite_family"}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file to read.

    Raises:
      UsageError: none, no HDF5, cut short, or unreadable further in.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError:
        raise UsageError(f"no file {path}") from None
    except (OSError, RuntimeError) as error:
        # Also what reading a damaged block raises.
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path} is damaged or no HDF5 file ({reason})") from None


def read_header(path: Path) -> Header:
    """Shapes and attributes; reads no array."""
    with opened(path) as file:
        return _header(path, file)


def read(path: Path) -> Recording:
    """The whole file.

    Raises:
      UsageError: damaged, keys missing, wrong shapes.
    """
    with opened(path) as file:
        said = _header(path, file)
        return recording(said, {key: file[key][()] for key in KNOWN if key in file})


def _header(path: Path, file: Any) -> Header:
    columns = {key: file[key] for key in file if isinstance(file[key], h5py.Dataset)}
    check_columns(path, columns, REQUIRED)
    attributes = {key: _plain(value) for key, value in file.attrs.items()}
    low, high = attributes.get("ref_min_score"), attributes.get("ref_max_score")
    score = None if low is None or high is None else (float(low), float(high))
    said = {key: str(attributes.get(name, "")) for key, name in _SAID.items()}
    return header("d4rl", columns, score=score, extra=attributes, **said)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def write(path: Path, rec: Recording) -> None:
    """D4RL's keys, compressed, beside the place and renamed when whole."""
    columns = {
        "observations": rec.obs, "actions": rec.action, "rewards": rec.reward,
        "terminals": rec.terminated, "timeouts": rec.truncated,
    }  # fmt: skip
    if rec.next_obs is not None and rec.next_known is not None:
        columns |= {"next_observations": rec.next_obs, "next_obs_valid": rec.next_known}
    with written_aside(path) as aside, h5py.File(aside, "w") as file:
        for key, value in columns.items():
            file.create_dataset(key, data=value, compression="gzip", compression_opts=4)
        for key, name in _SAID.items():
            file.attrs[name] = getattr(rec.header, key)
        if rec.header.score is not None:
            file.attrs["ref_min_score"], file.attrs["ref_max_score"] = rec.header.score
