"""Runs that make what others are given: planned once, shared, refused in one line."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from driving import drive
from offline_tools import installed
from system_tools import assert_same, finish, kill_and_rerun, results
from tiny import same_bits

import rlsuite
from rlsuite.analysis.report import tables
from rlsuite.cli.grid import missing
from rlsuite.cli.main import main
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.launch import execute
from rlsuite.engine.launch.progress import Tally
from rlsuite.engine.plan import artefacts, grid, stages
from rlsuite.engine.plan.cells import Cadence, Cell
from rlsuite.engine.plan.spec import Request, Source, plan
from rlsuite.engine.run import memory, worker
from rlsuite.engine.run.inputs import Inputs, Unfit
from rlsuite.engine.run.program import Program, vars_of, with_params
from rlsuite.engine.run.runner import Runner, Stopped
from rlsuite.engine.store.store import Store
from rlsuite.io import artefact_cache, files

ENV = "CartPole-v1"
SHORT = Cadence(evaluations=1, episodes=1, logs=2)


@pytest.fixture(scope="module", autouse=True)
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The tests' agents, installed here and for processes started with these variables."""
    with installed(tmp_path_factory.mktemp("site"), "toy_stages.toy_rows:ROWS") as env:
        yield env


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RLSUITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def request(seeds: int = 1, rule: Source | None = None, **more: Any) -> Request:
    asked: dict[str, Any] = {"total_steps": 40, "cadence": SHORT, **more}
    inputs = {} if rule is None else {"rule": rule}
    return Request("toy-student", [ENV], range(seeds), inputs=inputs, **asked)


def split(cells: list[Cell]) -> tuple[list[Cell], list[Cell]]:
    """(those that make something, the others)."""
    return [c for c in cells if c.makes], [c for c in cells if not c.makes]


def made(cells: list[Cell], folder: Path) -> Inputs:
    """Inputs of a folder in which the makers have run."""
    makers, _ = split(cells)
    for cell in makers:
        drive([cell], Program.for_cell(cell), folder)
    store = Store(folder)
    return Inputs(lambda cell: store.path(cell.id, "done"))


# --- planning -----------------------------------------------------------------------------------


def test_what_makes_an_input_is_planned_once_and_first() -> None:
    cells = plan([request(4), request(2, settings={"scale": 2.0})])
    makers, students = split(cells)
    assert len(makers) == 1
    assert len(students) == 6
    assert cells[0] is not students[0]
    assert all(cell.needs == (makers[0].id,) for cell in students)
    assert makers[0].cadence.evaluations == 0


def test_an_input_of_ones_own_has_the_seed_of_who_is_given_it() -> None:
    cells = plan([request(3, Source(seed="own"))])
    makers, students = split(cells)
    assert [cell.seed for cell in makers] == [0, 1, 2]
    assert [s.needs[0] for s in students] == [m.id for m in makers]
    # They are seeds of one series still.
    assert len({cell.variant for cell in students}) == 1
    assert len({cell.id for cell in students}) == 3


def test_other_inputs_are_other_runs_but_not_other_programs() -> None:
    asked = [request(rule=Source(seed=s)) for s in (0, 1)]
    asked += [request(rule=Source(settings={"target": 2.0})), request()]
    _, students = split(plan(asked))
    assert len(students) == 3
    assert len({cell.variant for cell in students}) == 3
    assert len({cell.group for cell in students}) == 1
    _, wide = split(plan([request(rule=Source(settings={"width": 4}))]))
    assert wide[0].group != students[0].group


def test_series_are_told_apart_by_what_they_are_given() -> None:
    asked = [request(rule=Source(settings={"target": t})) for t in (0.5, 2.0)]
    _, students = split(plan(asked))
    assert [cell.series for cell in students] == [
        "toy-student, rule.target 0.5",
        "toy-student, rule.target 2",
    ]


def test_settings_of_what_makes_an_input_are_swept_like_any(cache: Path) -> None:
    cells = plan([request(sweep={"rule.target": [0.5, 2.0], "scale": [1.0, 3.0]})])
    makers, students = split(cells)
    assert [cell.config["target"] for cell in makers] == [0.5, 2.0]
    assert [cell.sweep for cell in students] == [
        {"rule.target": t, "scale": s} for t in (0.5, 2.0) for s in (1.0, 3.0)
    ]


def test_runs_without_inputs_keep_their_ids() -> None:
    cell = plan([Request("ppo", [ENV], [0], total_steps=100_000)])[0]
    assert dataclasses.replace(cell, inputs={}, env_params={}).digest == cell.digest
    with_params = plan([Request("ppo", [ENV], [0], total_steps=100_000,
                                env_params={"gravity": 5.0})])[0]  # fmt: skip
    assert with_params.id != cell.id
    assert with_params.group == cell.group


def test_a_cell_with_inputs_is_read_back_as_it_was(tmp_path: Path) -> None:
    cells = plan([request(2, Source(seed="own"), env_params={"gravity": 5.0})])
    store = Store(tmp_path / "run")
    store.prepare(cells, [])
    assert store.cells() == cells
    assert [cell.digest for cell in store.cells()] == [cell.digest for cell in cells]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (request(rule=Source(agent="ppo")), "ppo makes nothing for others.* is a toy-rule"),
        (request(rule=Source(agent="toy-rul")), "no agent 'toy-rul': did you mean 'toy-rule'"),
        (request(rule=Source(settings={"target": "x"})), "target"),
        (request(rule=Source(total_steps=1)), "below one iteration"),
        (request(env_params={"gravitty": 1.0}), "no parameter 'gravitty': did you mean 'gravity'"),
        (request(env_params={"gravity": -1.0}), "gravity must be from 0.98 to 98, not -1"),
        (request(sweep={"env.gravity": [1.0, 1e9]}), "gravity must be from"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_before_anything_is_run(asked: Request, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        plan([asked])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--input", "rul=toy-rule"], "takes no input 'rul': did you mean 'rule'?"),
        (["--input", "rule"], "must be ROLE=AGENT, ROLE=FILE or ROLE.NAME=VALUE"),
        (["--input", "rule.tarket=1"], "has no setting 'tarket': did you mean 'target'"),
        (["--input", "rule.seed=x"], "must be a number"),
        (["--input", "rule=nowhere.done"], "no file nowhere.done"),
        (["--env-param", "gravity"], "must be NAME=NUMBER"),
    ],
)
def test_flags_are_refused_in_one_line(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "toy-student", "--env", ENV, "--total-steps", "40", *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_grid_file_says_inputs_and_parameters(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(
        """
        [[run]]
        agent = "toy-student"
        env = "CartPole-v1"
        total_steps = 40
        seeds = 2
        [run.env_params]
        gravity = 5.0
        [run.inputs.rule]
        agent = "toy-rule"
        seed = "own"
        total_steps = 80
        set = { target = 2.0 }
        """,
        encoding="utf-8",
    )
    makers, students = split(plan(grid.read(path)[1]))
    assert [(c.config["target"], c.total_steps, c.seed) for c in makers] == [
        (2.0, 80, 0), (2.0, 80, 1)
    ]  # fmt: skip
    assert students[0].env_params == {"gravity": 5.0}
    path.write_text(path.read_text(encoding="utf-8").replace("seed =", "sed ="), encoding="utf-8")
    with pytest.raises(UsageError, match=r"no key 'sed' in inputs.rule: did you mean 'seed'"):
        grid.read(path)


# --- running ------------------------------------------------------------------------------------


def run(cells: list[Cell], folder: Path, inputs: Inputs, width: int = 1) -> list[dict[str, Any]]:
    program = Program.for_cell(cells[0], width)
    given = [inputs.of(cell, program.agent) for cell in cells]
    store = Store(folder)
    store.prepare(cells, [])
    Runner(cells, program, store, {}, lambda *_: None, lambda: False, given=given).run()
    return [files.read_arrays(store.path(cell.id, "done"))[0] for cell in cells]


def test_a_student_learns_by_the_rule_it_is_given(cache: Path, tmp_path: Path) -> None:
    cells = plan([request(rule=Source(settings={"target": t})) for t in (0.5, 50.0)])
    inputs = made(cells, tmp_path)
    little, much = (run([c], tmp_path, inputs)[0]["policy"].mean() for c in split(cells)[1])
    # Ten iterations of a hundredth of 0.5 and of 50 (a rule's noise is 0.01).
    assert much - little == pytest.approx(10 * 0.01 * 49.5, rel=0.02)


def test_of_own_rules_each_of_those_side_by_side_has_its_own(cache: Path, tmp_path: Path) -> None:
    cells = plan([request(3, Source(seed="own", total_steps=4))])
    inputs, (_, students) = made(cells, tmp_path), split(cells)
    wide = run(students, tmp_path / "wide", inputs, width=3)
    for cell, arrays in zip(students, wide, strict=True):
        alone = run([cell], tmp_path / cell.id, inputs)[0]
        np.testing.assert_allclose(alone["policy"], arrays["policy"], rtol=1e-5)
    turned = run(students[::-1], tmp_path / "turned", inputs, width=3)[::-1]
    assert all(same_bits(a, b) for a, b in zip(wide, turned, strict=True))


def test_runs_that_share_a_rule_run_beside_no_others() -> None:
    cells = plan([request(2), request(2, Source(seed=1)), request(2, Source(seed="own"))])
    _, students = split(cells)
    shared = [tuple(m.key for m in c.inputs.values() if not m.own) for c in students]
    assert shared[0] == shared[1] != shared[2] == shared[3]
    assert shared[4] == shared[5] == ()
    assert students[4].group != students[0].group


def test_five_rules_in_turn_are_loaded_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = plan([request(2, Source(seed=s)) for s in range(5)])
    inputs, (_, students) = made(cells, tmp_path), split(cells)
    read, whole = [], files.read_arrays
    monkeypatch.setattr(files, "read_arrays", lambda path: read.append(path) or whole(path))
    for cell in [*students, *students]:
        inputs.of(cell, None)
    assert len(read) == 5


def test_a_fit_that_is_over_ends_and_says_when(cache: Path, tmp_path: Path) -> None:
    def steps(tolerance: float, seeds: int, width: int) -> list[int]:
        asked = Request("toy-rule", [ENV], range(seeds), settings={"tolerance": tolerance},
                        total_steps=2000)  # fmt: skip
        cells = plan([asked])
        program = Program.for_cell(cells[0], width)
        folder = tmp_path / f"{tolerance} {width}"
        for i in range(0, seeds, width):
            drive(cells[i : i + width], program, folder, stops=3 if width == 1 else None)
        metas = [files.read_meta(Store(folder).path(cell.id, "done")) for cell in cells]
        assert all(meta["status"] == "done" for meta in metas)
        return [meta["iteration"] for meta in metas]

    alone = steps(0.1, 3, 1)
    assert all(0 < count < 100 for count in alone)
    assert len(set(alone)) > 1
    assert steps(0.1, 3, 3) == alone
    assert steps(0.0, 1, 1) == [500]


def test_a_fit_that_was_over_before_it_began_took_no_step(cache: Path, tmp_path: Path) -> None:
    [cell] = plan([Request("toy-rule", [ENV], [0])])
    program = Program.for_cell(cell)
    program.agent = dataclasses.replace(program.agent, finished=lambda _: jnp.bool_(True))
    [(arrays, meta)] = drive([cell], program, tmp_path)
    assert (meta["status"], meta["iteration"]) == ("done", 0)
    assert not [name for name in arrays if name.startswith("rows/")]


def test_the_library_ends_a_fit_that_is_over_too(cache: Path) -> None:
    agent = rlsuite.make("toy-rule", ENV, tolerance=0.1)
    result = rlsuite.train(agent, seeds=3, total_steps=2000, evaluations=0, logs=5)
    assert all(0 < count < 100 for count in result.iterations)
    assert result.status == ["done"] * 3
    student = rlsuite.make("toy-student", ENV)
    with pytest.raises(UsageError, match="toy-student needs a rule"):
        rlsuite.train(student, seeds=1, total_steps=40)
    given = {"rule": result.policies[0]}
    assert rlsuite.train(student, seeds=2, total_steps=40, inputs=given).status == ["done"] * 2
    with pytest.raises(UsageError, match="takes no input 'rul': did you mean 'rule'"):
        rlsuite.train(student, seeds=1, total_steps=40, inputs={"rul": result.policies[0]})


def test_where_values_come_from_is_told_of_inputs_and_parameters_too() -> None:
    rule = Source(settings={"target": 2.0}, seed="own")
    asked = request(rule=rule, env_params={"gravity": 5.0}, sweep={"rule.width": [2, 3]})
    asked = dataclasses.replace(asked, flags=["env.gravity", "total_steps"])
    student = split(plan([asked]))[1][0]
    assert student.given == {
        "total_steps": "flag", "env.gravity": "flag", "rule.target": "file", "rule.seed": "file",
        "rule.width": "file",
    }  # fmt: skip
    assert student.told["rule.target"] == 2.0


def test_an_input_is_made_where_it_is_used_unless_told_otherwise() -> None:
    asked = [request(env_params={"gravity": 5.0}),
             request(rule=Source(env="MountainCar-v0"), env_params={"gravity": 5.0})]  # fmt: skip
    makers, _ = split(plan(asked))
    assert [(maker.env, maker.env_params) for maker in makers] == [
        (ENV, {"gravity": 5.0}), ("MountainCar-v0", {})
    ]  # fmt: skip


def test_cells_without_any_of_it_are_written_as_they_were() -> None:
    [cell] = plan([Request("ppo", [ENV], [0], total_steps=100_000)])
    assert not {"inputs", "env_params", "makes"} & cell.to_mapping().keys()


def test_what_only_finished_runs_were_given_is_not_made(cache: Path, tmp_path: Path) -> None:
    cells = plan([request(), request(rule=Source(seed=1))])
    inputs, (makers, students) = made(cells, tmp_path / "a"), split(cells)
    run(students[:1], tmp_path / "a", inputs)
    other = tmp_path / "b"
    Store(other).prepare(students[:1], [])
    shutil.copy(Store(tmp_path / "a").path(students[0].id, "done"), other / "cells")
    assert missing(cells, [other]) == [makers[1], students[1]]


class Pair(NamedTuple):
    gravity: Any = 9.8
    level: Any = 3


@pytest.mark.parametrize("kind", ["tuple", "mapping", "gymnax"])
def test_parameters_keep_their_type_and_the_others_their_value(kind: str) -> None:
    known: Any = {"tuple": Pair(), "mapping": {"gravity": 9.8, "level": 3},
                  "gymnax": rlsuite.make_env(ENV).default_params}[kind]  # fmt: skip
    new = with_params(known, {"gravity": 5})
    before, after = (p if kind == "mapping" else vars_of(p) for p in (known, new))
    assert float(after["gravity"]) == 5.0
    assert after["gravity"].dtype == np.float32
    assert {n: v for n, v in after.items() if n != "gravity"} == {
        n: v for n, v in before.items() if n != "gravity"
    }


def test_parameters_reach_training_and_evaluation(cache: Path, tmp_path: Path) -> None:
    # With a clock ten times as fast the pole falls in fewer steps.
    cells = plan([request(env_params=params) for params in ({}, {"tau": 0.2})])
    inputs, students = made(cells, tmp_path), split(cells)[1]
    assert students[0].group == students[1].group
    slow, fast = (run([c], tmp_path, inputs)[0]["rows/eval/length/value"][-1] for c in students)
    assert fast < slow
    agent = rlsuite.make("ppo", ENV)
    params = rlsuite.context(agent, iterations=1, env_params={"tau": 0.2}).env_params
    assert float(params.tau) == pytest.approx(0.2)


def test_a_report_tells_makers_from_those_they_make_for(cache: Path, tmp_path: Path) -> None:
    cells = plan([request(2, Source(settings={"target": t})) for t in (0.5, 2.0)])
    inputs, (_, students) = made(cells, tmp_path), split(cells)
    Store(tmp_path).prepare(cells, [])
    run(students[:2], tmp_path, inputs, width=2)
    loaded = rlsuite.load_results(tmp_path)
    runs, makers = loaded.parted()
    assert sorted(makers.cells["agent"].unique()) == ["toy-rule"]
    assert runs.cells["input.rule.target"].to_list() == [0.5, 0.5, 2.0, 2.0]
    table = tables.makers(makers)
    assert table["steps"].to_list() == [240, 240]
    assert all("loss/rule " in text for text in table["last"])
    assert sorted(runs.cells["series"].unique()) == [
        "toy-student, rule.target 0.5", "toy-student, rule.target 2"
    ]  # fmt: skip


# --- what is kept -------------------------------------------------------------------------------


def test_what_one_folder_made_another_finds(cache: Path, tmp_path: Path) -> None:
    cells = plan([request()])
    made(cells, tmp_path / "a")
    (maker,), _ = split(cells)
    other = Store(tmp_path / "b")
    other.prepare(cells, [])
    assert not other.is_done(maker.id)
    execute.share(other, cells)
    assert other.is_done(maker.id)
    here, there = (files.read_arrays(Store(tmp_path / n).path(maker.id, "done")) for n in "ab")
    assert same_bits(here[0], there[0])
    kept = artefact_cache.entries()
    assert [(entry.kind, entry.path.stem) for entry in kept] == [("toy-rule", maker.digest)]
    assert artefact_cache.clear(kept) > 0
    assert artefact_cache.entries() == []
    # The folder has its own still, and keeps it for others again.
    execute.share(other, cells)
    assert len(artefact_cache.entries("toy-rule")) == 1


def test_one_that_was_made_by_other_settings_is_refused(cache: Path, tmp_path: Path) -> None:
    cells = plan([request(), request(rule=Source(settings={"target": 2.0}))])
    made(cells, tmp_path / "a")
    makers, students = split(cells)
    paths = [artefacts.of_cell(maker) for maker in makers]
    paths[0].unlink()
    os.link(paths[1], paths[0])
    with pytest.raises(UsageError, match=r"made by other settings \(agent.target is 2.0 there"):
        execute.share(Store(tmp_path / "b"), makers)
    wrong = Inputs(lambda cell: paths[1])
    with pytest.raises(Unfit, match=r"made by other settings: agent\.target"):
        wrong.of(students[0], None)


def test_a_run_goes_on_only_with_the_input_it_began_with(cache: Path, tmp_path: Path) -> None:
    cells = plan([request(total_steps=4000, cadence=Cadence(evaluations=0, logs=1))])
    inputs, (_, [student]) = made(cells, tmp_path), split(cells)
    store, program = Store(tmp_path), Program.for_cell(student)
    store.prepare([student], [])
    given = inputs.of(student, program.agent)
    with pytest.raises(Stopped):
        Runner([student], program, store, {}, lambda *_: None, lambda: True, given=given).run()
    changed = given._replace(contents={"rule": "another"})
    again = Runner([student], program, store, {}, lambda *_: None, lambda: False, given=changed)
    with pytest.raises(UsageError, match=r"began with another rule .*: restore that"):
        again.run()
    Runner([student], program, store, {}, lambda *_: None, lambda: False, given=given).run()
    assert store.is_done(student.id)


def test_a_file_is_an_input_too(cache: Path, tmp_path: Path) -> None:
    cells = plan([request(2)])
    inputs, (makers, students) = made(cells, tmp_path), split(cells)
    saved = tmp_path / "rule.safetensors"
    agent, policy, *_ = rlsuite.load(Store(tmp_path).path(makers[0].id, "done"))
    rlsuite.save(saved, agent, policy)
    given = plan([request(2, Source(path=str(saved)))])
    assert not split(given)[0]
    assert given[0].needs == ()
    a, b = (run([c], tmp_path / n, inputs)[0] for n, c in (("a", students[0]), ("b", given[0])))
    assert same_bits(a, b)
    rlsuite.save(saved, agent, policy.replace(numbers=policy.numbers + 1))
    with pytest.raises(Unfit, match="changed: its content was"):
        Inputs().of(given[1], None)
    student, weights, *_ = rlsuite.load(Store(tmp_path / "a").path(students[0].id, "done"))
    rlsuite.save(saved, student, weights)
    with pytest.raises(UsageError, match="is of toy-student, no toy-rule"):
        stages.from_file(stages.registry.agent("toy-student").inputs[0], saved)


def test_what_is_made_for_others_is_not_played(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = plan([request()])
    made(cells, tmp_path)
    path = Store(tmp_path).path(split(cells)[0][0].id, "done")
    assert main(["evaluate", str(path)]) == 2
    assert "holds a toy-rule, which plays no episodes" in capsys.readouterr().err


def test_the_cache_is_listed_and_cleared(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(plan([request()]), tmp_path / "a")
    assert main(["cache"]) == 0
    assert "toy-rule" in capsys.readouterr().out
    assert main(["cache", "clear", "--older", "1"]) == 0
    assert "0 removed" in capsys.readouterr().out
    assert main(["cache", "--kind", "toy-rul"]) == 2
    assert "did you mean 'toy-rule'?" in capsys.readouterr().err
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out.startswith("1 removed, ")
    assert main(["cache", "cleer"]) == 2


# --- workers ------------------------------------------------------------------------------------


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(worker, "emit", lambda kind, **v: said.append({"event": kind, **v}))
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    return said


def work(cells: list[Cell], folder: Path) -> Store:
    store = Store(folder)
    store.prepare(cells, [])
    worker.Worker(folder, 0, 1, 1).work()
    return store


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"fails": True}, "it failed: ValueError: the rule cannot be fitted"),
        ({"bad_from": 2}, "turned to NaN and is of no use"),
    ],
)
def test_one_that_cannot_be_made_fails_what_needs_it_in_one_line(
    cache: Path, tmp_path: Path, events: list[dict[str, Any]], broken: dict[str, Any], why: str
) -> None:
    cells = plan([request(3, Source(settings=broken)), request(2)])
    store = work(cells, tmp_path / "run")
    left_out = [event for event in events if event.get("left_out")]
    assert len(left_out) == 3
    assert {event["left_out"] for event in left_out} == {"with the rule toy-rule, seed 0"}
    assert all(why in event["error"] for event in left_out)
    # Others are none the worse.
    assert sum(store.is_done(cell.id) for cell in split(cells)[1]) == 2


def test_one_that_was_deleted_is_made_again(
    cache: Path, tmp_path: Path, events: list[dict[str, Any]]
) -> None:
    cells = plan([request(2)])
    (maker,), students = split(cells)
    store = work(cells, tmp_path / "run")
    before = files.read_arrays(store.path(students[1].id, "done"))[0]
    for cell in (maker, students[1]):
        store.path(cell.id, "done").unlink()
    artefact_cache.clear(artefact_cache.entries())
    work(cells, tmp_path / "run")
    assert store.is_done(maker.id)
    assert same_bits(before, files.read_arrays(store.path(students[1].id, "done"))[0])


def command(out: Path) -> list[str]:
    """One rule, three students of other settings, four seeds, two workers."""
    return [
        sys.executable, "-m", "rlsuite.cli.main", "grid", str(out.parent / "grid.toml"), "--out",
        str(out), "--workers", "2", "--no-report",
    ]  # fmt: skip


def environment(toys: dict[str, str], cache: Path) -> dict[str, str]:
    clean = {k: v for k, v in toys.items() if k not in ("XLA_FLAGS", "PJRT_NPROC")}
    return {**clean, "RLSUITE_CACHE": str(cache)}


def write_grid(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "grid.toml").write_text(
        f"""
        [[run]]
        agent = "toy-student"
        env = "CartPole-v1"
        seeds = 4
        total_steps = {steps}
        evaluations = 2
        episodes = 1
        sweep = {{ scale = [0.5, 1.0, 2.0] }}
        inputs.rule.total_steps = {steps}
        """,
        encoding="utf-8",
    )


def survive(tmp_path: Path, toys: dict[str, str], kills: int, rng: random.Random) -> None:
    """Bits as undisturbed after so many kills at random moments of parent and workers."""
    steps = 400_000
    for name in ("whole", "killed"):
        write_grid(tmp_path / name, steps)
    whole, killed = tmp_path / "whole" / "run", tmp_path / "killed" / "run"
    finish(command(whole), environment(toys, tmp_path / "cache"))
    # Compiled programs are shared, what was made is not.
    other = tmp_path / "other"
    other.mkdir()
    for path in (tmp_path / "cache").glob("xla-*"):
        (other / path.name).symlink_to(path)
    met = kill_and_rerun(command(killed), environment(toys, other), kills, rng, (0.5, 4.0))
    assert met >= 2
    assert len(results(whole)) == 13
    assert_same(results(whole), results(killed))


def test_killed_runs_and_makers_end_as_undisturbed_ones(
    tmp_path: Path, toys: dict[str, str]
) -> None:
    survive(tmp_path, toys, 3, random.Random(0))


@pytest.mark.slow
def test_twenty_kills(tmp_path: Path, toys: dict[str, str]) -> None:
    survive(tmp_path, toys, 20, random.Random(1))


# --- memory -------------------------------------------------------------------------------------


def test_what_an_agent_takes_besides_and_what_it_is_given_count(
    cache: Path, tmp_path: Path
) -> None:
    cells = plan([request()])
    inputs, (_, [student]) = made(cells, tmp_path), split(cells)
    program = Program.for_cell(student, 3)
    given = inputs.of(student, program.agent)
    plain = memory.estimate(program, student, given).total
    program.agent = dataclasses.replace(program.agent, scratch=1 << 20)
    assert memory.estimate(program, student, given).total == plain + 3 * (1 << 20)
    program.agent = dataclasses.replace(program.agent, scratch=0)
    # Of the rule once for all that run together, of the student's numbers more for each of them.
    rules = [given.inputs["rule"].replace(numbers=np.zeros(n, np.float32)) for n in (3, 1003)]
    needs = [
        memory.estimate(program, student, given._replace(inputs={"rule": rule})).total
        for rule in rules
    ]
    state_and_batch = 3 * (2 + 3) * 4000
    assert needs[0] == plain
    assert needs[1] == plain + 4000 + state_and_batch


def test_the_estimate_is_held_against_the_compiled_program(
    cache: Path, tmp_path: Path, events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "check_memory", lambda *_: 1)
    work([plan([request()])[0]], tmp_path / "run")
    first, second = (event["bytes"] for event in events if event["event"] == "estimate")
    assert first == 1
    assert second > memory.PROCESS_BYTES
    tally = Tally({}, set())
    told = [tally.take(0, {"event": "estimate", "bytes": b << 30}) for b in (4, 4, 6, 5)]
    assert [line is None for line in told] == [False, True, False, True]
