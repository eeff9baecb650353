"""Scores of runs on datasets: the normalised scale, the last ten, what choosing online costs."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from synthetic import CELL_SCHEMA, PROVENANCE, ROW_SCHEMA, cell, rows

from rlsuite.analysis.figures import online
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.report import report, tables
from rlsuite.analysis.stats import scores

SCORES = {"a0": [0.0, 20.0], "a1": [0.0, 40.0], "b0": [0.0, 10.0], "b1": [0.0, 90.0]}
UPDATES = json.dumps({**PROVENANCE, "budget_unit": "updates"})


def frames(normalised: tuple[str, ...] = tuple(SCORES)) -> Frames:
    """Two series of two seeds; returns are ten times the scores."""
    cells = [
        cell(name, series=name[0], agent=name[0], seed=int(name[1]), provenance=UPDATES)
        for name in SCORES
    ]
    found = []
    for name, values in SCORES.items():
        found += rows(name, 10 * np.array(values), metric="eval/return")
        if name in normalised:
            found += rows(name, values, metric="eval/score")
    return Frames(pl.DataFrame(found, schema=ROW_SCHEMA), pl.DataFrame(cells, schema=CELL_SCHEMA))


def test_scores_are_normalised_where_every_run_has_them() -> None:
    assert scores.return_metric(frames()) == "eval/score"
    assert list(scores.final(frames())["last"]) == [20, 40, 10, 90]
    assert scores.return_metric(frames(("a0", "a1", "b0"))) == "eval/return"
    assert scores.return_metric(frames(())) == "eval/return"


def test_the_tail_is_the_mean_of_the_last_ten() -> None:
    twelve = Frames(
        pl.DataFrame(rows("a0", np.arange(12.0), metric="eval/return"), schema=ROW_SCHEMA),
        pl.DataFrame([cell("a0")], schema=CELL_SCHEMA),
    )
    [row] = scores.final(twelve).iter_rows(named=True)
    assert (row["last"], row["tail"], row["best"]) == (11, np.arange(2.0, 12.0).mean(), 11)
    assert tables.summary(twelve)["mean_tail"].item() == 6.5


def test_the_expected_best_is_that_of_all_draws() -> None:
    values = [3.0, -1.0, 7.0, 7.0]
    for k in (1, 2, 3):
        every = [max(drawn) for drawn in itertools.product(values, repeat=k)]
        assert online.expected_best(values, [k])[0] == pytest.approx(np.mean(every))
    assert online.expected_best(values, [500])[0] == pytest.approx(7.0)


def test_a_lost_run_is_the_worst_policy() -> None:
    assert online.expected_best([2.0, np.nan, 4.0], [1])[0] == pytest.approx(8 / 3)


def test_series_stand_alone_and_sweeps_are_pooled() -> None:
    found = online.table(frames())
    assert found.filter(pl.col("k") == 1)["expected"].to_list() == [30.0, 50.0]
    assert found.filter(pl.col("k") == 2)["expected"].to_list() == [35.0, 70.0]
    swept = frames()
    cells = swept.cells.with_columns(
        sweep=pl.lit('{"agent.alpha": 1}'), agent=pl.lit("c"), series=pl.col("cell")
    )
    pooled = online.table(Frames(swept.rows, cells))
    assert pooled["policies"].unique().to_list() == [4]
    assert pooled["expected"][0] == 40.0


def test_only_points_of_one_sweep_are_pooled() -> None:
    """Not other labels, other settings that were not swept, nor a series that has the name."""
    points = {
        # series, label's sweep and what is scored
        "a": ("ppo, alpha 1", '{"alpha": 1}', "one", 1.0),
        "b": ("ppo, alpha 2", '{"alpha": 2}', "one", 2.0),
        "c": ("mine, alpha 1", '{"alpha": 1}', "two", 10.0),
        "d": ("mine, alpha 2", '{"alpha": 2}', "two", 20.0),
        "e": ("ppo", "{}", None, 100.0),
        "f": ("mine, alpha 3 (2)", '{"alpha": 3}', "three", 1000.0),
        "g": ("mine, alpha 4", '{"alpha": 4}', "four", 3000.0),
        "h": ("mine, alpha 5", '{"alpha": 5}', "four", 4000.0),
    }
    cells = [
        cell(name, series=series, sweep=swept) for name, (series, swept, _, _) in points.items()
    ]
    lines = [row for name, (*_, score) in points.items() for row in rows(name, [score])]
    groups = pl.Series("sweep_group", [group for _, _, group, _ in points.values()])
    table = pl.DataFrame(cells, schema=CELL_SCHEMA).with_columns(groups)
    found = online.table(Frames(pl.DataFrame(lines, schema=ROW_SCHEMA), table))
    first = found.filter(pl.col("k") == 1).select("agent", "policies", "expected", "pooled")
    assert first.rows() == [
        ("ppo, swept", 2, 1.5, True), ("mine", 2, 15.0, True), ("ppo", 1, 100.0, False),
        ("mine, alpha 3 (2)", 1, 1000.0, False), ("mine (2)", 2, 3500.0, True),
    ]  # fmt: skip


def test_the_report_shows_it_for_datasets_only(tmp_path: Path) -> None:
    page = report.write(frames(), tmp_path / "offline", "Offline").read_text(encoding="utf-8")
    assert "Choosing a policy online" in page
    assert "references are 0 and 100" in page
    assert (tmp_path / "offline" / "figures" / "online_cost.svg").exists()
    assert pl.read_csv(tmp_path / "offline" / "online_cost.csv").height == 4
    acted = frames()
    cells = acted.cells.with_columns(provenance=pl.lit(json.dumps(PROVENANCE)))
    page = report.write(Frames(acted.rows, cells), tmp_path / "online", "Online").read_text(
        encoding="utf-8"
    )
    assert "Choosing a policy online" not in page
    assert not (tmp_path / "online" / "online_cost.csv").exists()
