"""Every grid file that is shipped asks for what exists."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rlsuite.analysis.load import targets
from rlsuite.cli.grid import run_name
from rlsuite.contracts import registry
from rlsuite.engine.plan import grid

ROOT = Path(__file__).parents[2] / "experiments"
GRIDS = sorted(ROOT.glob("*/*.toml"))
TARGETS = sorted(ROOT.glob("*/targets.csv"))


def name(path: Path) -> str:
    """prdc/grid.toml."""
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", GRIDS, ids=name)
def test_every_run_is_a_configuration(path: Path) -> None:
    """Agents, presets, their tables for these datasets and environments, settings, sweeps."""
    title, requests = grid.read(path)
    assert title
    for request in requests:
        row = registry.agent(request.agent)
        config = row.load_config()
        assert bool(request.datasets) == bool(row.data)
        for env in request.envs:
            assert registry.env(env).action.kind in row.actions
        for task in request.datasets or request.envs:
            known = registry.datasets().get(task)
            env, dataset = (known.env if known else "", task) if request.datasets else (task, "")
            settings, run = registry.resolve_preset(row, request.preset, env, dataset)
            first = {key: values[0] for key, values in {**request.sweep, **request.zip}.items()}
            made = config.from_mapping({**settings, **request.settings, **first})
            steps = request.total_steps or run["total_steps"]
            assert steps >= made.prefill_steps() + made.steps_per_iteration()


@pytest.mark.parametrize("path", TARGETS, ids=name)
def test_every_published_number_has_a_source_and_a_known_task(path: Path) -> None:
    known = {*registry.envs(), *registry.datasets()}
    for target in targets.read(path):
        assert target.source
        assert target.env in known, target


def test_the_poor_sets_grid_differs_in_its_dataset_only() -> None:
    (_, usual), (_, poor) = (grid.read(ROOT / "offline" / f"{n}.toml") for n in ("grid", "poor"))
    assert {tuple(request.datasets) for request in poor} == {("pendulum-poor.npz",)}
    assert [
        dataclasses.replace(p, datasets=u.datasets) for p, u in zip(poor, usual, strict=True)
    ] == (usual)


def test_every_experiment_is_listed() -> None:
    folders = {path.parent.name for path in GRIDS}
    assert {row.grid().parent.name for row in registry.experiments().values()} == folders


def test_run_folders_of_different_grids_differ(tmp_path: Path) -> None:
    """experiments/mdpo/mujoco.toml and experiments/offline/mujoco.toml are two runs."""
    names = [run_name(path) for path in GRIDS]
    assert len(set(names)) == len(names)
    assert run_name(ROOT / "mdpo" / "mujoco.toml") == "mdpo_mujoco"
    assert run_name(ROOT / "mdpo" / "grid.toml") == "mdpo"
    assert run_name(tmp_path / "mine.toml") == "mine"
