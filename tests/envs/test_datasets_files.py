"""Layouts: round trips, repairs, and what is refused in one line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from offline_tools import pendulum_like, tiny

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan.checks import check_fit
from rlsuite.engine.plan.spec import Request, plan
from rlsuite.envs.datasets import (
    checks,
    convert,
    d4rl,
    formats,
    inspect,
    minari,
    minari_write,
    mix,
    npz,
    record,
    source,
    view,
)
from rlsuite.envs.datasets.recording import Header, Recording

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
    meta = json.loads((tmp_path / "set" / "metadata.json").read_text(encoding="utf-8"))
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


@pytest.mark.parametrize("layout", ["clean.npz", "clean.hdf5", "clean"])
def test_what_follows_a_gap_is_no_complete_episode(tmp_path: Path, layout: str) -> None:
    """Rows 20 to 39 end in a terminal; without row 30 the last nine have another return."""
    rec = pendulum_like()
    assert [stop for _, stop in inspect.complete(rec, 20)] == [20, 40, 60]
    rec.obs[30] = np.nan
    rec.obs[40] = np.nan
    npz.write(tmp_path / "raw.npz", rec)
    convert.convert(str(tmp_path / "raw.npz"), tmp_path / "step.npz", drop_bad=True)
    mix.mix([mix.Part(str(tmp_path / "step.npz"))] * 2, tmp_path / "twice.npz")
    convert.convert(str(tmp_path / "twice.npz"), tmp_path / layout)
    back = formats.read(tmp_path / layout)
    assert inspect.complete(back, 20) == [(0, 20), (58, 78)]
    assert back.midway is not None
    assert np.flatnonzero(back.midway).tolist() == [30, 39, 88, 97]
    found = inspect.inspect(str(tmp_path / layout))
    assert (len(found.returns), found.cut) == (0, 8)


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
    from rlsuite.data.replay import Replay

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


SIZES = {"achieved_goal": 2, "desired_goal": 2, "observation": 4}


def with_goals(folder: Path, sizes: dict[str, int] = SIZES) -> Path:
    """A folder as Minari's PointMaze sets are, of two episodes of 3 and 5 steps."""
    rec = dataclasses.replace(
        pendulum_like(8, 3), header=Header("npz", 8, (8,), (1,), False, "PointMaze_UMaze-v3")
    )
    rows = np.arange(8.0)[:, None] + np.zeros(8)
    rec = dataclasses.replace(rec, obs=rows, next_obs=rows + 1)
    rec = dataclasses.replace(rec, truncated=np.arange(8) == 2, terminated=np.arange(8) == 7)
    minari_write.write(folder, rec)
    path = folder / "metadata.json"
    meta = json.loads(path.read_text(encoding="utf-8"))
    parts = {name: {"type": "Box", "shape": [size]} for name, size in sizes.items()}
    meta["observation_space"] = json.dumps({"type": "Dict", "subspaces": parts})
    path.write_text(json.dumps(meta), encoding="utf-8")
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        for k, name in enumerate(file):
            group: Any = file[name]
            steps = np.arange(len(group["rewards"]) + 1.0)[:, None]
            del group["observations"]
            for j, (part, size) in enumerate(sizes.items()):
                value = 100 * k + 10 * j + steps + np.zeros(size)
                group.create_dataset(f"observations/{part}", data=value)
    return folder


def test_observations_with_a_goal_are_joined_in_the_order_of_the_field(tmp_path: Path) -> None:
    rec = minari.read(with_goals(tmp_path / "maze"))
    assert rec.header.observation == (8,)
    # observation, achieved goal, desired goal, whatever order they are stored in.
    assert rec.obs[0].tolist() == [20, 20, 20, 20, 0, 0, 10, 10]
    assert rec.next_obs is not None
    assert rec.next_obs[2].tolist() == [23, 23, 23, 23, 3, 3, 13, 13]
    assert rec.obs[3].tolist() == [120, 120, 120, 120, 100, 100, 110, 110]
    assert source.refer(str(tmp_path / "maze")).observation == (8,)


def test_other_parts_and_parts_of_other_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has Dict observations of image, state: only Box, or a"):
        minari.read(with_goals(tmp_path / "a", {"image": 4, "state": 4}))
    folder = with_goals(tmp_path / "b")
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        del file["episode_1/observations/desired_goal"]
    with pytest.raises(UsageError, match="episode_1 has no 'observations/desired_goal'"):
        minari.read(folder)


@pytest.mark.parametrize(
    ("version", "words"), [("0.4.3", r"by Minari 0\.4\.3, which"), ("", "by a Minari before 0.5")]
)
def test_a_folder_of_an_older_minari_says_which_and_what_to_do(
    version: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "D4RL" / "set-v1" / "data"
    folder.parent.mkdir(parents=True)
    minari_write.write(folder, pendulum_like())
    (folder / "metadata.json").unlink()
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        file.attrs["total_episodes"] = 3
        if version:
            file.attrs["minari_version"] = version
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    for spec in ("D4RL/set-v1", str(folder), str(folder.parent)):
        with pytest.raises(UsageError, match=rf"{words}.*`minari download`") as caught:
            source.resolve(spec)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".HDF5", ".Hdf5", ".H5", ".NPZ"])
def test_an_ending_in_capitals_is_the_same_kind(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert.convert(str(tiny(tmp_path)), tmp_path / f"other{ending}")
    layout = "npz" if ending == ".NPZ" else "d4rl"
    assert formats.layout_of(tmp_path / f"other{ending}") == layout
    assert source.resolve(str(tmp_path / f"other{ending}")).rows == 60
    if ending == ".HDF5":
        d4rl.write(tmp_path / "hopper_medium-v2.HDF5", hopper_like())
        monkeypatch.setenv("RLSUITE_DATASETS", str(tmp_path))
        assert source.resolve("hopper-medium-v2").family == "d4rl"
        assert source.resolve(str(tmp_path / "hopper_medium-v2.HDF5")).name == "hopper-medium-v2"


def test_a_plan_refuses_what_the_run_would_for_the_environment_that_is_named(
    tmp_path: Path,
) -> None:
    """The file says no environment: only with --env it is known what its actions may be."""
    rec = pendulum_like()
    rec = dataclasses.replace(rec, header=dataclasses.replace(rec.header, env=""))
    rec.action[3] = 2.5
    npz.write(tmp_path / "own.npz", rec)
    ref = source.resolve(str(tmp_path / "own.npz"))
    with pytest.raises(UsageError, match=r"1 of 60 actions are outside \[-2, 2\] of Pendulum-v1"):
        check_fit(ref, PENDULUM, {})
    with pytest.raises(UsageError, match=r"actions are outside \[-2, 2\] of Pendulum-v1"):
        plan([Request("td3-bc", ["Pendulum-v1"], [0], total_steps=1000,
                      datasets=[str(tmp_path / "own.npz")])])  # fmt: skip


def test_no_environment_that_does_not_exist_is_asked_for(tmp_path: Path) -> None:
    said = Header("npz", 60, (29,), (8,), False, "antmaze-umaze-v2")
    wide = {"obs": np.zeros((60, 29)), "next_obs": np.zeros((60, 29)), "action": np.zeros((60, 8))}
    rec = dataclasses.replace(pendulum_like(), header=said, **wide)
    npz.write(tmp_path / "maze.npz", rec)
    name = "Ant_maze_u-maze_noisy_multistart_False_multigoal_False_sparse_fixed.hdf5"
    d4rl.write(tmp_path / name, dataclasses.replace(rec, header=dataclasses.replace(said, env="")))
    for file, words in (
        ("maze.npz", "recorded on antmaze-umaze-v2, which the suite does not have: `rlsuite dat"),
        (name, r"recorded on an environment that the suite does not have: .* \(29,\) .* \(8,\)"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            plan([Request("td3-bc", [], [0], total_steps=1000, datasets=[str(tmp_path / file)])])
        assert "try --env" not in str(caught.value)
    with pytest.raises(
        UsageError, match="antmaze-umaze-v2, which the suite does not have, and not"
    ):
        check_fit(source.refer(str(tmp_path / "maze.npz")), registry.env("mujoco:Ant-v4"), {})
