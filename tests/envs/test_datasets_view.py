"""D4RL's Q-learning view row for row, on the data beside the checkout and on files of our own."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium import spaces
from offline_tools import DERIVED, PENDULUM, SHARED, pendulum_like

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.refs import normalized_score
from rlsuite.envs.datasets import checks, d4rl, inspect, npz, source, view
from rlsuite.envs.datasets.recording import Recording, episodes
from rlsuite.envs.datasets.scores import REFERENCES, reference

absent = pytest.mark.skipif(
    not DERIVED.is_dir(),
    reason="shared/data beside the checkout, or RLSUITE_SHARED_DATA, is absent",
)

# The manifest: transitions, complete episodes, mean return, D4RL's scale.
MANIFEST = {
    "hopper_random-x1": (20_000, 894, 19, 1.2),
    "hopper_medium-x1": (60_000, 146, 1498, 46.6),
    "hopper_replay-x1": (104_000, 266, 1218, 38.1),
    "hopper_expert-x1": (30_000, 34, 3192, 98.7),
    "halfcheetah_random-x1": (20_000, 20, -283, 0.0),
    "halfcheetah_medium-x1": (60_000, 60, 3603, 31.3),
    "halfcheetah_replay-x1": (104_000, 104, 2758, 24.5),
    "halfcheetah_expert-x1": (30_000, 30, 11499, 94.9),
}


def loop(rec: Recording) -> dict[str, np.ndarray]:
    """The view as D4RL writes it, one row at a time; next actions as CORL takes them."""
    out: dict[str, list] = {k: [] for k in ("obs", "action", "reward", "next", "done", "after")}
    for i in range(rec.header.rows - 1):
        if rec.truncated[i]:
            continue
        row = (
            rec.obs[i], rec.action[i], rec.reward[i], rec.obs[i + 1], bool(rec.terminated[i]),
            rec.action[i + 1],
        )  # fmt: skip
        for key, value in zip(out, row, strict=True):
            out[key].append(value)
    return {key: np.array(values) for key, values in out.items()}


def assert_view(rec: Recording) -> None:
    rows, slow = view.d4rl_rows(rec), loop(rec)
    for fast, key in (
        (rows.obs, "obs"), (rows.action, "action"), (rows.reward, "reward"),
        (rows.next_obs, "next"), (rows.terminated, "done"), (rows.next_action, "after"),
    ):  # fmt: skip
        np.testing.assert_array_equal(fast, slow[key])
    assert not np.asarray(rows.truncated).any()
    np.testing.assert_array_equal(rows.next_valid, ~slow["done"])


@absent
@pytest.mark.parametrize("name", MANIFEST)
def test_the_derived_files_are_what_the_manifest_says(name: str) -> None:
    steps, count, mean, score = MANIFEST[name]
    path = DERIVED / f"{name}.hdf5"
    ref = source.resolve(str(path))
    rec = d4rl.read(path)
    returns = inspect.complete_returns(rec, 1000)
    assert (ref.rows, ref.family, ref.name) == (steps, "own", name)
    assert ref.env == f"mujoco:{'Hopper' if 'hopper' in name else 'HalfCheetah'}-v4"
    with h5py.File(path) as file:
        said = dict(file.attrs)
    assert len(returns) == count == said["episodes"]
    assert returns.mean() == pytest.approx(said["return_mean"], rel=1e-6)
    assert returns.mean() == pytest.approx(mean, abs=0.51)
    assert ref.score is not None
    assert normalized_score(returns.mean(), ref.score) == pytest.approx(score, abs=0.06)
    assert_view(rec)
    rows = view.d4rl_rows(rec)
    # The file knows what each step led to: inside an episode the view must say the same.
    kept = ~rec.truncated[:-1] & ~rec.terminated[:-1]
    inside = np.asarray(~rows.terminated)
    assert rec.next_obs is not None
    np.testing.assert_array_equal(rows.next_obs[inside], rec.next_obs[:-1][kept])
    assert np.asarray(rows.terminated).sum() == rec.terminated[:-1].sum()
    assert not checks.straddling(rec).any()


@absent
def test_the_recorded_pendulum_set() -> None:
    rec = npz.read(PENDULUM)
    returns = inspect.complete_returns(rec)
    assert len(returns) == 500
    assert set(np.diff(np.stack(episodes(rec)), axis=0)[0]) == {199}
    assert returns.mean() == pytest.approx(-181, abs=0.6)
    assert returns[:50].mean() == pytest.approx(-521, abs=0.6)
    rows = view.known_rows(rec)
    assert not np.asarray(rows.terminated).any()
    assert len(rows.reward) == 99_500 - 500
    with np.load(PENDULUM) as file:
        after = file["next_observations"][file["next_obs_valid"]]
    np.testing.assert_array_equal(rows.next_obs, after)
    np.testing.assert_array_equal(rows.next_obs[:198], rec.obs[1:199])
    assert not np.asarray(rows.next_valid)[rec.truncated[rec.next_known]].any()


@absent
def test_transitions_as_an_agent_gets_them() -> None:
    ref = source.resolve(str(PENDULUM))
    ref = type(ref)(**{**vars(ref), "env": "Pendulum-v1"})
    data = source.load(ref, registry.make_env("Pendulum-v1"))
    with np.load(PENDULUM) as file:
        keep = file["next_obs_valid"]
        np.testing.assert_array_equal(data.rows.action, file["actions"][keep] / 2)
        mean = file["observations"][keep].mean(0, dtype=np.float64)
        np.testing.assert_allclose(data.stats.obs_mean, mean, 1e-5)
    assert data.rows.obs.dtype == data.rows.reward.dtype == np.float32


@absent
def test_the_reference_returns_are_d4rls() -> None:
    infos = json.loads((SHARED / "reference" / "d4rl_infos.json").read_text(encoding="utf-8"))
    compared = 0
    for name, info in infos.items():
        pair = reference(name)
        if pair is not None and info["ref_min_score"] is not None:
            assert pair == (info["ref_min_score"], info["ref_max_score"]), name
            compared += 1
    assert compared >= 100


@pytest.mark.parametrize("name", REFERENCES)
def test_the_scale_runs_from_0_to_100(name: str) -> None:
    low, high = REFERENCES[name]
    assert normalized_score(low, (low, high)) == 0
    assert normalized_score(high, (low, high)) == pytest.approx(100, rel=1e-12)
    both = normalized_score(np.array([low, high]), (low, high))
    np.testing.assert_allclose(both, [0, 100], rtol=1e-12)


def test_without_timeouts_the_steps_are_counted(tmp_path: Path) -> None:
    """Both ways a length can come about: a limit after a limit, and after a terminal."""
    rec = pendulum_like(steps=90, length=20)
    d4rl.write(tmp_path / "with.hdf5", rec)
    d4rl.write(tmp_path / "without.hdf5", rec)
    with h5py.File(tmp_path / "without.hdf5", "a") as file:
        del file["timeouts"], file["next_observations"], file["next_obs_valid"]
    timed = source.timed(d4rl.read(tmp_path / "without.hdf5"), 20)
    np.testing.assert_array_equal(timed.truncated, rec.truncated)
    assert_view(timed)
    both = [view.d4rl_rows(r) for r in (timed, d4rl.read(tmp_path / "with.hdf5"))]
    for a, b in zip(*both, strict=True):
        np.testing.assert_array_equal(a, b)


def test_columns_of_one_are_squeezed(tmp_path: Path) -> None:
    rec = pendulum_like()
    with h5py.File(tmp_path / "wide.hdf5", "w") as file:
        file["observations"], file["actions"] = rec.obs.astype(np.float64), rec.action
        file["rewards"] = rec.reward[:, None]
        file["terminals"] = rec.terminated[:, None].astype(np.float32)
        file["timeouts"] = rec.truncated[:, None]
        file["infos/qpos"] = np.zeros((7, 2))
    read = d4rl.read(tmp_path / "wide.hdf5")
    np.testing.assert_array_equal(read.reward, rec.reward)
    np.testing.assert_array_equal(read.terminated, rec.terminated)
    assert (read.obs.dtype, read.header.rows) == (np.float32, 60)
    assert_view(read)


def test_only_time_limits_give_no_terminal() -> None:
    rec = pendulum_like(steps=100, length=10)
    rec.terminated[:] = False
    for rows in (view.d4rl_rows(rec), view.known_rows(rec)):
        assert not np.asarray(rows.terminated).any()


def test_statistics_are_those_of_the_rows() -> None:
    rec = pendulum_like(steps=60, length=20)
    rows = view.known_rows(rec)
    stats = view.statistics(rows, 20)
    totals = [rec.reward[a:b].sum(dtype=np.float64) for a, b in zip(*episodes(rec), strict=True)]
    found = [stats.return_min, stats.return_max]
    np.testing.assert_allclose(found, [min(totals), max(totals)], 1e-6)
    np.testing.assert_allclose(stats.obs_std, rec.obs.std(0, dtype=np.float64), 1e-6)


def test_chunks_are_those_of_the_helper_of_odice_and_corl() -> None:
    rng = np.random.default_rng(0)
    reward, done = rng.normal(size=500), rng.random(500) < 0.01
    lengths, returns, total, length = [], [], 0.0, 0
    for r, d in zip(reward, done, strict=True):
        total, length = total + r, length + 1
        if d or length == 30:
            returns.append(total)
            lengths.append(length)
            total, length = 0.0, 0
    np.testing.assert_allclose(view.chunk_returns(reward, done, 30), returns)
    assert len(set(lengths)) > 3


def test_pictures_are_bytes_again_where_the_environments_are() -> None:
    """What networks divide by 255 when they act they must divide when they learn."""
    rec = pendulum_like()
    picture = np.arange(60 * 12, dtype=np.float32).reshape(60, 2, 2, 3) % 256
    rec = dataclasses.replace(rec, obs=picture, next_obs=picture)
    space = spaces.Box(0, 255, (2, 2, 3), np.uint8)
    seen = source.as_seen(Path("x"), rec, space)
    assert seen.obs.dtype == np.uint8
    rows = view.known_rows(seen)
    np.testing.assert_array_equal(rows.obs, picture)
    assert np.asarray(view.statistics(rows, 20).obs_mean).dtype == np.float32
    assert source.as_seen(Path("x"), rec, spaces.Box(0.0, 255.0, (2, 2, 3))) is rec
    halves = dataclasses.replace(rec, obs=picture / 2)
    with pytest.raises(UsageError, match="no whole numbers of 0 to 255"):
        source.as_seen(Path("x"), halves, space)
