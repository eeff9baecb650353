"""`rlsuite evaluate` on a run folder: which run is the best, and what is said of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from driving import drive
from tiny import TINY

from rlsuite.cli import evaluate
from rlsuite.cli.main import main
from rlsuite.engine.plan.cells import Cadence, Cell
from rlsuite.engine.plan.spec import Request, expand
from rlsuite.engine.run.program import Program
from rlsuite.engine.store.store import Store, pack_rows, unpack_rows
from rlsuite.io import files

RATES = [1e-4, 0.3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six finished runs of two series."""
    request = Request(
        "ppo", ["CartPole-v1"], [0, 1, 2], settings=TINY, sweep={"learning_rate": RATES},
        total_steps=320, cadence=Cadence(evaluations=2, episodes=2, logs=2),
    )  # fmt: skip
    cells, out = expand([request]), tmp_path_factory.mktemp("runs") / "run"
    program = Program.for_cell(cells[0])
    for cell in cells:
        drive([cell], program, out)
    return out


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """jax is loaded already: nothing is to be changed in the environment."""
    monkeypatch.setattr(evaluate, "worker_environment", lambda device: {})


def last_return(folder: Path, cell: Cell) -> float:
    arrays, _ = files.read_arrays(Store(folder).path(cell.id, "done"))
    return unpack_rows(arrays)["eval/return"][-1][2]


def said(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert main(["evaluate", str(folder), "--best", "--episodes", "2", *more]) == 0
    return capsys.readouterr().out.splitlines()[0]


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert main(["evaluate", str(folder), *more]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    return text


def test_the_best_is_the_run_of_the_highest_last_return(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = Store(folder).cells()
    for more, among in (
        ((), cells),
        (("--series", "ppo, learning rate 0.3"), [c for c in cells if 0.3 in c.config.values()]),
    ):
        best = max(among, key=lambda cell: last_return(folder, cell))
        line = said(folder, capsys, *more)
        assert line.startswith(f"best of {len(among)} finished runs: ppo, learning rate ")
        assert f"seed {best.seed}: return {last_return(folder, best):.2f}" in line
        assert f"{best.id}.done" in line


def test_runs_that_ended_without_a_number_are_never_the_best(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cells, store = Store(folder).cells(), Store(tmp_path)
    store.prepare(cells[:3], [])
    for cell, latest, status in (
        (cells[0], 900.0, "nan"), (cells[1], math.nan, "nan"), (cells[2], 1.0, "done")
    ):  # fmt: skip
        arrays, meta = files.read_arrays(Store(folder).path(cell.id, "done"))
        meta |= {"latest": latest, "status": status}
        rows = unpack_rows(arrays)
        policy = {n: a for n, a in arrays.items() if n not in pack_rows(rows)}
        store.finish(cell.id, policy, rows, meta)
    assert "best of 1 finished runs: ppo" in said(tmp_path, capsys)


def test_what_is_not_one_best_run_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "did you mean 'ppo, learning rate 0.3'" in refused(
        folder, capsys, "--best", "--series", "ppo, learning rate 0.33"
    )
    assert "--best takes the best of its runs" in refused(folder, capsys, "--series", "ppo")
    store, policy = Store(tmp_path), {}
    request = Request(
        "ppo", ["CartPole-v1", "Acrobot-v1"], [0], settings=TINY, total_steps=320,
        cadence=Cadence(evaluations=0),
    )  # fmt: skip
    cells = expand([request])
    store.prepare(cells, [])
    for cell in cells:
        meta = {"cell": cell.to_mapping(), "status": "done", "latest": 3.0}
        store.finish(cell.id, policy, {}, meta)
    line = refused(tmp_path, capsys, "--best")
    assert "on 2 environments" in line
    assert "say --env, Acrobot-v1 for one" in line
    assert "'Acrobot-v1'" in refused(tmp_path, capsys, "--best", "--env", "Acrobot")
    # The last thing that a run without evaluations said was of training.
    assert "ended with a return" in refused(tmp_path, capsys, "--best", "--env", "CartPole-v1")


def test_a_film_of_several_episodes_says_their_returns(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    film = tmp_path / "new folder" / "film.gif"
    said_first = ["evaluate", str(folder), "--best", "--episodes", "1"]
    assert main([*said_first, "--video", str(film), "--video-episodes", "2"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(f"{film}: 2 episodes of return ")
    assert line.count(".00") == 2
    assert film.exists()
