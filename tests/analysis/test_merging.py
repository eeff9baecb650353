"""Several run folders as one: what counts twice, what is kept, what is left to run."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from synthetic import cell, frames, rows
from tiny import tiny_cells

from rlsuite.analysis.load import loading, merging
from rlsuite.cli import main as command_line
from rlsuite.cli.grid import missing, published
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.store.store import Store

META = {"status": "done", "clock": {"train": 1.5}, "provenance": {"commit": "0123456789ab"}}


def run_folder(folder: Path, seeds: range, finished: range, value: float = 0.0) -> Path:
    """A run folder as a grid leaves it: of `seeds`, those in `finished` done at value + seed."""
    store = Store(folder)
    for c in store.prepare(tiny_cells(seeds=seeds.stop)[seeds.start :], ["rlsuite", folder.name]):
        told = {"eval/return": [(0, 0.1, 0.0), (64, 0.2, value + c.seed)]}
        if c.seed in finished:
            store.finish(c.id, {}, told, META)  # pyright: ignore[reportArgumentType]
    return folder


def last(folder: Path) -> dict[int, float]:
    """Each finished seed's last return, read from the tables kept in a folder."""
    kept = merging.load([folder])
    table = kept.rows.filter(pl.col("step") == 64).join(kept.cells, on="cell")
    return dict(zip(table["seed"], table["value"], strict=True))


def test_parts_add_up_and_each_run_counts_once(tmp_path: Path) -> None:
    first = run_folder(tmp_path / "first", range(4), finished=range(2))
    second = run_folder(tmp_path / "second", range(1, 4), finished=range(1, 3), value=10.0)
    both = merging.load([first, second])
    assert both.cells["seed"].to_list() == [0, 1, 2, 3]
    assert both.cells["status"].to_list() == ["done", "done", "done", "pending"]
    values = both.rows.filter(pl.col("step") == 64)["value"]
    # Seed 1 is finished in both: the first folder's counts. Seed 2 is only in the second.
    assert sorted(values) == [0.0, 1.0, 12.0]
    assert both.rows.height == 6


def test_what_is_kept_can_be_added_to_when_the_runs_are_gone(tmp_path: Path) -> None:
    first = run_folder(tmp_path / "first", range(4), finished=range(2))
    (first / "targets.csv").write_text(
        "env,series,value,source\nCartPole-v1,ppo,500.0,here\n", encoding="utf-8"
    )
    into = tmp_path / "kept"
    report = ["report", "--into", str(into), "--tables"]
    assert command_line.main([*report, str(first)]) == 0
    assert last(into) == {0: 0.0, 1: 1.0}

    again = run_folder(tmp_path / "again", range(2, 4), finished=range(2, 4))
    assert command_line.main([*report, str(into), str(again)]) == 0
    assert last(into) == {0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0}
    origin = json.loads((into / "provenance.json").read_text(encoding="utf-8"))
    assert origin["commands"] == ["rlsuite first", "rlsuite again"]
    assert [run["seed"] for run in origin["runs"]] == ["0-3"]
    assert (into / "targets.csv").read_text(encoding="utf-8") == (first / "targets.csv").read_text(
        encoding="utf-8"
    )
    assert "0-3" not in (into / "summary.csv").read_text(encoding="utf-8")
    assert pl.read_csv(into / "summary.csv")["seeds"].to_list() == [4]


def test_published_numbers_go_with_runs_on_their_tasks(tmp_path: Path) -> None:
    grid, beside = tmp_path / "grid.toml", tmp_path / "targets.csv"
    cells = tiny_cells(seeds=1)
    assert published(grid, cells) is None
    beside.write_text("env,series,value,source\nhopper-medium-v2,ppo,50,x\n", encoding="utf-8")
    assert published(grid, cells) is None
    beside.write_text(
        "env,series,value,source\nChess,ppo,50,x\nCartPole-v1,ppo,500,x\n", encoding="utf-8"
    )
    assert published(grid, cells) == beside
    beside.write_text("env,series,value\nCartPole-v1,ppo,500\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no column 'source'"):
        published(grid, cells)


def test_a_grid_leaves_out_what_is_finished_elsewhere(tmp_path: Path) -> None:
    part = run_folder(tmp_path / "part", range(4), finished=range(1, 3))
    cells = tiny_cells(seeds=4)
    assert [c.seed for c in missing(cells, [part])] == [0, 3]
    assert missing(cells, []) == cells
    merging.keep(merging.load([part]), [part], tmp_path)
    assert [c.seed for c in missing(cells, [tmp_path])] == [0, 3]


def test_families_do_not_meet_in_one_table(tmp_path: Path) -> None:
    folders = []
    for family in ("d4rl", "own"):
        told = json.dumps({"dataset_family": family})
        folders.append(tmp_path / family)
        folders[-1].mkdir()
        one = frames([cell(family, env=family + "-set", provenance=told)], rows(family, [1.0]))
        loading.compact(folders[-1], one)
        assert merging.load(folders[-1:]).cells.height == 1
    with pytest.raises(UsageError, match=r"d4rl-set \(d4rl\) and own-set \(own\) cannot share"):
        merging.load(folders)


def test_bad_folders_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="is no run folder"):
        missing(tiny_cells(), [tmp_path])
    loading.compact(tmp_path, frames([cell("a")], rows("a", [1.0])))
    (tmp_path / "rows.parquet").write_bytes(b"no table")
    with pytest.raises(UsageError, match=r"tables in .* are damaged"):
        merging.load([tmp_path])
    assert command_line.main(["report", str(tmp_path), str(tmp_path)]) == 2
    assert "say --into" in capsys.readouterr().err
