"""Two datasets of one name, or one on two environments, are never one row of a table."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from offline_tools import pendulum_like, tiny

from rlsuite.analysis.load import loading, merging
from rlsuite.cli.train import folder_name
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.refs import DataRef
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.plan.spec import Request, expand
from rlsuite.engine.store.store import Store
from rlsuite.envs.datasets import npz


def two(tmp_path: Path) -> list[Path]:
    """Files of one name whose contents differ."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    return [tiny(tmp_path / "a", "x", seed=0), tiny(tmp_path / "b", "x", seed=1)]


def cells(*paths: Path, seeds: tuple[int, ...] = (0,), envs: tuple[str, ...] = ()) -> list[Cell]:
    """BC on some datasets."""
    return expand([Request("bc", envs, seeds, total_steps=100, datasets=[*map(str, paths)])])


def elsewhere(cell: Cell, env: str) -> Cell:
    """The same cell on another environment."""
    return dataclasses.replace(cell, env=env)


def test_one_grid_refuses_two_datasets_of_one_name(tmp_path: Path) -> None:
    paths = two(tmp_path)
    with pytest.raises(UsageError, match=r"both called x, .*: rename one") as caught:
        cells(*paths)
    assert all(str(path) in str(caught.value) for path in paths)
    # One content under two paths is one dataset.
    (tmp_path / "b" / "x.npz").write_bytes(paths[0].read_bytes())
    assert len(cells(*paths)) == 1


def test_one_grid_refuses_one_dataset_on_two_environments(tmp_path: Path) -> None:
    path = tmp_path / "hop.npz"
    rec = pendulum_like()
    header = dataclasses.replace(rec.header, observation=(11,), action=(3,), env="")
    wide: dict[str, Any] = {"obs": rec.obs, "next_obs": rec.next_obs, "action": rec.action}
    sizes = {"obs": 11, "next_obs": 11, "action": 3}
    wide = {name: column[:, :1].repeat(sizes[name], 1) for name, column in wide.items()}
    wide["action"] = wide["action"] / 2
    npz.write(path, dataclasses.replace(rec, header=header, **wide))
    with pytest.raises(UsageError, match="hop on mujoco:Hopper-v4 and on mujoco:Hopper-v5"):
        cells(path, envs=("mujoco:Hopper-v4", "mujoco:Hopper-v5"))


@pytest.mark.parametrize("what", ["content", "environment"])
def test_a_folder_refuses_them_when_cells_are_added(tmp_path: Path, what: str) -> None:
    paths = two(tmp_path)
    [first], [second] = cells(paths[0]), cells(paths[1])
    other = second if what == "content" else elsewhere(first, "Pendulum-v9")
    store = Store(tmp_path / "run")
    store.prepare([first], [])
    with pytest.raises(UsageError, match="one table would count them as one"):
        store.prepare([other], [])
    assert store.cells() == [first]


def test_default_folders_differ(tmp_path: Path) -> None:
    paths = two(tmp_path)
    [first], [second] = cells(paths[0]), cells(paths[1])
    named = {folder_name(c, None) for c in (first, second, elsewhere(first, "Pendulum-v9"))}
    assert len(named) == 3
    assert all(name.startswith("bc-x-") for name in named)
    [same] = cells(paths[0], seeds=(7,))
    assert folder_name(same, None) == folder_name(first, None)


def test_without_data_default_folders_are_called_as_ever() -> None:
    [cell] = expand([Request("ppo", ["CartPole-v1"], [0], total_steps=10_000)])
    assert folder_name(cell, None) == "ppo-CartPole-v1-29d98e16"


def test_folders_made_before_still_load_and_keep_them_apart(tmp_path: Path) -> None:
    both = [c for path in two(tmp_path) for c in cells(path)]
    store = Store(tmp_path / "run")
    store.prepare(both[:1], [])
    store._write_spec({c.id: c for c in both}, [])
    hashes = [data_of(c).hash[:8] for c in both]
    assert loading.load(tmp_path / "run").cells["env"].to_list() == [
        f"x (Pendulum-v1, {h})" for h in hashes
    ]


def test_reports_of_several_folders_refuse_them(tmp_path: Path) -> None:
    folders = []
    for path in two(tmp_path):
        folders.append(tmp_path / f"run-{path.parent.name}")
        store = Store(folders[-1])
        [cell] = store.prepare(cells(path), [])
        told = {"dataset_family": "own", "dataset_hash": data_of(cell).hash}
        store.finish(cell.id, {}, {}, {"status": "done", "provenance": told})
        assert merging.load(folders[-1:]).cells["env"].to_list() == ["x"]
    with pytest.raises(UsageError, match=r"dataset x of .*run-a is another one .*run-b"):
        merging.load(folders)


def data_of(cell: Cell) -> DataRef:
    """What a cell learns from."""
    assert cell.data is not None
    return cell.data
