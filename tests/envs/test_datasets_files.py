"""Layouts: round trips, repairs, and what is refused in one line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from offline_tools import pendulum_like, tiny

from rlsuite import registry
from rlsuite.envs.datasets import (
    checks,
    convert,
    d4rl,
    formats,
    inspect,
    minari,
    minari_write,
    npz,
    record,
    source,
    view,
)
from rlsuite.envs.datasets.recording import Recording
from rlsuite.errors import UsageError

PENDULUM = registry.env("Pendulum-v1")


def assert_same_rows(a: Any, b: Any) -> None:
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_minari_folder_gives_back_what_went_in(tmp_path: Path) -> None:
    rec = pendulum_like()
    minari_write.write(tmp_path / "set", rec)
    back = minari.read(tmp_path / "set")
    assert_same_rows(view.known_rows(rec), view.known_rows(back))
    assert dataclasses.replace(back.header, layout="npz", extra={}, family="") == rec.header
    meta = json.loads((tmp_path / "set" / "metadata.json").read_text())
    assert (meta["total_episodes"], meta["total_steps"]) == (3, 60)
    ref = source.resolve(str(tmp_path / "set"))
    assert (ref.name, ref.family, ref.env, ref.score) == ("set", "own", "Pendulum-v1", (-1000, 0))
    with h5py.File(tmp_path / "set" / "main_data.hdf5") as file:
        assert np.asarray(file["episode_1/observations"]).shape == (21, 3)
        assert file["episode_1"].attrs["total_steps"] == 20


def test_the_minari_package_reads_what_is_written(tmp_path: Path) -> None:
    package = pytest.importorskip("minari", reason="the minari extra is not installed")
    rec = pendulum_like()
    minari_write.write(tmp_path / "set", rec)
    loaded = package.MinariDataset(tmp_path / "set")
    episodes = list(loaded.iterate_episodes())
    assert len(episodes) == 3
    np.testing.assert_array_equal(episodes[0].observations[:-1], rec.obs[:20])


def test_d4rls_view_survives_minaris_layout(tmp_path: Path) -> None:
    """But for what comes after a terminal, on which nothing depends."""
    rec = pendulum_like(steps=90, length=20)
    d4rl.write(tmp_path / "a.hdf5", dataclasses.replace(rec, next_obs=None, next_known=None))
    convert.convert(str(tmp_path / "a.hdf5"), tmp_path / "b")
    flat, folder = d4rl.read(tmp_path / "a.hdf5"), minari.read(tmp_path / "b")
    before, after = view.d4rl_rows(flat), view.known_rows(folder)
    inside = ~np.asarray(before.terminated)
    for name in ("obs", "action", "reward", "terminated", "episode"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    np.testing.assert_array_equal(before.next_obs[inside], after.next_obs[inside])
    again = convert.convert(str(tmp_path / "b"), tmp_path / "c.npz")
    assert again.layout == "npz"
    assert_same_rows(after, view.known_rows(npz.read(tmp_path / "c.npz")))


def test_family_environment_and_scores_go_along(tmp_path: Path) -> None:
    d4rl.write(tmp_path / "hopper_medium-v2.hdf5", hopper_like())
    for target in ("b", "c.npz", "d.hdf5"):
        convert.convert(str(tmp_path / "hopper_medium-v2.hdf5"), tmp_path / target)
        ref = source.resolve(str(tmp_path / target))
        assert (ref.family, ref.env) == ("d4rl", "mujoco:Hopper-v4")
        assert ref.score == (-20.272305, 3234.3)


def hopper_like() -> Recording:
    rec = pendulum_like()
    header = dataclasses.replace(
        rec.header, env="", score=None, observation=(11,), action=(3,), layout="d4rl"
    )
    wide = {"obs": np.repeat(rec.obs[:, :1], 11, 1), "action": np.repeat(rec.action / 2, 3, 1)}
    return dataclasses.replace(rec, header=header, next_obs=None, next_known=None, **wide)


def test_names_are_looked_up_in_the_dataset_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    d4rl.write(tmp_path / "hopper_medium-v2.hdf5", hopper_like())
    monkeypatch.delenv("RLSUITE_DATASETS", raising=False)
    with pytest.raises(UsageError, match=r"nothing the suite downloads: put hopper_medium-v2.hdf5"):
        source.resolve("hopper-medium-v2")
    monkeypatch.setenv("RLSUITE_DATASETS", str(tmp_path))
    ref = source.resolve("hopper-medium-v2")
    by_path = source.resolve(str(tmp_path / "hopper_medium-v2.hdf5"))
    assert (ref.name, ref.family, ref.hash) == ("hopper-medium-v2", "d4rl", by_path.hash)
    assert by_path.family == "d4rl"
    with pytest.raises(UsageError, match=r"no walker2d_medium-v2.hdf5 .*'hopper_medium-v2.hdf5'"):
        source.resolve("walker2d-medium-v2")


def test_minaris_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    (tmp_path / "mujoco" / "thing").mkdir(parents=True)
    folder = tmp_path / "mujoco" / "thing" / "medium-v0" / "data"
    folder.parent.mkdir()
    minari_write.write(folder, pendulum_like(), rlsuite_family="")
    ref = source.resolve("mujoco/thing/medium-v0")
    assert ref.family == "minari"
    assert source.resolve(str(folder.parent)).hash == ref.hash


def test_repairs_are_made_when_asked_for(tmp_path: Path) -> None:
    rec = pendulum_like()
    rec.action[7] = 2.5
    rec.obs[30] = np.nan
    rec.reward[41] = np.inf
    assert rec.next_obs is not None
    rec.next_obs[29] = np.nan
    npz.write(tmp_path / "raw.npz", rec)
    words = " ".join(inspect.inspect(str(tmp_path / "raw.npz")).warnings)
    assert "1 actions are outside" in words
    for part in ("1 rows of 'observations'", "1 rows of 'rewards'", "1 rows of 'next_obs"):
        assert part in words
    flags: Any = {"clip_actions": True, "drop_bad": True}
    done = convert.convert(str(tmp_path / "raw.npz"), tmp_path / "clean.npz", **flags)
    assert (done.clipped, done.dropped) == (1, 3)
    ref = source.resolve(str(tmp_path / "clean.npz"))
    data = source.load(ref, registry.make_env("Pendulum-v1"))
    assert data.size == 57
    assert float(data.rows.action[7, 0]) == 1.0
    assert not inspect.inspect(str(tmp_path / "clean.npz")).warnings
    # The steps before a gap end their episodes: no next action across it.
    assert np.asarray(data.rows.truncated)[[28, 38]].all()


def test_a_straddling_transition_is_found() -> None:
    rec = pendulum_like()
    assert not checks.straddling(rec).any()
    rec.truncated[:] = False
    assert np.flatnonzero(checks.straddling(rec)).tolist() == [19]


def test_equal_recordings_give_equal_files(tmp_path: Path) -> None:
    a, b, c = (tiny(tmp_path, name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert formats.fingerprint(a) == formats.fingerprint(b) != formats.fingerprint(c)


def test_a_ring_is_taken_apart_by_environment() -> None:
    """Rows of three environments come side by side and are told one after the other."""
    from rlsuite.replay import Replay

    steps = np.arange(12, dtype=np.float32)
    obs = np.stack([steps // 3 + 100 * (steps % 3)] * 3, 1)
    flags = np.zeros(12, bool)
    data = SimpleNamespace(
        obs=obs, next_obs=obs + 1, reward=steps, action=steps[:, None] / 12,
        terminated=flags, truncated=flags,
    )  # fmt: skip
    ring = Replay(data, np.int32(0), np.int32(12))  # pyright: ignore
    rec = record.from_replay(ring, 3, registry.make_env("Pendulum-v1"), None)
    assert rec.obs[:, 0].tolist() == [0, 1, 2, 3, 100, 101, 102, 103, 200, 201, 202, 203]
    assert np.flatnonzero(rec.truncated).tolist() == [3, 7, 11]
    np.testing.assert_allclose(rec.action[:, 0], rec.reward / 6, rtol=1e-6)
    assert not checks.straddling(rec).any()


# --- bad data -----------------------------------------------------------------------------------


def hdf5(change: Callable[[Any], None], name: str = "bad.hdf5") -> Callable[[Path], Path]:
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
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return folder(change)


def episode(change: Callable[[Any], None]) -> Callable[[Path], Path]:
    def inside(where: Path) -> None:
        with h5py.File(where / "main_data.hdf5", "a") as file:
            change(file["episode_1"])

    return folder(inside)


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
        folder(lambda d: (d / "metadata.json").write_text("{")), "metadata.json is damaged"
    ),
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
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line(tmp_path: Path, name: str) -> None:
    make, words = BAD[name]
    path = make(tmp_path)
    with pytest.raises(UsageError, match=words) as error:
        source.load(source.resolve(str(path)), registry.make_env("Pendulum-v1"))
    assert "\n" not in str(error.value)


def test_sizes_are_those_of_the_environment_as_built(tmp_path: Path) -> None:
    ref = source.resolve(str(tiny(tmp_path)))
    with pytest.raises(UsageError, match="MountainCarContinuous-v0 as built has"):
        source.load(ref, registry.make_env("MountainCarContinuous-v0"))


def test_a_target_that_exists_is_kept(tmp_path: Path) -> None:
    path = tiny(tmp_path)
    for target in (path, tmp_path / "held"):
        target.mkdir() if not target.exists() else None
        with pytest.raises(UsageError, match="exists already"):
            convert.convert(str(path), target)
