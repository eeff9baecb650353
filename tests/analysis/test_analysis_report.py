"""Figures, tables and the page, from stores of every state."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from synthetic import cell, comparison, curve, frames, many_seeds, rows, sweep

from rlsuite.analysis import text
from rlsuite.analysis.figures import catalogue
from rlsuite.analysis.figures.heatmap import field_text, is_log_spaced, tick_labels
from rlsuite.analysis.figures.reference import spread
from rlsuite.analysis.figures.selection import highlighted, some
from rlsuite.analysis.load import targets
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.report import report, tables, terminal
from rlsuite.analysis.stats import scores
from rlsuite.analysis.stats.sweep import grids
from rlsuite.contracts.errors import UsageError


class Page(HTMLParser):
    """Headings, links, images and tables of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = path.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @property
    def sections(self) -> list[str | None]:
        return [attrs.get("id") for tag, attrs in self.tags if tag == "section"]


TARGETS = [
    {"env": "CartPole-v1", "series": "ppo", "value": 487.0, "source": "a paper"},
    {"env": "Pendulum-v1", "series": "trpo", "value": "-200", "source": "b", "step": "300000"},
    {"env": "Absent-v0", "series": "ppo", "value": 1.0, "source": "c"},
]


def test_a_whole_report(tmp_path: Path) -> None:
    path = report.write(comparison(seeds=6, points=9), tmp_path, "Two <agents>", TARGETS)
    page = Page(path)
    assert page.open == []
    assert page.sections == [
        "summary",
        "learning-curves",
        "learning-curves-against-time",
        "final-scores",
        "beside-published-scores",
        "performance-profile",
        "probability-of-improvement",
        "settings",
        "failed-and-nan-seeds",
        "cost",
        "provenance",
    ]
    assert "<h1>Two &lt;agents&gt;</h1>" in page.text
    assert "FloatingPointError: &lt;overflow&gt; &amp; more" in page.text
    assert "3 ok, 1 nan, 1 failed, 1 open" in page.text
    names = {p.name for p in (tmp_path / "figures").iterdir()}
    stems = {"curves_steps", "curves_seconds", "final", "profile"}
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")}
    for svg in (tmp_path / "figures").glob("*.svg"):
        ElementTree.parse(svg)
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8").count("\n") == 37


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = Page(report.write(comparison(seeds=3, points=4), tmp_path, "t"))
    sources = [value for _, attrs in page.tags for k in ("src", "href") if (value := attrs.get(k))]
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    anchors = {f"#{section}" for section in page.sections}
    assert {source for source in sources if source.startswith("#")} == anchors
    assert "@import" not in page.text
    assert "url(" not in page.text


def test_sweep_and_many_seeds_get_their_sections(tmp_path: Path) -> None:
    swept = Page(report.write(sweep(side=3, seeds=2), tmp_path / "a", "sweep"))
    assert "sweep" in swept.sections
    assert (tmp_path / "a" / "figures" / "sweep_0.svg").exists()
    many = Page(report.write(many_seeds(70, 4), tmp_path / "b", "many"))
    assert "return-distribution" in many.sections
    assert "performance-profile" not in many.sections


def failing() -> Frames:
    return frames([cell("a", status="failed", error="boom"), cell("b", status="pending")], [])


def training() -> Frames:
    cells = [cell("a"), cell("b", seed=1, status="running")]
    lines = rows("a", [1, 5, 9.0], metric="train/return")
    return frames(cells, lines + rows("b", [2.0], metric="train/return"))


def all_nan() -> Frames:
    cells = [cell(str(i), seed=i, status="nan") for i in range(3)]
    return frames(cells, [row for i in range(3) for row in rows(str(i), [np.nan, np.nan])])


def all_equal() -> Frames:
    cells = [cell(str(i), seed=i, series=f"s{i % 2}") for i in range(6)]
    return frames(cells, [row for i in range(6) for row in rows(str(i), [500.0, 500.0])])


def no_cost() -> Frames:
    odd = cell("a", seconds=0.0, compile_seconds=0.0, provenance="", error=None)
    return frames([odd], rows("a", [-1000.0]))


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (lambda: frames([], []), "No returns have been recorded yet"),
        (lambda: frames([cell("a")], rows("a", [1.0, 2.0])), "1 cell (1 done)"),
        (failing, "boom"),
        (training, "This store holds no evaluations"),
        (all_nan, "3 nan"),
        (all_equal, "500.0"),
        (no_cost, "No cell has recorded its provenance yet"),
    ],
)
def test_reports_of_odd_stores(store: Callable[[], Frames], said: str, tmp_path: Path) -> None:
    page = Page(report.write(store(), tmp_path, "odd"))
    assert said in page.text
    assert page.open == []


def test_equal_stores_give_equal_pages(tmp_path: Path) -> None:
    first, second = (
        report.write(comparison(seeds=3, points=4), tmp_path / name, "t") for name in "ab"
    )
    assert first.read_bytes() == second.read_bytes()


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot write the report to"):
        report.write(frames([], []), tmp_path / "file" / "report", "t")


def test_scores_are_found_once_for_all_sections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the terminal's table and the page, whose sections all speak of them."""
    store = comparison(seeds=3, points=4)
    assert tables.summary(store) is tables.summary(store, "eval/return")
    assert scores.final(store) is scores.final(store, "eval/return")
    asked: list[tuple[str, object]] = []
    for name in ("_points", "_final", "samples"):
        real = getattr(scores, name)

        def counted(frames: object, *rest: object, name: str = name, real: Any = real) -> object:
            asked.append((name, rest))
            return real(frames, *rest)

        monkeypatch.setattr(scores, name, counted)
    fresh = comparison(seeds=3, points=4)
    tables.summary(fresh)
    report.write(fresh, tmp_path, "t", TARGETS)
    assert sorted(set(asked), key=str) == sorted(asked, key=str)
    assert {name for name, _ in asked} == {"_points", "_final", "samples"}


def test_summary_numbers() -> None:
    cells = [cell(str(i), seed=i, seconds=5.0 * (i + 1)) for i in range(4)]
    cells += [cell("x", seed=4, status="nan"), cell("y", seed=5, status="running")]
    lines = [row for i in range(4) for row in rows(str(i), [0, 10 * i + 1, 10 * i])]
    table = tables.summary(frames(cells, lines + rows("x", [7.0, np.nan])))
    (row,) = table.iter_rows(named=True)
    assert [row[k] for k in ("seeds", "ok", "nan", "failed", "open")] == [6, 4, 1, 0, 1]
    assert (row["iqm_last"], row["mean_last"], row["iqm_best"]) == (15.0, 15.0, 16.0)
    assert row["low"] < 15 < row["high"]
    # 4 x 1000 steps in 5 + 10 + 15 + 20 seconds.
    assert (row["steps"], row["steps_per_second"], row["seconds"]) == (1000, 80.0, 12.5)


def test_rows_of_an_environment_stand_together() -> None:
    names = [("ppo", "b"), ("ppo", "a"), ("dpo", "b"), ("dpo", "a")]
    cells = [cell(s + e, series=s, env=e) for s, e in names]
    found = tables.summary(frames(cells, [])).select("env", "series").rows()
    assert found == [("b", "ppo"), ("b", "dpo"), ("a", "ppo"), ("a", "dpo")]


def test_aggregates_and_comparisons() -> None:
    scored = scores.samples(scores.final(comparison(seeds=8, points=5)))
    table = tables.aggregate(scores.normalise(scored))
    assert table["series"].to_list() == ["ppo", "dpo"]
    assert table["lost"].to_list() == [0, 2]
    assert table["iqm"][0] > table["iqm"][1]
    (pair,) = tables.comparisons(scored).iter_rows(named=True)
    assert (pair["series"], pair["versus"], pair["environments"]) == ("ppo", "dpo", 3)
    assert 0.5 < pair["probability"] <= 1


def test_cost_and_provenance() -> None:
    store = frames([cell("a"), cell("b", status="running", provenance='{"jax": "0.9"}')], [])
    (cost,) = tables.cost(store).iter_rows(named=True)
    assert (cost["compute_seconds"], cost["compile_seconds"], cost["steps"]) == (20, 2, 1000)
    assert cost["steps_per_second"] == 100
    versions = tables.provenance(store).filter(pl.col("field") == "jax").select("value", "cells")
    assert sorted(versions.rows()) == [("0.10.2", 1), ("0.9", 1)]


def test_terminal_table() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(terminal.summary_table(tables.summary(comparison(6, 5)), "final"))
    shown = console.export_text()
    assert "3 ok, 1 nan, 1 failed, 1 open" in shown
    assert "Pendulum-v1" in shown


def test_learning_curve_figure_shows_every_series() -> None:
    from rlsuite.analysis.stats import curves

    store = comparison(seeds=3, points=4)
    published = [targets.parse(row) for row in TARGETS]
    figure = catalogue.learning_curves(curves.against_steps(store), published)
    assert [axes.get_title() for axes in figure.axes] == ["CartPole-v1", "Pendulum-v1", "Hopper-v4"]
    labels = [entry.get_text() for entry in figure.legends[0].get_texts()]
    assert labels == ["ppo (n = 3)", "dpo (n = 3, 2 lost)"]
    notes = [note.get_text() for axes in figure.axes for note in axes.texts]
    assert notes == ["ppo 487", "trpo −200"]


def test_labels_and_legends_stay_inside_the_figure() -> None:
    from rlsuite.analysis.stats import curves

    for store in (comparison(seeds=3, points=4), sweep(side=3, seeds=2)):
        published = [targets.parse(row) for row in TARGETS]
        for figure in (
            catalogue.learning_curves(curves.against_steps(store), published),
            catalogue.interval_dots(scores.samples(scores.final(store))),
        ):
            figure.draw_without_rendering()
            box = figure.get_tightbbox()
            width, height = figure.get_size_inches()
            assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.02
            assert min(axes.get_window_extent().width for axes in figure.axes) > 120


def test_many_series_are_muted_but_the_best() -> None:
    names = [f"s{i}" for i in range(20)]
    looks = highlighted(names, {name: [float(i), -np.inf] for i, name in enumerate(names)})
    assert list(looks) == ["s14", "s15", "s16", "s17", "s18", "s19"]
    assert len({look.colour for look in looks.values()}) == 6
    assert list(highlighted(names[:8], {})) == names[:8]
    assert list(some(range(1000), 150)) == list(range(0, 1000, 7))
    assert list(some([], 5)) == []


def test_rank_ignores_environments_without_a_value() -> None:
    values = {"a": [1.0, np.nan], "b": [2.0, 5.0], "c": [np.nan, 9.0], "d": [np.nan, np.nan]}
    assert list(highlighted(values, values, most=3)) == ["c"]


def test_heat_map_texts() -> None:
    assert tick_labels([1e-4, 3e-4, 1e-3]) == ["1e-4", "3e-4", "1e-3"]
    assert tick_labels([0.9, 0.99, 0.999]) == ["0.9", "0.99", "0.999"]
    assert tick_labels([0, 64, 128]) == ["0", "64", "128"]
    assert tick_labels(["kl", "clip"]) == ["kl", "clip"]
    assert is_log_spaced([1e-4, 3e-4, 1e-3, 3e-3])
    assert not is_log_spaced([1.0, 2.0, 3.0])
    assert not is_log_spaced([0.0, 0.1, 1.0])
    assert not is_log_spaced(["kl", "clip", "dpo"])
    assert field_text(123.4, 200.0, 0) == "123"
    assert field_text(1.234, 2.0, 3) == "1.23\n3 lost"
    assert field_text(float("nan"), 2.0, 2) == "–\n2 lost"


def test_heat_map_of_names_and_numbers() -> None:
    """Names are the rows, in the order of the sweep; a lost run leaves its field empty."""
    fields = [("kl", 0.1, 4.0), ("kl", 0.0, 3.0), ("clip", 0.1, 2.0), ("clip", 0.0, None)]
    scored = pl.DataFrame(
        [
            {
                "agent": "ppo", "env": "e", "status": "done" if last else "nan", "last": last,
                "sweep": json.dumps({"drift": drift, "coef": coef}),
            }
            for drift, coef, last in fields
        ]
    )  # fmt: skip
    (grid,) = grids(scored)
    assert (grid.x, grid.y) == ("coef", "drift")
    assert (grid.x_values, grid.y_values) == ([0.0, 0.1], ["kl", "clip"])
    np.testing.assert_array_equal(grid.iqm, [[3.0, 4.0], [np.nan, 2.0]])
    np.testing.assert_array_equal(grid.lost, [[0, 0], [1, 0]])
    catalogue.heatmap(grid).draw_without_rendering()


def test_labels_are_moved_apart() -> None:
    placed = spread([0.5, 0.51, 0.9], 0.1)
    assert placed == pytest.approx([0.455, 0.555, 0.9])
    assert spread([], 0.1) == []


def test_numbers_as_text() -> None:
    assert text.score(-1234.56) == "-1,235"
    assert (text.score(0.12345), text.score(12.345), text.score(None)) == ("0.123", "12.35", "–")
    assert (text.score(-0.0004), text.score(0.0)) == ("-0.0004", "0.000")
    assert text.interval(450.0, 433.333, 466.666) == "[433.3, 466.7]"
    assert text.interval(1.0, float("nan"), float("nan")) == "–"
    assert (text.duration(9.04), text.duration(250), text.duration(11100)) == (
        "9.0 s",
        "4 min 10 s",
        "3 h 05 min",
    )
    assert text.seeds(16, 0, 0, 0) == "16"


def test_targets_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "targets.csv"
    path.write_text(
        "# from table 1\nenv,series,value,source,note\nHopper-v4,ppo,2850,x,y\n", encoding="utf-8"
    )
    assert targets.read(path) == [targets.Target("Hopper-v4", "ppo", 2850.0, "x")]
    path.write_text("env,serie,value,source\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no column 'series': did you mean 'serie'"):
        targets.read(path)
    with pytest.raises(UsageError, match="cannot read targets"):
        targets.read(tmp_path / "absent.csv")
    with pytest.raises(UsageError, match="value must be a number, not 'high'"):
        targets.parse({"env": "e", "series": "s", "value": "high", "source": "x"})
    with pytest.raises(UsageError, match="a target lacks source"):
        targets.parse({"env": "e", "series": "s", "value": 1.0})


def test_nothing_here_imports_jax_and_the_package_is_light() -> None:
    light = "import sys, rlsuite.analysis; assert not {'polars', 'matplotlib'} & set(sys.modules)"
    heavy = "import sys, rlsuite.analysis.report.report; assert 'jax' not in sys.modules"
    pyplot = (
        "import sys, rlsuite.analysis.report.report; assert 'matplotlib.pyplot' not in sys.modules"
    )
    for code in (light, heavy, pyplot):
        assert subprocess.run([sys.executable, "-c", code]).returncode == 0, code


def test_the_callers_matplotlib_is_left_alone() -> None:
    import matplotlib as mpl

    before = mpl.rcParams["font.size"]
    store = frames([cell("a")], rows("a", curve(np.random.default_rng(0), 0, 1, 5)))
    catalogue.interval_dots(scores.samples(scores.final(store)))
    assert mpl.rcParams["font.size"] == before
