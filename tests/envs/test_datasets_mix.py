"""Datasets made of others: whole episodes, their ends, and what does not mix."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from offline_tools import DERIVED, pendulum_like, tiny

from rlsuite.cli import main as cli
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.envs.datasets import d4rl, formats, mix, npz, source, view
from rlsuite.envs.datasets.mix import Part
from rlsuite.envs.datasets.recording import episodes


def rows_of(path: Path) -> Any:
    """What an agent learns from."""
    env = registry.make_env("Pendulum-v1")
    return source.load(source.resolve(str(path)), env).rows


def test_everything_of_both_in_order(tmp_path: Path) -> None:
    a, b = tiny(tmp_path, "a", seed=0), tiny(tmp_path, "b", seed=1)
    taken = mix.mix([Part(str(a)), Part(str(b))], tmp_path / "both.npz")
    assert [part.rows for part in taken] == [60, 60]
    both, first, second = (rows_of(p) for p in (tmp_path / "both.npz", a, b))
    for name in ("obs", "action", "reward", "terminated", "next_obs", "next_valid"):
        parts = np.concatenate([getattr(first, name), getattr(second, name)])
        np.testing.assert_array_equal(getattr(both, name), parts)
    assert np.asarray(both.episode).max() == 5
    ref = source.resolve(str(tmp_path / "both.npz"))
    assert (ref.env, ref.family, ref.score) == ("Pendulum-v1", "own", (-1000.0, 0.0))


def test_a_share_is_whole_episodes_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "ten.npz"
    npz.write(path, pendulum_like(steps=200))
    [taken] = mix.mix([Part(str(path), 0.45)], tmp_path / "some.npz", seed=3)
    assert taken.rows == 100
    whole, some = formats.read(path), formats.read(tmp_path / "some.npz")
    starts, stops = episodes(some)
    np.testing.assert_array_equal(stops - starts, 20)
    found = [int(np.flatnonzero((whole.obs == some.obs[k]).all(1))[0]) for k in starts]
    assert found == sorted(found)
    assert all(start % 20 == 0 for start in found)
    np.testing.assert_array_equal(some.reward[:20], whole.reward[found[0] : found[0] + 20])
    mix.mix([Part(str(path), 0.45)], tmp_path / "again.npz", seed=3)
    assert formats.fingerprint(tmp_path / "again.npz") == formats.fingerprint(tmp_path / "some.npz")


def test_no_transition_leads_from_one_dataset_into_the_next(tmp_path: Path) -> None:
    """D4RL's layout takes the next row's observation: the file's end must cut."""
    cut = pendulum_like(steps=50)
    paths = [tmp_path / "a.hdf5", tmp_path / "b.hdf5"]
    for path in paths:
        d4rl.write(path, cut)
    mix.mix([Part(str(p)) for p in paths], tmp_path / "both.hdf5")
    both = formats.read(tmp_path / "both.hdf5")
    assert both.truncated[49]
    rows = view.d4rl_rows(both)
    one = view.d4rl_rows(cut)
    np.testing.assert_array_equal(rows.next_obs, np.concatenate([one.next_obs, one.next_obs]))


@pytest.mark.skipif(not DERIVED.exists(), reason="shared data is not here")
def test_medium_and_expert_of_hopper(tmp_path: Path) -> None:
    parts = [Part(str(DERIVED / f"hopper_{level}-x1.hdf5")) for level in ("medium", "expert")]
    taken = mix.mix(parts, tmp_path / "hopper_medium_expert-x1.hdf5")
    assert [part.rows for part in taken] == [60_000, 30_000]
    data = formats.read(tmp_path / "hopper_medium_expert-x1.hdf5")
    alone = [formats.read(Path(part.spec)) for part in parts]
    assert data.terminated.sum() == sum(rec.terminated.sum() for rec in alone)


def test_what_does_not_mix(tmp_path: Path) -> None:
    a = tiny(tmp_path, "a")
    rec = pendulum_like()
    changes: dict[str, tuple[Any, str]] = {
        "env": (dataclasses.replace(rec.header, env="mujoco:Hopper-v4"), "do not mix"),
        "score": (dataclasses.replace(rec.header, score=(0.0, 1.0)), "reference returns"),
        "family": (
            dataclasses.replace(rec.header, family="minari"),
            "is minari data and a own.*not mix",
        ),
    }
    for name, (header, words) in changes.items():
        npz.write(tmp_path / f"{name}.npz", dataclasses.replace(rec, header=header))
        with pytest.raises(UsageError, match=words) as error:
            mix.mix([Part(str(a)), Part(str(tmp_path / f"{name}.npz"))], tmp_path / "new.npz")
        assert "\n" not in str(error.value)
    assert not (tmp_path / "new.npz").exists()


def test_a_share_is_read_off_the_name(tmp_path: Path) -> None:
    odd = tmp_path / "odd:0.5"
    odd.touch()
    assert mix.parse("a.npz:0.25") == Part("a.npz", 0.25)
    assert mix.parse("mujoco:Hopper") == Part("mujoco:Hopper")
    assert mix.parse(str(odd)) == Part(str(odd))
    with pytest.raises(UsageError, match=r"share of a\.npz must be above 0"):
        mix.parse("a.npz:0")


def test_the_command_says_what_it_took(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare file name is looked for in the dataset folder."""
    tiny(tmp_path, "a")
    monkeypatch.setenv("RLSUITE_DATASETS", str(tmp_path / "no"))
    asked = ["dataset", "mix", str(tmp_path / "new.npz"), "a.npz", "a.npz:0.5"]
    assert cli.main([*asked, "--dataset-dir", str(tmp_path)]) == 0
    assert "60 of 60 steps of a" in (said := capsys.readouterr().out)
    assert "40 of 60 steps of a" in said
    assert "100 steps ->" in said
