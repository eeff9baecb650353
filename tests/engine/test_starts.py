"""Going on from a file: as if never stopped, whatever kills it meanwhile, and told apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from system_tools import assert_same, finish, kill_and_rerun, results
from tiny import TINY, same_bits, tiny_cells

import rlsuite
from rlsuite.analysis.load import loading
from rlsuite.analysis.report import tables
from rlsuite.cli.main import main
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.launch.process_env import worker_environment
from rlsuite.engine.plan import starts
from rlsuite.engine.plan.cells import Cadence, Cell
from rlsuite.engine.plan.spec import Request, expand
from rlsuite.engine.run import tree
from rlsuite.engine.run.inputs import Inputs, Unfit
from rlsuite.engine.run.program import Program
from rlsuite.engine.run.runner import Runner, Stopped
from rlsuite.engine.store.store import Store
from rlsuite.io import files

AT, WHOLE = 6, 12


@pytest.fixture(scope="module")
def files_left(tmp_path_factory: pytest.TempPathFactory, program: Program) -> dict[str, Any]:
    """A run of twelve iterations stopped after some, the same undisturbed, and their files."""
    [cell] = tiny_cells(iterations=WHOLE)
    folder = tmp_path_factory.mktemp("left")
    stopped = Store(folder / "stopped")
    stopped.prepare([cell], [])
    with pytest.raises(Stopped):
        half(cell, program, stopped).run()
    whole = Store(folder / "whole")
    whole.prepare([cell], [])
    Runner([cell], program, whole, {}, lambda *_: None, lambda: False).run()
    paths = {"state": stopped.path(cell.id, "checkpoint"), "done": whole.path(cell.id, "done")}
    return {**paths, "at": files.read_meta(paths["state"])["iteration"], "cell": cell}


def half(cell: Cell, program: Program, store: Store) -> Runner:
    runner = Runner([cell], program, store, {}, lambda track, steps, rate: taken.append(steps),
                    lambda: taken[-1] >= AT * 32)  # fmt: skip
    taken: list[int] = []
    return runner


def going_on(path: Path, iterations: int, seeds: Any = (0,), **asked: Any) -> list[Cell]:
    """Cells that go on from a file for so many iterations."""
    cadence = Cadence(evaluations=2, episodes=2, logs=3)
    request = Request(
        "ppo", ["CartPole-v1"], seeds, total_steps=iterations * 32, cadence=cadence,
        start=starts.read(path, "ppo"), **asked,
    )  # fmt: skip
    return expand([request])


def ran(cells: list[Cell], program: Program, folder: Path, stops: int | None = None) -> Any:
    """What cells that run side by side end with; stopped after every so many chunks."""
    store, inputs = Store(folder), Inputs()
    store.prepare(cells, [])
    while not all(store.is_done(cell.id) for cell in cells):
        chunks = iter(range(1, stops or 10**9))
        begun = store.path(cells[0].id, "checkpoint").exists()
        given = [inputs.of(cell, program.agent, begun) for cell in cells]

        def stop(it: Any = chunks) -> bool:
            return next(it, None) is None

        try:
            Runner(cells, program, store, {}, lambda *_: None, stop, given=given).run()
        except Stopped:
            continue
    return [files.read_arrays(store.path(cell.id, "done")) for cell in cells]


def test_a_whole_state_goes_on_as_if_it_had_never_stopped(
    files_left: dict[str, Any], program: Program, tmp_path: Path
) -> None:
    """Two legs end with the bits of one, and with those of the library's `resume`."""
    state, left = files_left["state"], WHOLE - files_left["at"]
    [cell] = going_on(state, left)
    assert (cell.iterations, cell.total_steps, cell.own_steps) == (WHOLE, WHOLE * 32, left * 32)
    [(arrays, meta)] = ran([cell], program, tmp_path)
    whole, _ = files.read_arrays(files_left["done"])
    assert same_bits(whole, arrays, only="policy")
    steps = arrays["rows/eval/return/step"]
    assert (steps[0], steps[-1]) == (files_left["at"] * 32, WHOLE * 32)
    assert len(steps) == 3
    assert len(arrays["rows/loss/value/step"]) == 3
    assert arrays["rows/eval/return/value"][-1] == whole["rows/eval/return/value"][-1]
    assert meta["iteration"] == WHOLE
    resumed = rlsuite.train(
        program.agent, resume=state, total_steps=left * 32, evaluations=1, episodes=2
    )
    same = tree.to_arrays(resumed.policies[0], "policy")
    assert same_bits(same, arrays, only="policy")


def test_stops_on_the_way_change_no_bit(
    files_left: dict[str, Any], program: Program, tmp_path: Path
) -> None:
    """Nor is the file needed once a run has begun."""
    copy = tmp_path / "copy.checkpoint"
    copy.write_bytes(files_left["state"].read_bytes())
    [cell] = going_on(copy, 9)
    [(arrays, _)] = ran([cell], program, tmp_path / "once")
    store = Store(tmp_path / "often")
    store.prepare([cell], [])
    with pytest.raises(Stopped):
        Runner([cell], program, store, {}, lambda *_: None, lambda: True,
               given=Inputs().of(cell, program.agent)).run()  # fmt: skip
    copy.unlink()
    [(often, meta)] = ran([cell], program, tmp_path / "often", stops=1)
    assert meta["clock"]["resumes"] > 2
    assert same_bits(arrays, often)


def test_from_a_policy_every_seed_starts_anew(
    files_left: dict[str, Any], program: Program, tmp_path: Path
) -> None:
    cells = going_on(files_left["done"], 4, seeds=[0, 1])
    assert [(c.begins, c.iterations, c.total_steps) for c in cells] == [(0, 4, 128)] * 2
    policy, _ = files.read_arrays(files_left["done"])
    given = [Inputs().of(cell, program.agent) for cell in cells]
    for cell, own in zip(cells, given, strict=True):
        runner = Runner([cell], program, Store(tmp_path), {}, lambda *_: None, lambda: False,
                        given=own)  # fmt: skip
        first = tree.to_arrays(program.policy(runner._first()[0]), "policy")
        assert same_bits(first, policy, only="policy")
    wide = Program.for_cell(cells[0], 2)
    both = ran(cells, wide, tmp_path / "wide")
    turned = ran(cells[::-1], wide, tmp_path / "turned")[::-1]
    for (arrays, _), (other, _) in zip(both, turned, strict=True):
        assert same_bits(arrays, other)
    assert not same_bits(both[0][0], both[1][0], only="policy")


def test_settings_are_those_of_the_file_unless_told(files_left: dict[str, Any]) -> None:
    [cell] = going_on(files_left["state"], 4, settings={"learning_rate": 0.5})
    assert {n: cell.config[n] for n in TINY} == TINY
    assert cell.config["learning_rate"] == 0.5
    assert (cell.given["learning_rate"], cell.given["hidden"]) == ("file", "start")
    assert cell.named_settings == {"learning_rate", "total_steps"}


def test_what_it_goes_on_from_is_part_of_what_a_run_is(files_left: dict[str, Any]) -> None:
    [plain] = tiny_cells(iterations=4)
    assert "start" not in plain.to_mapping()
    state, done = (going_on(files_left[n], 4)[0] for n in ("state", "done"))
    assert plain.start is None
    assert dataclasses.replace(done, start=None).digest == plain.digest
    assert len({c.digest for c in (plain, state, done)}) == 3
    assert Cell.from_mapping(state.to_mapping()) == state
    # Wherever the file lies.
    assert state.start is not None
    moved = dataclasses.replace(state.start, path="elsewhere")
    assert dataclasses.replace(state, start=moved).digest == state.digest
    both = expand([
        Request("ppo", ["CartPole-v1"], [0], settings=TINY, total_steps=4 * 32),
        Request("ppo", ["CartPole-v1"], [0], total_steps=4 * 32,
                start=starts.read(files_left["done"], "ppo")),
    ])  # fmt: skip
    name = f"ppo, from {files_left['done'].name} ({done.start.content[:8]})"  # pyright: ignore
    assert [cell.series for cell in both] == ["ppo", name]


def test_a_file_that_changed_or_is_gone_is_one_line(
    files_left: dict[str, Any], program: Program, tmp_path: Path
) -> None:
    path = tmp_path / "a.checkpoint"
    path.write_bytes(files_left["state"].read_bytes())
    [cell] = going_on(path, 4)
    Store(tmp_path / "run").prepare([cell], [])
    arrays, meta = files.read_arrays(path)
    # Rows and clocks are not what is gone on from.
    files.write_arrays(path, {n: a for n, a in arrays.items() if n[:4] != "rows"}, meta)
    Inputs().of(cell, program.agent)
    name = next(n for n in arrays if n.startswith("state") and arrays[n].dtype == np.float32)
    files.write_arrays(path, {**arrays, name: arrays[name] + 1}, meta)
    with pytest.raises(Unfit, match=r"a\.checkpoint changed: its content was") as caught:
        Inputs().of(cell, program.agent)
    assert caught.value.what == f"from {path}"
    with pytest.raises(UsageError, match=r"had content .* now .*: restore it, or"):
        Store(tmp_path / "run").prepare(going_on(path, 4), [])
    path.unlink()
    with pytest.raises(Unfit, match="no file"):
        Inputs().of(cell, program.agent)


def test_what_does_not_fit_says_which_setting(files_left: dict[str, Any]) -> None:
    for name in ("state", "done"):
        [cell] = going_on(files_left[name], 4, settings={"hidden": [4, 4]})
        with pytest.raises(Unfit, match=r"made with hidden \[8, 8\], not \[4, 4\]"):
            Inputs().of(cell, Program.for_cell(cell).agent)


def command(path: Path, out: Path, *more: str) -> list[str]:
    told = ["--total-steps", "20000", "--evaluations", "2", "--episodes", "2", "--logs", "4"]
    return ["train", "ppo", "--from", str(path), *told, "--out", str(out), "--workers", "1",
            "--no-report", *more]  # fmt: skip


def test_the_command_line_goes_on_in_a_worker(
    files_left: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = files_left["state"]
    assert main([*command(state, tmp_path), "--dry-run"]) == 0
    assert f"1 runs of 20,000 steps from {state}" in capsys.readouterr().out
    assert main(command(state, tmp_path)) == 0
    assert "1 runs of 20,000 environment steps" in capsys.readouterr().out
    [(arrays, _)] = [files.read_arrays(p) for p in (tmp_path / "cells").glob("*.done")]
    assert arrays["rows/eval/return/step"][0] == files_left["at"] * 32
    frames = loading.load(tmp_path)
    assert frames.cells["behind"].to_list() == [files_left["at"] * 32]
    # What it cost are its own steps only.
    assert tables.cost(frames)["steps"].to_list() == [20_000]
    row = tables.summary(frames).row(0, named=True)
    assert row["steps"] == 20_000 + files_left["at"] * 32
    assert row["steps_per_second"] == pytest.approx(20_000 / row["seconds"])
    assert main(command(state, tmp_path)) == 0
    assert "1 of 1 runs are finished already" in capsys.readouterr().out
    other = command(state, tmp_path / "other", "--agent.hidden", "4,4")
    assert main(other) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "made with hidden [8, 8], not [4, 4]" in error


@pytest.mark.slow
def test_killed_it_ends_with_the_same_bits(files_left: dict[str, Any], tmp_path: Path) -> None:
    import random
    import sys

    env = worker_environment("cpu")
    run = [sys.executable, "-m", "rlsuite.cli.main"]
    long = ["--total-steps", "400000"]
    calm, killed = (
        [*run, *command(files_left["state"], tmp_path / name, *long)] for name in ("calm", "killed")
    )
    finish(calm, env)
    begun = tmp_path / "killed"
    assert kill_and_rerun(killed, env, 3, random.Random(0), (0.2, 1.0), begun) >= 2
    assert_same(results(tmp_path / "calm"), results(begun))
