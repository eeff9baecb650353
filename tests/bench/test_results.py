"""Numbers and tables from canned measurements."""

import io
import json

import pytest
from rich.console import Console

from rlsuite.bench import simulators, start, table
from rlsuite.bench.results import Outcome, Results, Spread, spread
from rlsuite.bench.workload import Workload
from rlsuite.contracts.errors import UsageError

WORK = Workload(seeds=4, total_steps=8192, repeats=3, workers=2)


def results() -> Results:
    suite = Outcome("rlsuite", "per-core", 2, [1.0, 2.0, 4.0])
    slow = Outcome("rejax", "documented", 1, [4.0, None, 8.0], hangs=1)
    gone = Outcome("purejaxrl", "documented", 1, [None, None, None], failure="hung", hangs=6)
    return Results(WORK, [suite, slow, gone], [8.0, 8.0, 4.0])


def shown(renderable: object) -> str:
    text = io.StringIO()
    Console(file=text, width=160).print(renderable)
    return text.getvalue()


def test_spread_is_least_median_greatest():
    assert spread([3.0, 1.0, 2.0]) == Spread(1.0, 2.0, 3.0)
    assert spread([]) is None


def test_ratios_are_paired_by_repeat():
    found = results()
    assert found.ratio(found.outcomes[1]) == Spread(2.0, 3.0, 4.0)
    assert found.ratio(found.outcomes[2]) is None


def test_rate_per_gflops_uses_its_own_repeat():
    # 32768 steps in 1, 2 and 4 s, at 8, 8 and 4 GFLOP/s.
    assert results().per_gflops() == Spread(2048.0, 2048.0, 4096.0)


def test_flops_of_a_step_by_hand():
    # Forward multiply-adds: 2 torsos of 4x64 + 64x64, heads of 64x2 and 64x1.
    forward = 2 * (4 * 64 + 64 * 64) + 64 * 2 + 64
    assert WORK.flops_per_step() == 2 * (forward + 4 * (3 * forward - 2 * 4 * 64))


def test_seeds_are_divided_and_nobody_starts_without_one():
    assert WORK.shares() == [[0, 2], [1, 3]]
    assert Workload(seeds=1, workers=8).shares() == [[0]]


def test_a_budget_that_is_not_whole_iterations_is_refused():
    with pytest.raises(UsageError, match="2048"):
        Workload(total_steps=3000)


def test_tables_name_verdicts_and_hangs():
    found = results()
    assert ">= 2,000 met" in shown(table.suite_table(found))
    rivals = table.rival_table(found)
    assert ">= 3 met" in shown(rivals)
    assert "6 times" in shown(rivals)
    assert table.rival_table(Results(WORK, found.outcomes[:1], found.gflops)) is None


def test_results_are_plain_json():
    values = json.loads(json.dumps(results().to_mapping()))
    assert values["outcomes"][1]["ratio"] == [2.0, 3.0, 4.0]
    assert values["outcomes"][2]["failure"] == "hung"


def test_start_and_environment_tables():
    assert "<= 20 missed" in shown(start.table(start.Starts(21.0, 3.0, 0.1)))
    rates = {"CartPole-v1": Spread(1.0, 2.0, 3.0)}
    assert "CartPole-v1" in shown(simulators.table(rates, simulators.Stepping()))


def test_a_committed_evaluation_is_found(tmp_path):
    (tmp_path / "cells").mkdir()
    file = tmp_path / "cells" / "x.checkpoint"
    file.write_bytes(b"no rows yet")
    assert not start.committed(tmp_path)
    file.write_bytes(b"header " + start.MARK + b" body")
    assert start.committed(tmp_path)
