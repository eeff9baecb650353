"""`Cell.data`: identity, one load per worker, exact resume, what is refused."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from driving import drive
from offline_tools import installed, pendulum_like, tiny
from tiny import same_bits, tiny_cells

from rlsuite.analysis.load import loading
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.refs import DataRef, load
from rlsuite.engine.plan.cells import Cadence, Cell
from rlsuite.engine.plan.spec import Request, expand
from rlsuite.engine.run import memory
from rlsuite.engine.run.inputs import Given
from rlsuite.engine.run.program import Program, tree_bytes
from rlsuite.engine.run.runner import Runner
from rlsuite.engine.store.store import Store
from rlsuite.envs.datasets import npz
from rlsuite.io import files


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The tests' agent is installed; the variables of a process that finds it too."""
    with installed(tmp_path_factory.mktemp("installed")) as found:
        yield found


@pytest.fixture
def path(variables: dict[str, str], tmp_path: Path) -> Path:
    """A tiny dataset."""
    return tiny(tmp_path)


def cells(path: Path, seeds: int = 1, **changes: Any) -> list[Cell]:
    """BC cells of 10 iterations."""
    cadence = Cadence(evaluations=2, episodes=2, logs=5)
    base: dict[str, Any] = {
        "agent": "test-bc", "envs": [], "seeds": range(seeds), "datasets": [str(path)],
        "total_steps": 50, "cadence": cadence,
    }  # fmt: skip
    return expand([Request(**{**base, **changes})])


def driven(
    cells: list[Cell], program: Program, folder: Path, stops: int | None = None
) -> list[Any]:
    """Run to the end on the data that the cells name."""
    data = load(ref(cells[0]), program.agent.env)
    return drive(cells, program, folder, stops, data)


def ref(cell: Cell) -> DataRef:
    assert cell.data is not None
    return cell.data


def test_cells_without_data_keep_their_ids() -> None:
    """Recorded before cells could have data: finished runs must stay known."""
    assert [c.first_id for c in tiny_cells(seeds=2)] == ["48dfd073623fbee4", "0f2037cd8c16faad"]


def test_content_and_kind_are_the_identity(path: Path, tmp_path: Path) -> None:
    cell = cells(path)[0]
    data = ref(cell)
    assert (data.env, data.family, data.name, data.rows) == ("Pendulum-v1", "own", "tiny", 60)
    elsewhere = dataclasses.replace(data, spec="elsewhere", name="other")
    changed = dataclasses.replace(data, hash="0" * 16)
    assert dataclasses.replace(cell, data=elsewhere).id == cell.id
    assert dataclasses.replace(cell, data=changed).id != cell.id
    assert dataclasses.replace(cell, data=changed).group != cell.group
    store = Store(tmp_path / "run")
    store.prepare([cell], [])
    assert store.cells() == [cell]


def test_stopping_and_resuming_changes_no_bit(path: Path, tmp_path: Path) -> None:
    asked = cells(path)
    program = Program.for_cell(asked[0])
    [(whole, _)] = driven(asked, program, tmp_path / "whole")
    [(parts, resumed)] = driven(asked, program, tmp_path / "parts", stops=1)
    assert resumed["clock"]["resumes"] >= 2
    assert same_bits(whole, parts)
    assert program.traces == {"init": 1, "chunk": 1, "evaluate": 1}
    steps = whole["rows/eval/score/step"]
    assert steps.tolist() == [0, 25, 50]
    scores, returns = (whole[f"rows/eval/{n}/value"] for n in ("score", "return"))
    np.testing.assert_allclose(scores, 100 * (returns + 1000) / 1000)


def test_all_seeds_share_one_copy(path: Path, tmp_path: Path) -> None:
    asked = cells(path, seeds=3)
    wide = Program.for_cell(asked[0], width=3)
    data = load(ref(asked[0]), wide.agent.env)
    large = data._replace(rows=jax.tree.map(lambda x: jnp.repeat(x, 50, 0), data.rows))
    needs = [memory.estimate(wide, asked[0], Given(some)).total for some in (data, large)]
    assert needs[1] - needs[0] == tree_bytes(large) - tree_bytes(data)
    alone = driven(asked[1:2], wide, tmp_path / "alone")
    together = driven(asked, wide, tmp_path / "together")
    assert same_bits(alone[0][0], together[1][0])
    # An argument of the program as it is, with no axis for the seeds.
    store = Store(tmp_path / "together")
    runner = Runner(asked, wide, store, {}, lambda *_: None, lambda: False, given=Given(data))
    assert runner.ctx.data is data


def test_data_that_changed_is_refused(path: Path, tmp_path: Path) -> None:
    asked = cells(path)
    store = Store(tmp_path / "run")
    store.prepare(asked, [])
    npz.write(path, pendulum_like(seed=1))
    env = registry.make_env("Pendulum-v1")
    with pytest.raises(UsageError, match="dataset tiny changed: its content was") as at_work:
        load(ref(asked[0]), env)
    with pytest.raises(UsageError, match=r"had content .*: restore it, or") as again:
        store.prepare(cells(path), [])
    assert all("\n" not in str(e.value) for e in (at_work, again))


def test_families_never_share_a_folder(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "hopper_medium-v2.npz"
    rec = pendulum_like(seed=2)
    header = dataclasses.replace(rec.header, family="d4rl")
    npz.write(other, dataclasses.replace(rec, header=header))
    mixed: Any = {"datasets": [str(path), str(other)]}
    with pytest.raises(UsageError, match=r"tiny \(own\) and hopper_medium-v2 \(d4rl\) cannot"):
        cells(path, **mixed)
    store = Store(tmp_path / "run")
    store.prepare(cells(path), [])
    with pytest.raises(UsageError, match="cannot share a run folder"):
        store.prepare(cells(other), [])


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no dataset": ({"datasets": [], "envs": ["Pendulum-v1"]}, "test-bc learns from a dataset.*try"),
    "not for it": ({"agent": "td3"}, "td3 collects its own data.*td3-bc"),
    "another task": ({"envs": ["MountainCarContinuous-v0"]}, "recorded on Pendulum-v1, not on"),
    "unknown": ({"datasets": ["pendulum-reply"]}, "did you mean 'pendulum-replay'"),
    "unknown environment first": ({"datasets": ["x"], "envs": ["Pendulm"]}, "'Pendulum-v1'"),
    "setting first": ({"datasets": ["x"], "settings": {"updats": 1}}, "'updates'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_compiled(path: Path, name: str) -> None:
    changes, words = REFUSED[name]
    with pytest.raises(UsageError, match=words) as error:
        cells(path, **changes)
    assert "\n" not in str(error.value)


def test_a_preset_has_tables_for_datasets(path: Path, tmp_path: Path) -> None:
    cell = cells(path, preset="quick", total_steps=None)[0]
    assert (cell.config["updates"], cell.config["batch_size"], cell.total_steps) == (2, 8, 50)
    other = cells(tiny(tmp_path, "other", 1), preset="quick")[0]
    assert other.config["batch_size"] == 32


def test_data_that_names_no_environment_is_scored_on_the_one_given(tmp_path: Path) -> None:
    rec = pendulum_like()
    header = dataclasses.replace(rec.header, env="", score=None)
    npz.write(tmp_path / "mute.npz", dataclasses.replace(rec, header=header))
    changes: dict[str, Any] = {"agent": "bc", "total_steps": 100}
    [cell] = cells(tmp_path / "mute.npz", envs=["Pendulum-v1"], **changes)
    assert (ref(cell).env, ref(cell).score) == ("Pendulum-v1", (-1240.0, -150.0))
    with pytest.raises(UsageError, match="does not say its environment: name it by --env"):
        cells(tmp_path / "mute.npz", **changes)
    # Its own references go before the usual ones.
    header = dataclasses.replace(header, score=(-1.0, 0.0))
    npz.write(tmp_path / "told.npz", dataclasses.replace(rec, header=header))
    [cell] = cells(tmp_path / "told.npz", envs=["Pendulum-v1"], **changes)
    assert ref(cell).score == (-1.0, 0.0)


def test_the_command_line_trains_on_a_dataset(
    path: Path, tmp_path: Path, variables: dict[str, str]
) -> None:
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "rlsuite.cli.main", "train", "test-bc", "--dataset", str(path),
        "--seeds", "2", "--total-steps", "50", "--workers", "1", "--out", str(out),
        "--evaluations", "1", "--episodes", "2",
    ]  # fmt: skip
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 runs of 50 updates" in done.stdout
    assert "tiny" in done.stdout
    _, meta = files.read_arrays(next((out / "cells").glob("*.done")))
    told = meta["provenance"]
    assert (told["dataset"], told["dataset_family"]) == ("tiny", "own")
    assert (told["budget_unit"], told["score_reference"]) == ("updates", [-1000.0, 0.0])
    assert (out / "report.html").exists()
    frames = loading.load(out)
    assert frames.step_name == "Gradient updates"
    assert frames.cells["env"].unique().to_list() == ["tiny"]
