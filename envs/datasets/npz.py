"""The recorded layout: D4RL's keys in one npz file, with what each step led to.

Keys: observations, actions, rewards, terminals, timeouts, next_observations, and next_obs_valid
where some rows' next observation is not what the step led to; midway, where the first part of some
episodes was left out, 1 in the row that follows; `env`, `family` and `score` say where
it comes from.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.contracts.errors import UsageError
from rlsuite.envs.datasets.damage import readable, score
from rlsuite.envs.datasets.recording import (
    KNOWN,
    REQUIRED,
    Header,
    Recording,
    check_columns,
    completed,
    header,
    recording,
)
from rlsuite.io.files import remove_strays, write_atomic

NEEDED = (*REQUIRED, "timeouts", "next_observations")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # Opened here: numpy leaves a file open that turns out to be no zip.
    with readable(path, "npz"), open(path, "rb") as stream:
        file: Any = np.load(stream, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise UsageError(f"{path} is one array, not an npz file of columns")
        yield file


def read_header(path: Path) -> Header:
    """Shapes and what the file says of itself."""
    return read(path).header


def read(path: Path) -> Recording:
    """The whole file.

    Raises:
      UsageError: damaged, keys missing (`timeouts` too: nothing else tells a time limit from a
        terminal), wrong shapes.
    """
    with _opened(path) as file:
        columns = {key: file[key] for key in KNOWN if key in file.files}
        names = file.files
        said: dict[str, Any] = {k: str(file[k]) for k in ("env", "family") if k in names}
        pair = file["score"].tolist() if "score" in names else (None, None)
    check_columns(path, columns, NEEDED, names)
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise UsageError(f"{path}: 'score' is {pair}, not the two returns that count as 0 and 100")
    return recording(path, header("npz", columns, score=score(path, *pair), **said), columns)


def write(path: Path, rec: Recording) -> None:
    """Equal recordings give equal bytes."""
    remove_strays(path.parent, of=path.name)
    rec = completed(rec)
    columns: dict[str, Any] = {
        "observations": rec.obs, "actions": rec.action, "rewards": rec.reward,
        "terminals": rec.terminated, "timeouts": rec.truncated,
        "next_observations": rec.next_obs, "next_obs_valid": rec.next_known,
        "env": np.array(rec.header.env), "family": np.array(rec.header.family),
    }  # fmt: skip
    if rec.header.score is not None:
        columns["score"] = np.array(rec.header.score)
    if rec.midway is not None and rec.midway.any():
        columns["midway"] = rec.midway
    buffer = io.BytesIO()
    np.savez(buffer, **columns)
    write_atomic(path, buffer.getvalue())
