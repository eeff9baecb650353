"""Populations of runs: a search is driven to its end, killed and resumed, and told no lies."""

from __future__ import annotations

import dataclasses
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving import drive
from offline_tools import installed
from searches import Evolution, RandomSearch
from tiny import same_bits

import rlsuite
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.launch import search
from rlsuite.engine.launch.search import Finished
from rlsuite.engine.plan.spec import Request, plan
from rlsuite.engine.run.program import Program
from rlsuite.engine.store.store import Store


@pytest.fixture(scope="module", autouse=True)
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The tests' agents, installed here and for processes started with these variables."""
    with installed(tmp_path_factory.mktemp("site"), "toy_stages.toy_rows:ROWS") as env:
        yield {k: v for k, v in env.items() if k not in ("XLA_FLAGS", "PJRT_NPROC")}


@pytest.fixture(scope="module", autouse=True)
def in_this_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Worker processes find the tests' agents too, and a cache of their own."""
    patch = pytest.MonkeyPatch()
    with installed(tmp_path_factory.mktemp("again"), "toy_stages.toy_rows:ROWS") as env:
        patch.setenv("PYTHONPATH", env["PYTHONPATH"])
        patch.setenv("RLSUITE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
    patch.undo()


def test_a_random_search_finds_the_best_of_what_it_tried(tmp_path: Path) -> None:
    state = rlsuite.search(RandomSearch(rounds=2, each=3), tmp_path / "run", 1, progress=False)
    assert len(state["tried"]) == 6
    values = [value for _, value in state["tried"]]
    assert state["best"] == state["tried"][int(np.argmax(values))]
    # It is a run folder like any other.
    cells = rlsuite.load_results(tmp_path / "run").cells
    assert cells.height == 6
    assert sorted(cells["agent.learning_rate"]) == sorted(rate for rate, _ in state["tried"])
    # Nothing is run again.
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "run" / "cells").iterdir()}
    again = rlsuite.search(RandomSearch(rounds=2, each=3), tmp_path / "run", 1, progress=False)
    assert again == state
    assert stamps == {p: p.stat().st_mtime_ns for p in (tmp_path / "run" / "cells").iterdir()}


def test_an_evolution_strategy_climbs(tmp_path: Path) -> None:
    """The rule's last error is smallest where its target is 0: from 3 the mean moves there."""
    state = rlsuite.search(Evolution(rounds=4), tmp_path / "run", 1, progress=False)
    assert state["mean"] < 0.6 * 3.0
    assert state["scores"][-1] > state["scores"][0]


SCRIPT = """
import sys
from searches import RandomSearch
import rlsuite
state = rlsuite.search(RandomSearch(rounds=3, each=2), sys.argv[1], 1, progress=False)
"""


def test_a_search_that_is_killed_goes_on(tmp_path: Path, toys: dict[str, str]) -> None:
    def start(out: Path) -> subprocess.Popen[bytes]:
        # A cache each: what one search has made the other would find.
        env = {**toys, "RLSUITE_CACHE": str(tmp_path / f"cache of {out.name}")}
        return subprocess.Popen([sys.executable, "-c", SCRIPT, str(out)], env=env)

    assert start(tmp_path / "whole").wait(timeout=200) == 0
    rng, killed = random.Random(0), 0
    for _ in range(5):
        process = start(tmp_path / "killed")
        time.sleep(rng.uniform(0.5, 2.5))
        killed += process.poll() is None
        process.kill()
        assert process.wait() in (0, -signal.SIGKILL)
    assert killed >= 2
    assert start(tmp_path / "killed").wait(timeout=200) == 0
    states = [last_state(tmp_path / name) for name in ("whole", "killed")]
    assert states[0] == states[1]
    assert len(Store(tmp_path / "killed").cells()) == 6


def last_state(folder: Path) -> Any:
    known = {cell.id for cell in Store(folder).cells()}
    (path,) = [p for p in (folder / "cells").glob("*.done") if p.stem not in known]
    return json.dumps(search._read(path))


class Broken:
    """Asks for a run that cannot be made and for one that can."""

    def start(self) -> list[Any]:
        return []

    def ask(self, state: list[Any], /) -> Sequence[Request]:
        if state:
            return []
        settings: list[dict[str, Any]] = [{"fails": True}, {"bad_from": 2}, {}]
        return [Request("toy-rule", ["CartPole-v1"], [0], settings=s) for s in settings]

    def tell(self, state: list[Any], results: Sequence[Sequence[Finished]], /) -> list[Any]:
        return [[run.status, run.last("loss/rule")] for runs in results for run in runs]


def test_runs_that_fail_are_told_as_such(tmp_path: Path) -> None:
    state = rlsuite.search(Broken(), tmp_path / "run", 1, progress=False)
    assert [status for status, _ in state] == ["failed", "nan", "done"]
    assert [value == float("-inf") for _, value in state] == [True, True, False]


class Stuck(Broken):
    """Learns nothing from what it is told."""

    def tell(self, state: list[Any], results: Sequence[Sequence[Finished]], /) -> list[Any]:
        return state


def test_a_search_that_would_never_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="same runs forever"):
        rlsuite.search(Stuck(), tmp_path / "run", 1, progress=False)


def test_another_search_and_a_second_driver_are_refused(tmp_path: Path) -> None:
    one = RandomSearch(rounds=1, each=1)
    rlsuite.search(one, tmp_path / "run", 1, progress=False)
    other = dataclasses.replace(one, seed=1)
    with pytest.raises(UsageError, match="folder of another search"):
        rlsuite.search(other, tmp_path / "run", 1, progress=False)
    code = (
        "import sys, time; from pathlib import Path; from rlsuite.engine.store.claims import "
        "Claims\n"
        "Claims(Path(sys.argv[1])).take(sys.argv[2]); print(flush=True); time.sleep(60)"
    )
    name = search._id(one, one.start())
    command = [sys.executable, "-c", code, str(tmp_path / "run"), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(UsageError, match="another process drives the search"):
            rlsuite.search(one, tmp_path / "run", 1, progress=False)
        holder.kill()


def test_a_population_inside_one_program_is_an_agent_like_any(tmp_path: Path) -> None:
    """Members that copy the best end closer to it; cut into chunks the bits are the same."""

    def worst(period: int, stops: int | None) -> tuple[float, dict[str, np.ndarray]]:
        asked = Request("toy-population", ["CartPole-v1"], [0], settings={"period": period})
        cells = plan([asked])
        program = Program.for_cell(cells[0])
        folder = tmp_path / f"{period} {stops}"
        [(arrays, _)] = drive(cells, program, folder, stops=stops)
        assert program.traces["chunk"] == 1
        return arrays["rows/loss/worst/value"][-1], arrays

    apart, _ = worst(10**6, None)
    copied, whole = worst(10, None)
    # The slowest of them moves a thousandth of the way at a step; a copy is where the best is.
    assert copied < 0.2 * apart
    assert same_bits(whole, worst(10, 2)[1])
    agent = rlsuite.make("toy-student", "CartPole-v1")
    found = rlsuite.make("toy-population", "CartPole-v1")
    [policy] = rlsuite.train(found, seeds=1, total_steps=80, evaluations=0).policies
    result = rlsuite.train(agent, seeds=1, total_steps=40, inputs={"rule": policy})
    assert result.status == ["done"]
