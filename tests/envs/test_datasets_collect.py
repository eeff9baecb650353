"""Recording: resumable, deterministic, by policies and at random; the embedded set's machinery."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from offline_tools import installed, tiny

import rlsuite
from rlsuite import library
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.envs.datasets import checks, collect, inspect, minari, replay, source, view
from rlsuite.envs.datasets.collect import Collection

CARTPOLE = Collection("CartPole-v1", steps=400, num_envs=4)


@pytest.fixture(autouse=True, scope="module")
def short_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect, "CHUNK", 30)
        yield


@pytest.fixture(scope="module")
def whole(short_chunks: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random play that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "set"
    recorded(CARTPOLE, folder)
    return folder


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Two policies of the tests' offline agent; the data they learned from is gone."""
    folder = tmp_path_factory.mktemp("policies")
    with installed(folder / "installed"):
        data = tiny(folder)
        row, env = registry.agent("test-bc"), registry.make_env("Pendulum-v1")
        agent = row.load_make()(env, row.load_config()())
        rows = rlsuite.load_dataset(str(data), env)
        learned = library.train(agent, seeds=2, total_steps=50, episodes=2, data=rows)
        paths = []
        for seed, policy in enumerate(learned.policies):
            paths.append(folder / f"{seed}.done")
            library.save(paths[-1], agent, policy)
        with pytest.raises(UsageError, match="recorded on Pendulum-v1, not on"):
            rlsuite.load_dataset(str(data), "MountainCarContinuous-v0")
        data.unlink()
        yield paths


def recorded(what: Collection, target: Path, stop_after: int = 0) -> Any:
    """Collect, stopped once after so many chunks."""

    def count(_: int) -> None:
        nonlocal stop_after
        stop_after -= 1
        if stop_after == 0:
            raise KeyboardInterrupt

    if stop_after:
        with pytest.raises(KeyboardInterrupt):
            collect.collect(what, target, count)
    assert collect.collect(what, target, lambda _: None) == what.steps
    return minari.read(target)


def test_a_stopped_recording_goes_on_bit_for_bit(tmp_path: Path, whole: Path) -> None:
    recorded(CARTPOLE, tmp_path / "parts", stop_after=2)
    contents = [(p / "main_data.hdf5").read_bytes() for p in (whole, tmp_path / "parts")]
    assert contents[0] == contents[1]
    assert {p.name for p in tmp_path.iterdir()} == {"parts"}


def test_the_rows_are_what_the_environment_did(whole: Path) -> None:
    rec = minari.read(whole)
    assert rec.header.discrete
    assert set(rec.action.tolist()) == {0, 1}
    # A pole that falls is a terminal; only where an environment's recording stops is an end cut.
    assert rec.terminated.sum() >= 8
    assert np.flatnonzero(rec.truncated).tolist() == [
        i for i in (99, 199, 299, 399) if not rec.terminated[i]
    ]
    assert not checks.straddling(rec).any()
    found = inspect.inspect(str(whole))
    assert (found.ref.family, found.ref.env, found.transitions) == ("own", "CartPole-v1", 400)
    assert len(found.returns) == rec.terminated.sum()
    np.testing.assert_array_equal(found.returns, found.lengths)


def test_policies_share_the_steps(tmp_path: Path, policies: list[Path]) -> None:
    what = Collection("Pendulum-v1", 160, policies, mode="greedy", num_envs=2)
    rec = recorded(what, tmp_path / "set", stop_after=3)
    back = np.asarray(rec.obs).reshape(2, 2, 40, 3)
    acts = np.asarray(rec.action).reshape(2, 2, 40, 1)
    env = registry.make_env("Pendulum-v1")
    for path, obs, action in zip(policies, back, acts, strict=True):
        agent, policy = collect_policy(path, env)
        expected, _ = agent.act(policy, (), obs.reshape(-1, 3), None, None, "greedy")
        np.testing.assert_allclose(action.reshape(-1, 1), expected, rtol=1e-4, atol=1e-5)
    ref = source.resolve(str(tmp_path / "set"))
    data = source.load(ref, env)
    assert float(np.abs(data.rows.action).max()) <= 1.0
    np.testing.assert_allclose(np.asarray(data.rows.action), rec.action / 2, rtol=1e-6)
    assert view.known_rows(rec).reward.shape == (160,)


def collect_policy(path: Path, env: Any) -> Any:
    from rlsuite.envs.datasets import rollout

    return rollout.load_policy(path, env)


def test_other_settings_do_not_go_on(tmp_path: Path) -> None:
    what = CARTPOLE
    with pytest.raises(KeyboardInterrupt):
        collect.collect(what, tmp_path / "set", interrupt)
    with pytest.raises(UsageError, match="begun with other settings"):
        collect.collect(dataclasses.replace(what, seed=3), tmp_path / "set", interrupt)
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        collect.collect(what, tmp_path / "there", interrupt)


def interrupt(_: int) -> None:
    raise KeyboardInterrupt


RECIPE = replay.PENDULUM | {
    "total_steps": 400,
    "settings": replay.PENDULUM["settings"]
    | {"learning_starts": 100, "buffer_size": 400, "hidden": [8], "batch_size": 8},
}


def test_the_embedded_set_is_recorded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RLSUITE_CACHE", str(tmp_path))
    path = replay.recorded(RECIPE)
    assert "recording pendulum-replay" in capsys.readouterr().err
    assert replay.recorded(RECIPE) == path
    assert capsys.readouterr().err == ""
    found = inspect.inspect(str(path))
    assert (found.ref.env, found.ref.rows, found.cut) == ("Pendulum-v1", 400, 4)
    assert not found.warnings


@pytest.mark.slow
def test_the_embedded_set_is_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    for name in ("a", "b"):
        monkeypatch.setenv("RLSUITE_CACHE", str(tmp_path / name))
        contents.append(replay.recorded(RECIPE).read_bytes())
    assert contents[0] == contents[1]
    with pytest.raises(UsageError, match="failed: no agent 'sack-replay'"):
        replay.recorded(RECIPE | {"agent": "sack"})


@pytest.mark.slow
def test_pendulum_replay_is_what_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute: from falling over to balancing."""
    monkeypatch.setenv("RLSUITE_CACHE", str(tmp_path))
    found = inspect.inspect("pendulum-replay")
    assert (len(found.returns), found.cut, found.transitions) == (300, 0, 60_000)
    by_time = found.returns.reshape(4, 75)
    assert by_time[:, :8].mean() < -1000
    assert by_time[:, -25:].mean() > -200
    assert not found.warnings


SMALL = Collection("CartPole-v1", steps=4, num_envs=2)


def test_a_foreign_folder_of_the_parts_name_is_kept(tmp_path: Path) -> None:
    diary = tmp_path / "set.parts" / "diary.txt"
    diary.parent.mkdir()
    diary.write_text("dear", encoding="utf-8")
    with pytest.raises(UsageError, match=r"set\.parts holds diary\.txt") as error:
        collect.collect(SMALL, tmp_path / "set", lambda _: None)
    assert "\n" not in str(error.value)
    assert {p.name for p in tmp_path.rglob("*")} == {"set.parts", "diary.txt"}


def test_only_what_was_recorded_is_cleared(tmp_path: Path) -> None:
    """A kill may have left a file half written, and a user may have put one there since."""
    parts = tmp_path / "set.parts"
    parts.mkdir()
    (parts / ".asked.json.17.tmp").write_text("{", encoding="utf-8")

    def add(_: int) -> None:
        (parts / "notes.txt").write_text("dear", encoding="utf-8")

    assert collect.collect(SMALL, tmp_path / "set", add) == 4
    assert [p.name for p in parts.iterdir()] == ["notes.txt"]
    assert minari.read(tmp_path / "set").header.rows == 4
