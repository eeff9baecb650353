"""D4RL's layout: one HDF5 file of flat arrays. Read without the d4rl package."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rlsuite.envs.datasets.aside import written_aside
from rlsuite.envs.datasets.damage import readable, score
from rlsuite.envs.datasets.recording import (
    KNOWN,
    REQUIRED,
    Header,
    Recording,
    check_columns,
    header,
    recording,
)

_SAID = {"env": "env_id", "family": "rlsuite_family"}
_ATTRIBUTES = (*_SAID.values(), "ref_min_score", "ref_max_score", "dataset_id")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file to read.

    Raises:
      UsageError: none, no HDF5, cut short, or unreadable further in.
    """
    with readable(path, "HDF5"), h5py.File(path, "r") as file:
        yield file


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
        columns = {key: value[()] for key, value in _columns(file).items()}
    return recording(path, said, columns)


def _columns(file: Any) -> dict[str, Any]:
    """The known keys only: what else is in the file may be anything, links to nowhere too."""
    found = {key: file.get(key) for key in KNOWN}
    return {key: value for key, value in found.items() if isinstance(value, h5py.Dataset)}


def _header(path: Path, file: Any) -> Header:
    columns = _columns(file)
    check_columns(path, columns, REQUIRED, file)
    # One by one: on a damaged attribute that nobody needs HDF5 itself may crash.
    attributes = {key: _plain(file.attrs.get(key)) for key in _ATTRIBUTES if key in file.attrs}
    pair = score(path, attributes.get("ref_min_score"), attributes.get("ref_max_score"))
    said = {key: str(attributes.get(name, "")) for key, name in _SAID.items()}
    return header("d4rl", columns, score=pair, extra=attributes, **said)


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
    if rec.midway is not None and rec.midway.any():
        columns["midway"] = rec.midway
    with written_aside(path) as aside, h5py.File(aside, "w") as file:
        for key, value in columns.items():
            file.create_dataset(key, data=value, compression="gzip", compression_opts=4)
        for key, name in _SAID.items():
            file.attrs[name] = getattr(rec.header, key)
        if rec.header.score is not None:
            file.attrs["ref_min_score"], file.attrs["ref_max_score"] = rec.header.score
