"""Family, environment and name: what a file says of itself against what it is called."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from offline_tools import pendulum_like

from rlsuite.contracts.errors import UsageError
from rlsuite.envs.datasets import collect, convert, d4rl, minari_write, mix, source
from rlsuite.envs.datasets.collect import Collection
from rlsuite.envs.datasets.mix import Part
from rlsuite.envs.datasets.recording import Recording


def hopper(**said: Any) -> Recording:
    """Of Hopper's sizes; what its header says of itself."""
    rec = pendulum_like()
    header = dataclasses.replace(
        rec.header, **{"env": "", "score": None, "observation": (11,), "action": (3,), **said}
    )
    wide = {"obs": np.repeat(rec.obs[:, :1], 11, 1), "action": np.repeat(rec.action / 2, 3, 1)}
    return dataclasses.replace(rec, header=header, next_obs=None, next_known=None, **wide)


def written(folder: Path, name: str, **said: Any) -> str:
    d4rl.write(folder / name, hopper(**said))
    return str(folder / name)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"family": "own"}, "says it is own, but is called as d4rl's hopper-medium-v2: rename it"),
        ({"family": "minari"}, "says it is minari, but is called"),
        ({"family": "D4RL"}, "its family is 'D4RL': did you mean 'd4rl'"),
        ({"env": "mujoco:Walker2d-v4"}, "recorded on mujoco:Walker2d-v4, but is called as hopper"),
    ],
)
def test_a_borrowed_name_makes_no_d4rl_set(tmp_path: Path, said: Any, words: str) -> None:
    path = written(tmp_path, "hopper_medium-v2.hdf5", **said)
    for refused in (source.resolve, source.refer, source.opened):
        with pytest.raises(UsageError, match=words):
            refused(path)
    with pytest.raises(UsageError, match=words):
        convert.convert(path, tmp_path / "other.npz")
    assert not (tmp_path / "other.npz").exists()


@pytest.mark.parametrize(
    ("said", "env"),
    [
        ({}, "mujoco:Hopper-v4"),
        ({"family": "d4rl", "env": "mujoco:Hopper-v4"}, "mujoco:Hopper-v4"),
        ({"env": "mujoco:Hopper-v5"}, "mujoco:Hopper-v5"),
        ({"env": "hopper-medium-v2"}, "mujoco:Hopper-v4"),
        ({"env": "Hopper-v2"}, "mujoco:Hopper-v4"),
    ],
)
def test_what_a_true_d4rl_set_says_counts(tmp_path: Path, said: Any, env: str) -> None:
    ref = source.resolve(written(tmp_path, "hopper_medium-v2.hdf5", **said))
    assert (ref.family, ref.name, ref.env) == ("d4rl", "hopper-medium-v2", env)


def test_a_minari_folder_is_no_d4rl_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari_write.write(tmp_path / "hopper-medium-v2", hopper(), rlsuite_family="")
    monkeypatch.setenv("RLSUITE_DATASETS", str(tmp_path))
    with pytest.raises(UsageError, match="says it is minari, but is called"):
        source.resolve("hopper-medium-v2")


def test_a_family_is_one_of_three(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its family is 'zzz': known: d4rl, minari, own"):
        source.resolve(written(tmp_path, "a.hdf5", family="zzz"))


WRITERS: dict[str, Callable[[str, Path], object]] = {
    "convert": lambda source, target: convert.convert(source, target),
    "mix": lambda source, target: mix.mix([Part(source)], target),
    "collect": lambda _, target: collect.collect(
        Collection("CartPole-v1", 4, num_envs=1), target, print
    ),
}


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize("name", ["hopper_medium-v2.hdf5", "hopper-medium-v2"])
def test_own_data_gets_no_d4rl_name(tmp_path: Path, command: str, name: str) -> None:
    path = written(tmp_path, "mine.hdf5", family="own", env="mujoco:Hopper-v4")
    if command == "collect" and name.endswith("hdf5"):
        name = "hopper-expert-v2"
    with pytest.raises(UsageError, match=r"is what d4rl's hopper-.* is called, and this is own"):
        WRITERS[command](path, tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.hdf5"]


def test_d4rl_data_keeps_its_name_but_takes_no_other_task_s(tmp_path: Path) -> None:
    path = written(tmp_path, "a.hdf5", family="d4rl", env="mujoco:Hopper-v4")
    (tmp_path / "new").mkdir()
    convert.convert(path, tmp_path / "new" / "hopper_medium-v2.hdf5")
    assert source.resolve(str(tmp_path / "new" / "hopper_medium-v2.hdf5")).family == "d4rl"
    with pytest.raises(UsageError, match="walker2d-medium-v2 is called"):
        convert.convert(path, tmp_path / "walker2d_medium-v2.hdf5")
