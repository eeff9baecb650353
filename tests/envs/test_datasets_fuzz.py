"""Damaged at random: every file is read, or refused in one line.

In a process of its own: what crashes HDF5's C code must not take the other tests along.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from rlsuite.contracts.errors import UsageError
from rlsuite.envs.datasets import d4rl, formats, minari_write, npz

FILES = 250


@pytest.mark.parametrize("ending", ["hdf5", "npz", "json"])
def test_any_flipped_byte_is_read_or_refused(tmp_path: Path, ending: str) -> None:
    from offline_tools import pendulum_like

    path = target = tmp_path / f"set.{ending}"
    if ending == "json":
        path, target = tmp_path / "set", tmp_path / "set" / "metadata.json"
        minari_write.write(path, pendulum_like())
    else:
        (d4rl if ending == "hdf5" else npz).write(path, pendulum_like())
    command = [sys.executable, "-W", "error", __file__, str(path), str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    read, refused = map(int, done.stdout.split())
    assert (read + refused, read > 5, refused > 5) == (FILES, True, True)


def damaged(path: Path, target: Path) -> tuple[int, int]:
    """How many of the damaged copies of a dataset's file were read, and how many refused."""
    whole, read, dice = target.read_bytes(), 0, random.Random(7)
    for number in range(FILES):
        content = bytearray(whole)
        reach = len(whole) if number % 2 else min(len(whole), 2500)
        for _ in range(dice.choice([1, 2, 8])):
            content[dice.randrange(reach)] = dice.randrange(256)
        target.write_bytes(bytes(content))
        read += _is_read(path)
    return read, FILES - read


def _is_read(path: Path) -> bool:
    """Nothing but a refusal in one line is caught."""
    said = ""
    try:
        assert formats.read(path).header.rows == formats.read_header(path).rows
    except UsageError as error:
        said = str(error)
    assert "\n" not in said, said
    return not said


if __name__ == "__main__":
    print(*damaged(Path(sys.argv[1]), Path(sys.argv[2])))
