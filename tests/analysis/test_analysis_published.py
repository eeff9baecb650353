"""Published numbers beside ours: which series is meant, and where the number lies."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from synthetic import cell, frames, rows

from rlsuite.analysis.load import loading
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.load.targets import Target
from rlsuite.analysis.report import report
from rlsuite.analysis.stats import published
from rlsuite.cli.main import main as command_line


def store() -> Frames:
    """One series on Pong with four seeds, two on Chess, one of them with one seed."""
    scores = {("Pong", "ppo"): [8, 10, 10, 12], ("Chess", "ppo"): [1, 1], ("Chess", "sac"): [5]}
    cells, lines = [], []
    for (env, series), values in scores.items():
        for seed, value in enumerate(values):
            name = f"{env}-{series}-{seed}"
            cells.append(cell(name, env=env, series=series, seed=seed))
            lines += rows(name, [0.0, float(value)])
    return frames(cells, lines)


def target(
    env: str, series: str, value: float, step: float | None = None, ours: str = ""
) -> Target:
    return Target(env, series, value, "a paper", step, ours)


@pytest.mark.parametrize(
    ("value", "expected"), [(10.5, "inside"), (30.0, "above"), (-3.0, "below")]
)
def test_where_a_published_number_lies(value: float, expected: str) -> None:
    """The only series on a task is meant, whatever the publication called its own."""
    [row] = published.table(store(), [target("Pong", "their PPO", value)]).iter_rows(named=True)
    assert (row["series"], row["published_series"], row["seeds"]) == ("ppo", "their PPO", 4)
    assert row["mean"] == 10.0
    assert 8 <= row["low"] < 10 < row["high"] <= 12
    assert row["published_is"] == expected


def test_of_several_series_the_namesake_is_meant() -> None:
    targets = [target("Chess", "sac", 5), target("Chess", "dqn", 5), target("Go", "ppo", 1)]
    [row] = published.table(store(), targets).iter_rows(named=True)
    assert (row["series"], row["published_is"]) == ("sac", "unknown")


def test_a_published_series_may_name_ours() -> None:
    targets = [target("Chess", "their PPO", 1, ours="ppo"), target("Pong", "x", 1, ours="sac")]
    [row] = published.table(store(), targets).iter_rows(named=True)
    assert (row["series"], row["published_series"]) == ("ppo", "their PPO")


@pytest.mark.parametrize(("step", "compared"), [(None, 1), (1000, 1), (1040, 1), (2000, 0)])
def test_only_scores_of_the_same_budget_are_compared(step: float | None, compared: int) -> None:
    assert published.table(store(), [target("Pong", "ppo", 9, step)]).height == compared


def test_scores_of_larger_budgets_are_not_drawn() -> None:
    at = [target("Pong", "ppo", 9, step) for step in (None, 500, 1040, 2000)]
    elsewhere = target("Go", "ppo", 9, 10**9)
    assert published.in_reach(store(), [*at, elsewhere]) == [*at[:3], elsewhere]


def test_the_report_writes_it_where_something_was_published(tmp_path: Path) -> None:
    given = [target("Pong", "PPO", 10), target("Chess", "their PPO", 7.5, ours="ppo")]
    page = report.write(store(), tmp_path / "with", "With", given).read_text(encoding="utf-8")
    assert "a paper" in (tmp_path / "with" / "published.csv").read_text(encoding="utf-8")
    # Also beside ours in the page's table, under whatever name it was published.
    assert all(shown in page for shown in ("10.00 (PPO)", "7.50 (their PPO)"))
    report.write(store(), tmp_path / "without", "Without")
    assert not (tmp_path / "without" / "published.csv").exists()


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ("eval/return", "train/return", "10.00 (PPO, a training return)<"),
        ("train/return", "eval/return", "10.00 (PPO, an evaluation return)<"),
        ("eval/return", "eval/return", "10.00 (PPO)<"),
        ("eval/return", "", "10.00 (PPO)<"),
    ],
)
def test_the_summary_says_when_a_published_number_is_of_another_kind(
    tmp_path: Path, ours: str, theirs: str, said: str
) -> None:
    """In the words in which the captions say it."""
    told = Target("Pong", "PPO", 10, "a paper", metric=theirs)
    runs = store()
    runs = Frames(runs.rows.with_columns(metric=pl.lit(ours)), runs.cells)
    page = report.write(runs, tmp_path, "t", [told]).read_text(encoding="utf-8")
    assert said in page
    kind = said.partition("PPO")[2].removesuffix(")<")
    assert f"PPO on Pong 10{kind} (a paper)" in page


def test_kinds_of_published_numbers_outlive_the_runs(tmp_path: Path) -> None:
    loading.compact(tmp_path, store())
    heads = "env,series,value,source,metric\n"
    (tmp_path / "targets.csv").write_text(
        f"{heads}Pong,theirs,10,x,train/return\nChess,sac,5,x,eval/return\n", encoding="utf-8"
    )
    tables = []
    for folder, into in (("", "first"), ("first", "second"), ("second", "second")):
        asked = ["report", str(tmp_path / folder), "--into", str(tmp_path / into), "--tables"]
        assert command_line(asked) == 0
        tables.append((tmp_path / into / "published.csv").read_text(encoding="utf-8"))
    assert tables[0] == tables[1] == tables[2]
    kinds = pl.read_csv(tmp_path / "second" / "published.csv")["published_metric"].to_list()
    assert kinds == ["train/return", "eval/return"]
