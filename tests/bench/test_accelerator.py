"""`rlsuite bench accelerator` on a CPU, at toy sizes: the code that runs on a GPU."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from rlsuite.bench import accelerator
from rlsuite.bench.children import run_accelerator
from rlsuite.cli import bench
from rlsuite.contracts.errors import UsageError
from rlsuite.io.machine import Gpus

TOY = {
    "agent": "ppo", "env": "CartPole-v1",
    "settings": {"num_envs": 2, "num_steps": 4, "minibatches": 1, "epochs": 1, "hidden": [4]},
}  # fmt: skip


def test_training_is_timed_at_each_width():
    order = {"widths": [1, 2], "seconds": 0.0, "repeats": 1, **TOY}
    rows = list(run_accelerator.train(order))
    assert [row["width"] for row in rows] == [1, 2]
    assert all(row["finite"] and row["steps_per_second"] > 0 for row in rows)
    assert all(row["steps_per_iteration"] == 8 for row in rows)


def test_bits_are_compared_and_other_seeds_have_others():
    (row,) = run_accelerator.exact({"width": 2, "iterations": 1, "agents": [TOY]})
    assert [row[name] for name in ("repetition", "companions", "slot", "other_seeds_differ")] == [
        *[True] * 4
    ]


def test_a_case_that_fails_says_so_and_the_next_one_runs(tmp_path):
    broken = accelerator.cases(tiny=True)["ceilings"]
    broken = dataclasses.replace(broken, name="broken", order={"kind": "nothing"})
    said, kept = [], []
    whole = accelerator.cases(tiny=True)["ceilings"]
    found = accelerator.measure([broken, whole], 300, said.append, lambda x: kept.append(dict(x)))
    assert found["broken"].failure == "exit 1: KeyError: 'nothing'"
    assert not found["ceilings"].failure
    names = [row["name"] for row in found["ceilings"].rows]
    assert names == ["device", "matmul-default", "matmul-highest", "read-and-write"]
    assert (len(said), list(kept[0])) == (2, ["broken"])
    assert json.dumps({name: vars(x) for name, x in found.items()})
    assert [t.row_count for t in accelerator.table(found, accelerator.cases(True) | {
        "broken": broken})] == [0, 5]  # fmt: skip


def test_what_cannot_begin_in_time_says_so():
    case = accelerator.cases(tiny=True)["ppo"]
    found = accelerator.measure([case], 1, lambda line: None, lambda x: None)
    assert found["ppo"].failure == "not begun: no time left"


def test_lines_of_other_programs_are_no_rows():
    lines = ["3.5", "null", "[1]", '{"event": "ready"}', "a warning", '{"event": "row", "x": 1}']
    assert [accelerator._row(line) for line in lines] == [*[None] * 5, {"x": 1}]


@pytest.mark.parametrize(("argv", "line"), [
    (["accelerator"], "no GPU is here: --tiny runs on a CPU"),
    (["accelerator", "--tiny", "--cases", "pppo"], "no case 'pppo': did you mean 'ppo'"),
    (["ppo", "--tiny"], "bench ppo has no --tiny, it is of bench accelerator"),
])  # fmt: skip
def test_what_it_refuses(argv, line, monkeypatch):
    monkeypatch.setattr(bench, "gpus", lambda: Gpus(why="no GPU is here"))
    with pytest.raises(UsageError, match=re.escape(line)):
        bench.main(argv)


@pytest.mark.slow
def test_a_killed_case_ends_with_the_bits_of_an_undisturbed_one(tmp_path):
    case = accelerator.cases(tiny=True)["resume"]
    # Long enough to be killed after its first checkpoint.
    case = dataclasses.replace(case, order={**case.order, "total_steps": 200_000}, limit=500)
    found = accelerator.measure([case], 500, lambda line: None, lambda x: None)["resume"]
    assert not found.failure
    assert [row.get("resumed") for row in found.rows] == [False, True, None]
    assert found.rows[-1]["same_bits"]
