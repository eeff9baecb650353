"""`rlsuite bench offline`: who runs what, and what is made of their times."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path

import numpy as np
from offline_tools import tiny

from rlsuite.bench import offline, race
from rlsuite.bench.children import serve, walk
from rlsuite.bench.children.run_updates import data_of
from rlsuite.bench.contenders import Contender

FAKE = str(Path(__file__).with_name("fake_child.py"))
WORK = offline.Racing(workers=2, repeats=2)


def test_a_rival_runs_what_it_has_in_both_ways():
    ours, *rivals = race.contenders(WORK, "iql", Path("python"), offline.RIVALS)
    assert [(r.name, r.way, len(r.commands)) for r in rivals] == [
        ("d3rlpy", "documented", 1), ("d3rlpy", "per-core", 2),
    ]  # fmt: skip
    assert "OMP_NUM_THREADS" not in rivals[0].env
    assert rivals[1].env["OMP_NUM_THREADS"] == ours.env["OMP_NUM_THREADS"] == "1"
    orders = [json.loads(command[-1]) for command in ours.commands]
    assert [order["seed"] for order in orders] == [0, 1]
    assert {order["agent"] for order in orders} == {"iql"}
    assert race.contenders(WORK, "odice", Path("python"), offline.RIVALS)[1:] == []


def test_rates_count_all_processes_and_ratios_pair_repeats():
    """A process's rate is 6 or 2, and one more in the next repeat."""
    both = [
        Contender("rlsuite", "per-core", [[sys.executable, FAKE, "6"]] * 2, dict(os.environ)),
        Contender("torch", "documented", [[sys.executable, FAKE, "2"]], dict(os.environ)),
    ]
    said: list[str] = []
    mine, theirs = race.race("td3-bc", both, 2, said.append)
    assert len(said) == 2
    assert (mine.processes, mine.rates, mine.ratio) == (2, [12.0, 14.0], None)
    assert (theirs.processes, theirs.rates) == (1, [2.0, 3.0])
    assert theirs.ratio is not None
    assert (theirs.ratio.low, theirs.ratio.high) == (14 / 3, 6.0)
    assert (
        race.table([mine, theirs], offline.RIVALS, offline.title(WORK), "updates/s").row_count == 2
    )


def test_a_rate_is_what_is_done_in_a_while(monkeypatch):
    """A second a call: after three more than 2.5 s are over."""
    clock = itertools.count()
    monkeypatch.setattr(serve.time, "perf_counter", lambda: float(next(clock)))
    calls: list[None] = []
    assert serve.per_second(lambda: calls.append(None), 5, 2.5)() == 5.0
    assert len(calls) == 3


def test_a_rival_that_dies_is_a_row_without_a_rate():
    fake = [sys.executable, FAKE, "0"]
    dead = [sys.executable, "-c", "import sys; sys.exit('no such thing')"]
    both = [
        Contender("rlsuite", "per-core", [fake], dict(os.environ)),
        Contender("torch", "documented", [dead], dict(os.environ)),
    ]
    _, theirs = race.race("td3-bc", both, 2, lambda _: None)
    assert (theirs.rates, theirs.ratio, theirs.failure) == ([], None, "died: no such thing")


def test_rivals_get_the_same_rows(tmp_path):
    path = tiny(tmp_path)
    with offline.racing(str(path), 1, 2) as work:
        assert (work.rows, work.obs, work.action, work.workers) == (60, 3, 1, 2)
        order = json.loads(work.orders("prdc", "documented")[0])
        steps, ours = walk.steps(order), data_of(order).rows
        assert Path(order["file"]).is_file()
    assert not Path(order["file"]).exists()
    for name, column in {
        "observations": ours.obs, "actions": ours.action, "rewards": ours.reward,
        "terminals": ours.terminated, "next_observations": ours.next_obs,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(steps[name], column)
    np.testing.assert_array_equal(np.flatnonzero(steps["terminals"]), [39])
    np.testing.assert_array_equal(np.flatnonzero(steps["timeouts"]), [19, 59])


def test_the_walk_is_the_same_for_all():
    with offline.racing(None, 1, 1) as work:
        order = json.loads(work.orders("td3-bc", "per-core")[0]) | {"rows": 2500}
    steps, ours = walk.steps(order), data_of(order).rows
    np.testing.assert_array_equal(steps["observations"], ours.obs)
    np.testing.assert_array_equal(steps["next_observations"], ours.next_obs)
    np.testing.assert_array_equal(steps["actions"], ours.action)
    np.testing.assert_array_equal(np.flatnonzero(steps["timeouts"]), [999, 1999])
