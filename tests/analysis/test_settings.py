"""Settings, grid files and titles travel with results."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from synthetic import cell, frames, rows

from rlsuite.analysis.load import loading, merging
from rlsuite.analysis.report import table_sections, tables
from rlsuite.cli.main import main as command_line
from rlsuite.engine.launch import execute, session
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.store.store import Store

GRID = """title = "Two step sizes"
[[run]]
agent = "ppo"
preset = "purejaxrl"
env = "CartPole-v1"
seeds = 2
total_steps = 4096
[run.set]
gamma = 0.98
[run.sweep]
learning_rate = [1e-3, 1e-2]
"""
META = {
    "status": "done", "clock": {"train": 1.0},
    "provenance": {"rlsuite": "0.1.0", "commit": "0123456789ab"},
}  # fmt: skip


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run a grid, every run of which ends at once with its seed as return."""

    def at_once(store: Store, cells: Sequence[Cell], *_: Any) -> execute.Outcome:
        for c in cells:
            told = {"eval/return": [(c.total_steps, 0.2, float(c.seed))]}
            meta = {**META, "cell": c.to_mapping()}
            store.finish(c.id, {}, told, meta)  # pyright: ignore[reportArgumentType]
        return execute.Outcome(len(cells), 0, {}, 0, 0.0)

    monkeypatch.setattr(execute, "execute", at_once)
    monkeypatch.setattr(session, "Workers", lambda *_, **__: None)

    def run(text: str, *options: str) -> Path:
        (tmp_path / "study.toml").write_text(text, encoding="utf-8")
        asked = ["grid", str(tmp_path / "study.toml"), "--out", str(tmp_path / "run")]
        assert command_line([*asked, *options]) == 0
        return tmp_path / "run"

    return run


def titled(folder: Path) -> str:
    """The heading of a folder's page."""
    found = re.search("<h1>(.*)</h1>", (folder / "report.html").read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


def test_settings_and_their_origin_are_kept(grid: Callable[..., Path]) -> None:
    folder = grid(GRID, "--set", "agent.gae-lambda=0.9")
    kept = pl.read_parquet(folder / "cells.parquet")
    assert kept["preset"].unique().to_list() == ["purejaxrl"]
    assert kept["rlsuite"].unique().to_list() == ["0.1.0"]
    assert kept["commit"].unique().to_list() == ["0123456789ab"]
    assert kept["agent.gamma"].to_list() == [0.98] * 4
    assert kept["agent.hidden"].to_list() == [[64, 64]] * 4

    table = tables.settings(merging.load([folder]))
    origins = dict(table.filter(pl.col("shared")).select("setting", "origin").iter_rows())
    assert origins["gamma"] == "file"
    assert origins["gae_lambda"] == "flag"
    assert origins["total_steps"] == "file"
    assert origins["num_envs"] == "preset purejaxrl"
    assert origins["dpo_alpha"] == "default"
    apart = table.filter(~pl.col("shared"))
    assert apart.select("setting", "value", "origin").rows() == [
        ("learning_rate", "0.001", "file"), ("learning_rate", "0.01", "file"),
    ]  # fmt: skip
    assert apart["series"].to_list() == [
        ["ppo, purejaxrl, learning rate 0.001"], ["ppo, purejaxrl, learning rate 0.01"],
    ]  # fmt: skip
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert '<section id="settings">' in page
    assert "<td>gae lambda</td><td>0.9</td><td>flag</td>" in page

    scores = pl.read_csv(folder / "scores.csv")
    assert scores["agent.learning_rate"].to_list() == [1e-3, 1e-3, 1e-2, 1e-2]
    assert not {"agent.gamma", "preset", "variant"} & set(scores.columns)


def test_the_grid_file_lies_beside_its_runs(grid: Callable[..., Path], tmp_path: Path) -> None:
    folder = grid(GRID)
    assert (folder / "grid.toml").read_text(encoding="utf-8") == GRID
    other = GRID.replace("0.98", "0.97")
    for text in (GRID, other, other):
        grid(text)
    assert (folder / "grid_2.toml").read_text(encoding="utf-8") == other
    assert not (folder / "grid_3.toml").exists()
    # Not ours, whatever is in them.
    for name in ("grid_of_mine.toml", "grids.toml", "grid_2_notes.toml", "grid-3.toml"):
        (folder / name).write_text("mine", encoding="utf-8")
    kept = tmp_path / "kept"
    assert command_line(["report", str(folder), "--into", str(kept), "--tables"]) == 0
    assert (kept / "grid.toml").read_text(encoding="utf-8") == GRID
    assert (kept / "grid_2.toml").read_text(encoding="utf-8") == other
    assert {path.name for path in kept.glob("*.toml")} == {"grid.toml", "grid_2.toml"}


def test_a_title_stays(grid: Callable[..., Path], tmp_path: Path) -> None:
    folder = grid(GRID, "--no-report")
    assert command_line(["report", str(folder)]) == 0
    assert titled(folder) == "Two step sizes"
    kept = tmp_path / "kept"
    into = ["report", str(folder), "--into", str(kept), "--tables"]
    assert command_line(into) == 0
    assert titled(kept) == "Two step sizes"
    assert command_line([*into, "--title", "R &amp; D"]) == 0
    assert command_line(["report", str(kept)]) == 0
    assert titled(kept) == "R &amp;amp; D"
    # Before titles were kept they stood in the page alone.
    (kept / "provenance.json").unlink()
    assert command_line(["report", str(kept)]) == 0
    assert titled(kept) == "R &amp;amp; D"
    # A grid whose title was changed has the new one.
    assert titled(grid(GRID.replace("Two", "2"))) == "2 step sizes"


def test_a_title_speaks_of_all_runs_of_a_folder(grid: Callable[..., Path], tmp_path: Path) -> None:
    def train(agent: str, *options: str, out: str = "mine") -> str:
        asked = ["train", agent, "--env", "CartPole-v1", "--total-steps", "4096", *options]
        assert command_line([*asked, "--out", str(tmp_path / out), "--no-report"]) == 0
        return Store(tmp_path / out).title()

    assert train("ppo") == train("ppo", "--seeds", "2") == "ppo on CartPole-v1"
    assert train("ppo", "--agent.gamma", "0.9") == "ppo on CartPole-v1"
    assert train("mdpo") == train("mdpo", "--seeds", "2") == train("ppo", "--seeds", "3") == "mine"
    # What a grid is called says nothing of what was added to it.
    grid(GRID, "--no-report")
    assert train("ppo", out="run") == "run"


def test_tables_without_settings_say_so(tmp_path: Path) -> None:
    loading.compact(tmp_path, frames([cell("a"), cell("b", seed=1)], rows("a", [1.0])))
    loaded = merging.load([tmp_path])
    assert tables.settings(loaded).is_empty()
    section = table_sections.closing_sections(loaded)[0]
    assert section.title == "Settings"
    assert "The settings of ppo were not kept" in section.body


def test_figures_whose_rows_are_gone_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(["report", str(tmp_path)]) == 2
    assert "rows that are gone" not in capsys.readouterr().err
    (tmp_path / "report.html").write_text("figures", encoding="utf-8")
    assert command_line(["report", str(tmp_path)]) == 2
    assert "drawn from rows that are gone, run it again" in capsys.readouterr().err


# Studies whose tables lie beside their pages: one that is lost is named.
KEPT = {
    "mdpo_mujoco", "offline_mujoco", "offline_pendulum", "offline_pendulum_poor", "sac_mujoco",
    "sac_pendulum",
}  # fmt: skip


def test_what_is_kept_under_results_is_read(tmp_path: Path) -> None:
    """Tables of before settings were kept, in this repository."""
    results = Path(__file__).parents[2] / "results"
    paths = sorted(results.glob("*/cells.parquet"))
    assert {path.parent.name for path in paths} >= KEPT
    for path in paths:
        copied = tmp_path / path.parent.name
        copied.mkdir()
        for name in ("cells.parquet", "rows.parquet"):
            shutil.copyfile(path.with_name(name), copied / name)
        cells = merging.load([copied]).cells
        was = pl.read_parquet(path)
        assert cells["cell"].to_list() == was["cell"].to_list()
        assert cells["series"].to_list() == was["series"].to_list(), path
