"""What a run is stays what it was: stored ids, changed defaults, folders written before."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tiny import TINY, tiny_cells

from rlsuite.analysis.load import merging
from rlsuite.cli.grid import missing
from rlsuite.cli.main import main as command_line
from rlsuite.contracts import config, registry
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.launch.execute import check_checkpoints
from rlsuite.engine.plan import cells as cells_module
from rlsuite.engine.plan.cells import Cadence, Cell, first_label
from rlsuite.engine.plan.spec import Request, expand, plan
from rlsuite.engine.store.store import Store
from rlsuite.io import files

# Written by commit 5079750: PPO at two step sizes, two seeds each, the last one under way.
VERSION_1 = Path(__file__).parent / "version_1"
IDS = ["92f9614b7da3e1de", "c8177008123eb870", "a237a12d618d41f3", "b1422affa9fce5ea"]
SHARED = Path(__file__).parents[3] / "shared" / "fixtures" / "run_folder"


def asked(seeds: int = 2, **settings: Any) -> list[Cell]:
    """The runs of that folder, as they are asked for today."""
    chosen = Cadence(evaluations=3, episodes=2, logs=4)
    sweep: dict[str, Any] = {"learning_rate": [1e-3, 1e-2]}
    request = Request(
        "ppo", ["CartPole-v1"], range(seeds), settings={**TINY, **settings}, sweep=sweep,
        total_steps=12 * 32, cadence=chosen,
    )  # fmt: skip
    return expand([request])


@pytest.fixture
def new_gamma(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to change PPO's default discount to 0.9, as a new version of the code would."""
    load = registry.AgentRow.load_config
    before = load(registry.agent("ppo"))

    @dataclasses.dataclass(frozen=True)
    class Changed(before):
        """PPO's settings with another discount."""

        gamma: config.Traced[float] = config.knob(0.9, "discount")

    def changed(row: registry.AgentRow) -> Any:
        return Changed if row.name == "ppo" else load(row)

    return lambda: monkeypatch.setattr(registry.AgentRow, "load_config", changed)


def test_a_new_default_is_a_new_run(tmp_path: Path, new_gamma: Callable[[], None]) -> None:
    store = Store(tmp_path)
    before = store.prepare(tiny_cells(), ["x"])[0]
    store.finish(before.id, {}, {}, {"status": "done", "cell": before.to_mapping()})
    new_gamma()
    assert [(c.id, c.config["gamma"]) for c in store.cells()] == [(before.id, 0.99)]
    now = store.prepare(tiny_cells(), ["x"])[0]
    assert now.config["gamma"] == 0.9
    assert now.id != before.id
    assert not store.is_done(now.id)
    assert [c.config["gamma"] for c in store.cells()] == [0.99, 0.9]
    # Who asks for the old value by name gets what is finished.
    as_before = dataclasses.replace(now, config={**now.config, "gamma": 0.99})
    assert store.prepare([as_before], ["y"])[0].id == before.id


def test_a_new_default_does_not_rename_old_runs(
    tmp_path: Path, new_gamma: Callable[[], None]
) -> None:
    shutil.copytree(VERSION_1, tmp_path / "old")
    new_gamma()
    store = Store(tmp_path / "old")
    assert [c.id for c in store.cells()] == IDS
    assert not {c.id for c in store.known_as(asked())} & set(IDS)
    assert [c.id for c in store.known_as(asked(gamma=0.99))] == IDS
    assert len(missing(asked(), [store.folder])) == 4
    assert len(missing(asked(gamma=0.99), [store.folder])) == 1


def test_runs_known_by_another_default_go_by_their_files(tmp_path: Path) -> None:
    """Their ids left out what was default in a time before the table of defaults."""
    folder = tmp_path / "old"
    shutil.copytree(VERSION_1, folder)
    for path in (folder / "cells").iterdir():
        path.rename(path.with_stem("0" + path.stem[1:]))
    assert [c.id for c in Store(folder).cells()] == ["0" + cell_id[1:] for cell_id in IDS]


def test_settings_that_came_later_are_no_other_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = tiny_cells()[0]
    cls = registry.agent("ppo").load_config()
    older = {k: v for k, v in cell.config.items() if k != "dpo_alpha"}
    lacking = dataclasses.replace(cell, config=older)
    assert lacking.digest == cell.digest
    # With an entry the value that old runs had is not today's default.
    monkeypatch.setattr(cls, "added", {"dpo_alpha": 3.0})
    lacking, fresh = dataclasses.replace(lacking), dataclasses.replace(cell)
    assert lacking.digest != fresh.digest
    assert getattr(lacking.load_config(), "dpo_alpha") == 3.0  # noqa: B009
    same = dataclasses.replace(cell, config={**cell.config, "dpo_alpha": 3.0})
    assert same.digest == lacking.digest


@pytest.mark.parametrize("row", registry.agents().values(), ids=lambda row: row.name)
def test_settings_of_known_agents_have_a_value_for_runs_before_them(
    row: registry.AgentRow,
) -> None:
    """A new setting of an agent needs an entry in `added`, a removed one in `removed`."""
    table = cells_module.tomllib.loads(
        Path(cells_module.__file__).with_name("first_defaults.toml").read_text(encoding="utf-8")
    )
    if row.name not in table:
        pytest.skip("came after ids were stored")
    cls = row.load_config()
    assert {*config.fields(cls), *cls.removed} - set(cls.added) == set(table[row.name])


def test_one_option_written_in_two_ways_is_one_run() -> None:
    def one(value: float) -> Cell:
        options = {"max_steps_in_episode": value}
        asked = Request("ppo", ["CartPole-v1"], [0], total_steps=2048, env_options=options)
        return plan([asked])[0]

    assert one(100).id == one(100.0).id != one(100.5).id


def test_a_seed_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="seed 3 is given 2 times"):
        plan([Request("ppo", ["CartPole-v1"], [3, 0, 3], total_steps=2048)])


def test_a_file_of_another_run_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cell = store.prepare(tiny_cells(), [])[0]
    other = dataclasses.replace(cell, config={**cell.config, "gamma": 0.5})
    store.finish(cell.id, {}, {}, {"status": "done", "cell": other.to_mapping()})
    with pytest.raises(UsageError, match=r"another run .*: agent\.gamma is 0\.5 there, not 0\.99"):
        check_checkpoints(store, [cell])
    with pytest.raises(UsageError, match=r"another run .*: agent\.gamma is 0\.5 there, not 0\.99"):
        merging.load([tmp_path])


def test_a_folder_of_before_is_read_as_it_is() -> None:
    before = {path: path.read_bytes() for path in VERSION_1.rglob("*") if path.is_file()}
    store = Store(VERSION_1)
    assert [c.id for c in store.cells()] == IDS
    check_checkpoints(store, asked())
    table = merging.load([VERSION_1]).cells
    assert table["cell"].to_list() == IDS
    assert table["status"].to_list() == ["done", "done", "done", "running"]
    assert before == {path: path.read_bytes() for path in VERSION_1.rglob("*") if path.is_file()}


def test_names_of_before_are_taken_apart() -> None:
    sweep = {"entropy_coef": 0.0, "learning_rate": 1e-05}
    values = {"agent": "ppo", "sweep": sweep, "series": "ppo learning_rate=1e-05 entropy_coef=0.0"}
    assert first_label(values) == ""
    assert first_label({**values, "series": "mine learning_rate=1e-05 entropy_coef=0.0"}) == "mine"
    assert first_label({**values, "series": "ppo, tuned", "sweep": {}}) == "ppo, tuned"


def test_a_folder_of_before_is_resumed_and_extended(
    tmp_path: Path, run: Callable[..., dict[str, Any]]
) -> None:
    folder = tmp_path / "old"
    shutil.copytree(VERSION_1, folder)
    store = Store(folder)
    kept = files.read_arrays(store.path(IDS[3], "checkpoint"))[0]
    resumed = run(asked()[3].with_id(IDS[3]), folder)
    assert (resumed["clock"]["resumes"], resumed["iteration"]) == (1, 12)
    for name in (n for n in kept if n.startswith("rows/")):
        assert (resumed["arrays"][name][: kept[name].size] == kept[name]).all()

    wide = store.prepare(asked(seeds=3), ["again"])
    assert [c.id for c in wide if c.seed < 2] == IDS
    assert [c.seed for c in wide if not store.is_done(c.id)] == [2, 2]
    assert [c.id for c in Store(folder).cells()][:4] == IDS
    assert json.loads((folder / "spec.json").read_text(encoding="utf-8"))["version"] == 2
    assert [c.seed for c in missing(asked(seeds=3), [folder])] == [2, 2]


def test_tables_kept_of_a_folder_of_before_are_known(tmp_path: Path) -> None:
    report = ["report", str(VERSION_1), "--into", str(tmp_path), "--tables"]
    shutil.copytree(VERSION_1, tmp_path / "old")
    report[1] = str(tmp_path / "old")
    assert command_line(report) == 0
    assert pl.read_parquet(tmp_path / "cells.parquet")["cell"].to_list() == IDS
    assert [c.seed for c in missing(asked(seeds=3), [tmp_path])] == [2, 1, 2]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared folder lies beside some checkouts only")
def test_the_shared_folder_of_before_is_known(tmp_path: Path) -> None:
    from rlsuite.engine.plan import grid

    folder = tmp_path / "old_run"
    shutil.copytree(SHARED / "old_run", folder)
    folder.chmod(0o755)
    requests = grid.read(SHARED / "grid.toml", {"seeds": [0, 1, 2]})[1]
    store = Store(folder)
    known = store.known_as(expand(requests))
    check_checkpoints(store, known)
    done = [c.seed for c in known if store.is_done(c.id)]
    under_way = [c.agent for c in known if store.path(c.id, "checkpoint").exists()]
    assert (done, under_way, len(known)) == ([0, 1, 0, 1], ["sac"], 9)
    assert [c.seed for c in missing(known, [folder])] == [2, 2, 0, 1, 2]
    # The tables written then name the same runs.
    (tmp_path / "kept").mkdir()
    for name in ("cells.parquet", "rows.parquet"):
        shutil.copyfile(folder / name, tmp_path / "kept" / name)
    assert [c.seed for c in missing(expand(requests), [tmp_path / "kept"])] == [2, 2, 0, 1, 2]
    assert files.read_meta(store.path("d86dd5c7a15e5681", "checkpoint"))["iteration"] == 5343
