"""Bad data, each refused in one line before anything is compiled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from offline_tools import pendulum_like, tiny

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.envs.datasets import d4rl, formats, inspect, minari_write, npz, source
from rlsuite.envs.datasets.recording import Recording


def hdf5(change: Callable[[Any], Any], name: str = "bad.hdf5") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        d4rl.write(folder / name, pendulum_like())
        with h5py.File(folder / name, "a") as file:
            change(file)
        return folder / name

    return make


def without(key: str) -> Callable[[Path], Path]:
    return hdf5(lambda file: file.__delitem__(key))


def instead(key: str, value: Any) -> Callable[[Path], Path]:
    def change(file: Any) -> None:
        del file[key]
        file[key] = value

    return hdf5(change)


def columns(**changes: Any) -> Callable[[Path], Path]:
    """An npz file with columns changed, or left out where None."""

    def make(folder: Path) -> Path:
        path = tiny(folder, "bad")
        with np.load(path) as file:
            found = {key: file[key] for key in file.files}
        found |= changes
        np.savez(path, **{key: value for key, value in found.items() if value is not None})
        return path

    return make


def values(change: Callable[[Recording], None]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        rec = pendulum_like()
        change(rec)
        npz.write(folder / "bad.npz", rec)
        return folder / "bad.npz"

    return make


def folder(change: Callable[[Path], Any]) -> Callable[[Path], Path]:
    def make(where: Path) -> Path:
        minari_write.write(where / "bad", pendulum_like())
        change(where / "bad")
        return where / "bad"

    return make


def metadata(**changes: Any) -> Callable[[Path], Path]:
    def change(where: Path) -> None:
        path = where / "metadata.json"
        path.write_text(
            json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8"
        )

    return folder(change)


def inside(change: Callable[[Any], None]) -> Callable[[Path], None]:
    """A change of a Minari folder's arrays."""

    def made(where: Path) -> None:
        with h5py.File(where / "main_data.hdf5", "a") as file:
            change(file)

    return made


def episode(change: Callable[[Any], None]) -> Callable[[Path], Path]:
    return folder(inside(lambda file: change(file["episode_1"])))


def emptied(file: Any) -> None:
    for name in file:
        for key in ("observations", "actions", "rewards", "terminations", "truncations"):
            rows = int(key == "observations")
            swapped(file[name], key, np.asarray(file[name][key])[:rows])


def nothing_in_it(where: Path) -> None:
    inside(emptied)(where)
    path = where / "metadata.json"
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"total_steps": 0}),
        encoding="utf-8",
    )


def grouped(file: Any) -> None:
    del file["actions"]
    file.create_group("actions")


def attributes(**changes: Any) -> Callable[[Path], Path]:
    return hdf5(lambda file: file.attrs.update(changes))


def nan_at(row: int) -> np.ndarray:
    flags = np.zeros(60, np.float32)
    flags[row] = np.nan
    return flags


def swapped(group: Any, key: str, value: Any) -> None:
    del group[key]
    group[key] = value


def cut(name: str) -> Callable[[Path], Path]:
    def make(where: Path) -> Path:
        path = where / name
        (d4rl if name.endswith("hdf5") else npz).write(path, pendulum_like(2000, 20))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return make


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(where: Path) -> Path:
        (where / name).write_bytes(content)
        return where / name

    return make


def put(column: str, value: float) -> Callable[[Recording], None]:
    return lambda rec: getattr(rec, column).reshape(60, -1).__setitem__((5, 0), value)


F = np.float32
NO = np.zeros(60, bool)
BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda d: d / "no.hdf5", "no dataset file .*no.hdf5"),
    "unknown ending": (written("x.csv", b"1,2"), "not .hdf5 or .npz"),
    "cut hdf5": (cut("bad.hdf5"), "damaged or no HDF5"),
    "cut npz": (cut("bad.npz"), "damaged or no npz"),
    "text as hdf5": (written("x.hdf5", b"hello"), "damaged or no HDF5"),
    "text as npz": (written("x.npz", b"hello"), "damaged or no npz"),
    "empty file": (written("x.npz", b""), "damaged or no npz"),
    "no observations": (without("observations"), "no 'observations'"),
    "no actions": (without("actions"), "no 'actions'"),
    "no rewards": (without("rewards"), "no 'rewards'"),
    "no terminals": (without("terminals"), "no 'terminals'.*timeouts"),
    "misspelt key": (
        hdf5(lambda f: f.move("observations", "observation")), "did you mean 'observation'"
    ),
    "other length": (instead("rewards", np.zeros(59, F)), "has shape .*59 rows"),
    "rewards two wide": (instead("rewards", np.zeros((60, 2), F)), "not one number a row"),
    "scalar rewards": (instead("rewards", F(0)), "holds 0 steps"),
    "flat actions": (instead("actions", np.zeros(60, F)), r"not \(n, size\)"),
    "flat observations": (instead("observations", np.zeros(60, F)), "one number a row"),
    "next of other width": (
        instead("next_observations", np.zeros((60, 4), F)), "'next_observations' has shape"
    ),
    "words": (instead("actions", np.array([b"left"] * 60)), "not numbers"),
    "one step": (
        columns(
            **dict.fromkeys(("observations", "actions", "next_observations"), np.zeros((1, 1), F)),
            **dict.fromkeys(("rewards", "terminals", "timeouts"), np.zeros(1, F)),
        ),
        "at least 2",
    ),
    "npz without timeouts": (columns(timeouts=None), "no 'timeouts'"),
    "npz without next": (columns(next_observations=None), "no 'next_observations'"),
    "pickled": (columns(actions=np.array([{}] * 60, object)), "damaged or no npz"),
    "nan observation": (values(put("obs", np.nan)), "1 rows of 'observations' are not finite"),
    "nan reward": (values(put("reward", np.nan)), "1 rows of 'rewards' are not finite.*--drop-bad"),
    "infinite action": (values(put("action", np.inf)), "1 rows of 'actions' are not finite"),
    "nan next": (values(put("next_obs", np.nan)), "'next_observations' are not finite"),
    "outside the box": (values(put("action", 2.1)), "1 of 60 actions are outside.*--clip-actions"),
    "no metadata": (folder(lambda d: (d / "metadata.json").unlink()), "no metadata.json in it"),
    "damaged metadata": (
        folder(lambda d: (d / "metadata.json").write_bytes(b"{")), "metadata.json is damaged"
    ),
    "metadata is a list": (
        folder(lambda d: (d / "metadata.json").write_bytes(b"[1]")), "holds a list, not a table"
    ),
    "metadata is a folder": (
        folder(lambda d: [(d / "metadata.json").unlink(), (d / "metadata.json").mkdir()]),
        "metadata.json is damaged",
    ),
    "steps null": (metadata(total_steps=None), "no readable 'total_steps'"),
    "steps a word": (metadata(total_steps="many"), "no readable 'total_steps'"),
    "spec broken": (metadata(rlsuite_env="", env_spec="{oops"), "no readable 'env_spec'"),
    "spec a list": (metadata(rlsuite_env="", env_spec="[1]"), "no readable 'env_spec'"),
    "spec a number": (metadata(rlsuite_env="", env_spec=5), "no readable 'env_spec'"),
    "space a list": (metadata(observation_space="[1]"), "no readable 'observation_space'"),
    "shape null": (
        metadata(observation_space=json.dumps({"type": "Box", "shape": None})),
        "no readable 'observation_space'",
    ),
    "score a word": (metadata(ref_min_score="a", ref_max_score="b"), "returns of a and b"),
    "score of no width": (metadata(ref_min_score=0, ref_max_score=0), "returns of 0 and 0"),
    "arrow": (metadata(data_format="arrow"), "'arrow': only 'hdf5'"),
    "no space": (metadata(action_space=None), "no readable 'action_space'"),
    "dict observations": (
        metadata(observation_space=json.dumps({"type": "Dict"})), "Dict observations"
    ),
    "actions from 1": (
        metadata(action_space=json.dumps({"type": "Discrete", "n": 3, "start": 1})), "from 1"
    ),
    "no data": (folder(lambda d: (d / "main_data.hdf5").unlink()), "main_data.hdf5"),
    "steps missing": (metadata(total_steps=61), "says it has 61 steps and has 60"),
    "no truncations": (episode(lambda g: g.__delitem__("truncations")), "no 'truncations'"),
    "T observations": (
        episode(lambda g: swapped(g, "observations", np.zeros((20, 3), F))), r"not \(21, 3\)"
    ),
    "goes on after the end": (
        episode(lambda g: swapped(g, "terminations", np.ones(20, bool))), "goes on after"
    ),
    "episode is an array": (
        folder(inside(lambda file: swapped(file, "episode_1", np.zeros(3)))),
        "has no 'observations'",
    ),
    "actions are words": (
        episode(lambda g: swapped(g, "actions", np.zeros((20, 1), "S3"))), "not numbers"
    ),
    "odd terminations": (
        episode(lambda g: swapped(g, "terminations", np.full(20, 0.5))), "other than 0 and 1 in 20"
    ),
    "no steps": (folder(nothing_in_it), "holds 0 steps"),
    "nan terminals": (instead("terminals", nan_at(7)), "'terminals' .* 0 and 1 in 1 rows"),
    "nan timeouts": (instead("timeouts", nan_at(3)), "'timeouts' .* 0 and 1 in 1 rows"),
    "half terminals": (instead("terminals", np.full(60, 0.5, F)), "0 and 1 in 60 rows"),
    "counted terminals": (instead("terminals", np.arange(60)), "0 and 1 in 58 rows"),
    "npz terminals": (columns(terminals=nan_at(9)), "'terminals' .* 0 and 1 in 1 rows"),
    "all at a time limit": (
        hdf5(lambda f: [swapped(f, "terminals", NO), swapped(f, "timeouts", ~NO)]),
        "nothing to learn from",
    ),
    "nothing known": (columns(next_obs_valid=NO), "nothing to learn from"),
    "integer actions": (instead("actions", np.zeros((60, 3), np.int32)), r"int32 of shape \(60, 3"),
    "rewards a link to nowhere": (
        instead("rewards", h5py.SoftLink("/nowhere")), "has no 'rewards'"
    ),
    "rewards in a file that is gone": (
        instead("rewards", h5py.ExternalLink("none.h5", "/x")), "has no 'rewards'"
    ),
    "group for a column": (hdf5(grouped), "has no 'actions': did you mean 'obs"),
    "score in words": (attributes(ref_min_score="low", ref_max_score="high"), "of low and high"),
    "score of arrays": (attributes(ref_min_score=[0, 0], ref_max_score=[1, 1]), "two numbers"),
    "score nan": (attributes(ref_min_score=np.nan), "returns of nan and 0"),
    "score reversed": (columns(score=np.array([5.0, 1.0])), "returns of 5.0 and 1.0"),
    "score alone": (columns(score=np.float64(3)), "'score' is 3.0, not the two"),
    "three scores": (columns(score=np.arange(3.0)), "not the two"),
    "too large for float32": (
        instead("observations", np.full((60, 3), 1e300)), "60 rows of 'observations' are not finite"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line(tmp_path: Path, name: str) -> None:
    """When a grid is read, not when its turn comes."""
    make, words = BAD[name]
    path = make(tmp_path)
    with pytest.raises(UsageError, match=words) as error:
        source.resolve(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["nan reward", "outside the box", "all at a time limit"])
def test_a_worker_refuses_them_too(tmp_path: Path, name: str) -> None:
    """A reference may have been made where nobody judged the values."""
    make, words = BAD[name]
    with pytest.raises(UsageError, match=words):
        source.load(source.refer(str(make(tmp_path))), registry.make_env("Pendulum-v1"))


def test_a_dataset_is_judged_once_and_without_jax(tmp_path: Path) -> None:
    path = tiny(tmp_path)
    code = (
        "import sys\n"
        "from rlsuite.envs.datasets import formats, source\n"
        "read, count = formats.read, []\n"
        "formats.read = lambda path: [count.append(path), read(path)][1]\n"
        f"refs = [source.resolve({str(path)!r}) for _ in range(3)]\n"
        "assert refs[0] == refs[1] == refs[2]\n"
        "print(len(count), 'jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


def test_a_dataset_that_changed_is_judged_again(tmp_path: Path) -> None:
    path = tiny(tmp_path)
    source.resolve(str(path))
    columns(rewards=np.full(60, np.nan, F))(tmp_path).replace(path)
    with pytest.raises(UsageError, match="60 rows of 'rewards'"):
        source.resolve(str(path))


def test_what_nobody_needs_may_lead_nowhere(tmp_path: Path) -> None:
    path = hdf5(lambda f: [f.__setitem__("more", link) for link in LINKS[:1]])(tmp_path)
    with h5py.File(path, "a") as file:
        file["other"] = LINKS[1]
    assert source.resolve(str(path)).rows == 60


LINKS = (h5py.SoftLink("/nowhere"), h5py.ExternalLink("none.h5", "/x"))


def test_a_file_that_must_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as somebody who may read everything."""
    paths = [tiny(tmp_path), hdf5(lambda f: None)(tmp_path)]

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(h5py, "File", refuse)
    monkeypatch.setattr(np, "load", refuse)
    for path in paths:
        with pytest.raises(UsageError, match=r"cannot read .*: permission denied"):
            formats.read(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.hdf5")
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        source.resolve(str(tmp_path / "pipe.hdf5"))


def test_other_sizes_than_the_environments_are_warned_of(tmp_path: Path) -> None:
    other = attributes(env_id="CartPole-v1")(tmp_path)
    [warning] = inspect.inspect(str(other)).warnings
    assert warning.startswith("it does not fit CartPole-v1, training refuses it: it has obs")


def test_actions_outside_a_gymnasium_environments_box(tmp_path: Path) -> None:
    path = columns(env="gym:Pendulum-v1", actions=np.full((60, 1), 2.5, F))(tmp_path)
    with pytest.raises(UsageError, match=r"60 of 60 actions are outside \[-2, 2\] of gym:Pend"):
        source.resolve(str(path))


def test_infinite_rewards_are_counted_and_cannot_be_drawn(tmp_path: Path) -> None:
    path = values(lambda rec: rec.reward.__setitem__(30, np.inf))(tmp_path)
    found = inspect.inspect(str(path))
    assert "mean inf" in "\n".join(found.lines())
    with pytest.raises(UsageError, match="not finite: they cannot be drawn"):
        inspect.histogram(found, tmp_path)
