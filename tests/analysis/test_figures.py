"""Figures as a reader sees them: one colour a series, readable in a column, nothing left over."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from synthetic import cell, curve, frames, rows, sweep

from rlsuite.analysis.figures import catalogue, style, training
from rlsuite.analysis.figures.distribution import with_many_seeds
from rlsuite.analysis.figures.heatmap import best_fields, is_log_spaced
from rlsuite.analysis.figures.selection import highlighted, of_page, ranked
from rlsuite.analysis.figures.training import metric_name, recorded
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.load.targets import Target
from rlsuite.analysis.report import (
    drawings,
    figure_sections,
    report,
    table_sections,
    tables,
    terminal,
)
from rlsuite.analysis.stats import curves, published, scores
from rlsuite.analysis.stats import sweep as sweeps

NARROW = 400
METRICS = ("loss/policy", "loss/value", "policy/entropy", "policy/kl", "value/q", "train/return")


def many() -> Frames:
    """Nine full series and a tenth with one brilliant seed, on two environments; everything that
    an agent may record."""
    rng = np.random.default_rng(0)
    cells, lines = [], []
    for index in range(10):
        for env in ("Pong", "Chess") if index != 3 else ("Pong",):
            for seed in range(1 if index == 9 else 2):
                name = f"s{index} {env} {seed}"
                steps = np.linspace(0, 1000, 5).astype(int)
                height = 1000.0 if index == 9 else 10.0 * ((index * 7) % 10) + seed
                lines += rows(name, curve(rng, 0, height, 5), steps=steps)
                for metric in METRICS:
                    values = 10.0 ** -np.linspace(0, 4, 5) * (1 + index)
                    lines += rows(name, values, metric=metric, steps=steps)
                cells.append(cell(name, series=f"series {index}", env=env, seed=seed))
    return frames(cells, lines)


def one_setting(values: Sequence[object], name: str = "learning_rate", seeds: int = 3) -> Frames:
    """A sweep of one setting."""
    rng = np.random.default_rng(1)
    cells, lines = [], []
    for place, value in enumerate(values):
        for seed in range(seeds):
            run = f"{value} {seed}"
            lines += rows(run, curve(rng, 0, 10 + place, 4))
            swept = json.dumps({name: value})
            cells.append(cell(run, series=f"ppo {name}={value}", seed=seed, sweep=swept))
    return frames(cells, lines)


Drawn = dict[str, Figure]


def lay_out(figure: Figure, folder: Path, name: str) -> Path:
    """In place of `style.save`, which takes longer: everything is where it will be printed."""
    figure.draw_without_rendering()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_text(name, encoding="utf-8")
    (folder / f"{name}.svg").write_text(f"<svg>{name}</svg>", encoding="utf-8")
    return folder / f"{name}.svg"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that read the page's words."""
    monkeypatch.setattr(catalogue, "save", lay_out)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Drawn, str]:
    """Every figure of the pages of three stores, by store and name, and the first page's text."""
    found: Drawn = {}
    prefix = ""
    with pytest.MonkeyPatch.context() as patch:

        def save(figure: Figure, folder: Path, name: str) -> Path:
            found[f"{prefix}/{name}"] = figure
            return lay_out(figure, folder, name)

        patch.setattr(catalogue, "save", save)
        patch.setattr(figure_sections, "with_many_seeds", lambda s: with_many_seeds(s, 2))
        text = ""
        targets = [
            Target(
                "Pong", "A long name of theirs", 55.0, "a paper", 1000, "series 1", "eval/return"
            ),
            Target("Pong", "Other", 54.0, "b", 1000, "series 1", "train/return"),
            Target("Pong", "Third", 20.0, "b", None, "series 2"),
            Target("Chess", "Early", 30.0, "b", 300),
        ]
        stores: list[tuple[str, Frames, list[Target]]] = [
            ("many", many(), targets),
            ("two", sweep(side=3, seeds=2), []),
            ("one", one_setting([1e-4, 3e-4, 1e-3, 3e-3]), []),
        ]
        for prefix, store, given in stores:
            path = report.write(store, tmp_path_factory.mktemp(prefix), prefix, given)
            text = text or path.read_text(encoding="utf-8")
    return found, text


def texts(figure: Figure) -> list[Text]:
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]  # pyright: ignore


def test_everything_is_drawn(drawn: tuple[Drawn, str]) -> None:
    assert {name for name in drawn[0] if name.startswith("many")} == {
        "many/curves_steps", "many/curves_seconds", "many/final", "many/profile",
        "many/distribution", "many/training_Pong", "many/training_Chess",
    }  # fmt: skip
    assert {"two/sweep_0", "one/sensitivity_0"} <= set(drawn[0])


def test_type_is_readable_in_a_narrow_column(drawn: tuple[Drawn, str]) -> None:
    """Shown 400 pixels wide no letter is set below nine pixels, powers and offsets included."""
    for name, figure in drawn[0].items():
        width = figure.get_size_inches()[0]
        assert width == pytest.approx(style.WIDTH), name
        for text in texts(figure):
            # Powers in mathematical type are set smaller than the rest.
            assert "^" not in text.get_text(), name
            assert float(text.get_fontsize()) / 72 * NARROW / width >= 9, (name, text.get_text())


def test_panels_stand_in_one_column(drawn: tuple[Drawn, str]) -> None:
    for name, figure in drawn[0].items():
        panels = [axes.get_position() for axes in figure.axes if axes.get_label() != "<colorbar>"]
        assert len({round(box.x0, 3) for box in panels}) == 1, name
        tops = [box.y1 for box in panels]
        assert tops == sorted(tops, reverse=True), name


def test_nothing_sticks_out(drawn: tuple[Drawn, str]) -> None:
    for name, figure in drawn[0].items():
        box = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.06, name


def entries(figure: Figure) -> dict[str, str]:
    """What legends name, and in which colour."""
    out = {}
    for legend in figure.legends:
        for line, text in zip(legend.get_lines(), legend.get_texts(), strict=True):
            out[text.get_text().replace("\n", " ").partition(" (")[0]] = to_hex(line.get_color())
    return out


def colours(axes: Axes) -> set[str]:
    lines = [line for line in axes.get_lines() if np.isfinite(line.get_ydata()).any()]  # pyright: ignore
    muted = [to_hex(c) for found in axes.collections for c in found.get_edgecolor()]  # pyright: ignore
    return {*(to_hex(line.get_color()) for line in lines), *muted}


def test_a_series_has_one_colour_on_the_page_and_each_entry_a_line(
    drawn: tuple[Drawn, str],
) -> None:
    expected: dict[str, str] = {}
    for name in (name for name in drawn[0] if name.startswith("many")):
        figure = drawn[0][name]
        lines = set.union(*(colours(axes) for axes in figure.axes))
        for series, colour in entries(figure).items():
            assert colour in lines, (name, series)
            if series.startswith("series"):
                assert expected.setdefault(series, colour) == colour, (name, series)
    # Dots have no legend: their names stand at the axis.
    for axes in drawn[0]["many/final"].axes:
        ticks = dict(zip(axes.get_yticks(), axes.get_yticklabels(), strict=True))
        for line in (line for line in axes.get_lines() if line.get_marker() == "o"):
            series = ticks[line.get_ydata()[0]].get_text()  # pyright: ignore
            if series in expected:
                assert to_hex(line.get_color()) == expected[series]
    assert len(expected) == len(set(expected.values())) == 6
    # In the order given, not by score.
    palette = [colour.lower() for colour in style.COLOURS]
    places = [palette.index(expected[series]) for series in sorted(expected)]
    assert places == sorted(places)


def test_a_single_brilliant_seed_pushes_nobody_out(drawn: tuple[Drawn, str]) -> None:
    assert "series 9" not in entries(drawn[0]["many/curves_steps"])
    assert "4 others" in entries(drawn[0]["many/curves_steps"])
    # On one environment of two: less stands behind it.
    assert "series 3" not in entries(drawn[0]["many/curves_steps"])
    assert "of these the best by mean rank" in drawn[1]


def test_a_legend_names_only_what_a_figure_has() -> None:
    store = many()
    looks = of_page(scores.final(store))
    here = [c for c in curves.against_steps(store) if c.series in ("series 8", "series 9")]
    named = entries(catalogue.learning_curves(here, looks=looks))
    assert list(named) == ["series 8", "1 other"]
    nobody = catalogue.learning_curves([c for c in here if c.series == "series 9"], looks=looks)
    assert list(entries(nobody)) == ["1 other"]


def test_a_newcomer_does_not_change_the_colours_before_it() -> None:
    assert list(highlighted("abcd", {})) == list("abcd")
    first, more = highlighted("abc", {}), highlighted("abcd", {})
    assert {name: more[name] for name in first} == first


# --- ranks -----------------------------------------------------------------------------------


def test_ranks_are_those_of_averaged_ties() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        table = rng.integers(0, 3, (12, 3)).astype(float)
        names = [f"s{i}" for i in range(12)]
        ranks = scipy.stats.rankdata(-table, method="average", axis=0).mean(axis=1)
        expected = [names[i] for i in np.argsort(ranks, kind="stable")]
        assert ranked(dict(zip(names, table.tolist(), strict=True))) == expected


def test_where_all_tie_the_other_environment_decides_whatever_the_order() -> None:
    values = {f"s{i}": [1.0, float(i)] for i in range(12)}
    backwards = dict(reversed(values.items()))
    assert ranked(values)[:6] == ranked(backwards)[:6] == [f"s{i}" for i in range(11, 5, -1)]


def test_means_of_equal_scores_tie_however_many_were_averaged() -> None:
    """0.1 three times and ten times have means that differ in their last digit."""
    nearly = [float(np.mean([0.1] * n)) for n in (3, 10, 7)]
    assert len(set(nearly)) > 1
    values = {f"s{n}": [x, -float(n)] for n, x in enumerate(nearly)}
    assert ranked(values) == ["s0", "s1", "s2"]


def test_fuller_series_come_first_and_empty_ones_last() -> None:
    values = {"one": [9.0], "two": [1.0], "none": [np.nan], "both": [2.0]}
    full = {"one": (1.0, 1.0), "two": (3.0, 1.0), "both": (3.0, 1.0), "none": (5.0, 1.0)}
    assert ranked(values, full) == ["both", "two", "one", "none"]


def test_lost_seeds_count_as_seeds() -> None:
    """A series that lost half of its seeds is not pushed out for it."""
    cells, lines = [], []
    for index in range(9):
        for seed in range(2):
            name = f"{index} {seed}"
            lost = index == 0 and seed == 1
            cells.append(
                cell(name, series=f"s{index}", seed=seed, status="nan" if lost else "done")
            )
            lines += rows(name, [0.0, 100.0 - index])
    assert "s0" in of_page(scores.final(frames(cells, lines)))


def test_histograms_of_many_seeds_show_the_best_not_the_first() -> None:
    samples = {f"s{i}": {"e": np.full(3, float(i))} for i in range(6)}
    assert list(with_many_seeds(samples, 3)["e"]) == ["s2", "s3", "s4", "s5"]


# --- sweeps ----------------------------------------------------------------------------------


def scored(store: Frames) -> pl.DataFrame:
    return scores.final(store)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1e-4, 3e-4, 1e-3, 3e-3], "log"),
        ([16, 32, 64], "log"),
        ([1, 5, 10, 20], "log"),
        ([0.0, 0.001, 0.01, 0.1], "symlog"),
        ([0.9, 0.95, 0.99], "linear"),
        ([1, 2, 3, 4], "linear"),
        ([-1.0, 1.0, 10.0], "linear"),
        (["clip", "kl"], "linear"),
        ([[64], [64, 64]], "linear"),
        ([True, False], "linear"),
    ],
)
def test_a_sweep_of_one_setting(values: list[object], scale: str) -> None:
    (line,) = sweeps.lines(scored(one_setting(values)))
    assert (line.family, line.setting, len(line.values)) == ("ppo", "learning_rate", len(values))
    assert [estimate.n for estimate in line.estimates] == [3] * len(values)
    figure = catalogue.sensitivity([line])
    (axes,) = figure.axes
    assert axes.get_xscale() == scale
    assert len(axes.get_xticks()) == len(values)
    assert axes.get_xlabel() == "learning rate"
    # A point at each value, and its interval.
    points = [line for line in axes.get_lines() if line.get_marker() == "o"]
    bars = [line for line in axes.get_lines() if line.get_linewidth() == 3.0]
    assert len(points) == len(bars) == len(values)
    figure.draw_without_rendering()


def test_points_stand_at_the_values_in_order() -> None:
    (line,) = sweeps.lines(scored(one_setting([0.1, 0.001, 0.01])))
    assert line.values == [0.001, 0.01, 0.1]
    assert line.series == [f"ppo learning_rate={v}" for v in line.values]
    assert line.estimates[2].value < line.estimates[0].value < line.estimates[1].value


def test_lost_seeds_are_said_and_not_averaged() -> None:
    store = one_setting([1, 2])
    status = pl.when((pl.col("seed") == 0) & (pl.col("series") == "ppo learning_rate=2"))
    cells = store.cells.with_columns(status=status.then(pl.lit("nan")).otherwise(pl.lit("done")))
    (line,) = sweeps.lines(scored(Frames(store.rows, cells)))
    assert [(e.n, e.n_nan) for e in line.estimates] == [(3, 0), (2, 1)]
    assert "1 lost" in {text.get_text() for text in texts(catalogue.sensitivity([line]))}


def test_two_families_of_one_agent_are_not_pooled() -> None:
    parts = []
    for label in ("small", "large"):
        store = one_setting([1, 2])
        renamed = pl.col("series").str.replace("ppo", label)
        cells = store.cells.with_columns(series=renamed, cell=label + pl.col("cell"))
        parts.append((store.rows.with_columns(cell=label + pl.col("cell")), cells))
    store = Frames(*(pl.concat(tables) for tables in zip(*parts, strict=True)))
    found = sweeps.lines(scored(store))
    assert [line.family for line in found] == ["small", "large"]
    assert {e.n for line in found for e in line.estimates} == {3}
    assert list(entries(catalogue.sensitivity(found))) == ["small", "large"]


def test_names_in_words_are_understood_too() -> None:
    cells = [
        cell(str(rate), series=f"PPO, fast, learning rate {rate}, 500 steps",
             sweep=json.dumps({"learning_rate": rate}))
        for rate in (0.1, 0.2)
    ]  # fmt: skip
    (line,) = sweeps.lines(scored(frames(cells, rows("0.1", [1.0]) + rows("0.2", [2.0]))))
    assert line.family == "PPO, fast, 500 steps"


def test_settings_varied_side_by_side_are_one_axis() -> None:
    cells = [
        cell(str(n), series=f"ppo num_envs={n} num_steps={512 // n}",
             sweep=json.dumps({"num_envs": n, "num_steps": 512 // n}))
        for n in (4, 8)
    ]  # fmt: skip
    table = scored(frames(cells, rows("4", [1.0]) + rows("8", [2.0])))
    (line,) = sweeps.lines(table)
    assert (line.setting, line.values) == ("num_envs and num_steps", ["4, 128", "8, 64"])
    assert sweeps.grids(table) == []


def test_a_sweep_of_two_is_a_grid_and_no_line() -> None:
    table = scored(sweep(side=3, seeds=2))
    assert sweeps.lines(table) == []
    assert len(sweeps.grids(table)) == 1


def points(*swept: dict[str, Any]) -> Frames:
    """A sweep's points, of two seeds each; what each scores is its place."""
    cells, lines = [], []
    for place, values in enumerate(swept):
        said = " ".join(f"{name}={value}" for name, value in values.items())
        for seed in range(2):
            run = f"{place} {seed}"
            told = {"series": f"ppo {said}", "seed": seed, "sweep": json.dumps(values)}
            cells.append(cell(run, **told))
            lines += rows(run, [0.0, float(place)])
    return frames(cells, lines)


@pytest.mark.parametrize("default_was_run", [True, False])
def test_settings_varied_one_at_a_time_are_a_line_each(default_was_run: bool) -> None:
    store = points(
        *([{"a": 2, "b": 0.5, "c": "x"}] if default_was_run else []),
        *({"a": a, "b": 0.5, "c": "x"} for a in (1, 3)),
        *({"a": 2, "b": b, "c": "x"} for b in (0.1, 0.9)),
        *({"a": 2, "b": 0.5, "c": c} for c in "yz"),
    )
    table = scored(store)
    assert sweeps.grids(table) == []
    found = {line.setting: line for line in sweeps.lines(table)}
    default = ["2", "0.5", "x"] if default_was_run else []
    expected = {"a": [1, 3, 2], "b": [0.1, 0.9, 0.5], "c": ["y", "z", "x"]}
    for place, (name, values) in enumerate(expected.items()):
        drawn = values if default_was_run else values[:2]
        assert set(found[name].values) == set(drawn)
        assert [estimate.n for estimate in found[name].estimates] == [2] * len(drawn)
        own = [s for s in found[name].series if f"{name}={default[place]}" in s] if default else []
        # The default's point is the same in each.
        assert own == (["ppo a=2 b=0.5 c=x"] if default else [])
    assert len(found) == 3


def test_a_setting_varied_beside_a_grid_has_a_line_and_is_not_pooled_into_it() -> None:
    both = [{"a": a, "b": b, "c": 0} for a in (1, 2) for b in (1, 2, 3)]
    table = scored(points(*both, {"a": 1, "b": 1, "c": 5}, {"a": 1, "b": 1, "c": 7}))
    (grid,) = sweeps.grids(table)
    assert ({grid.x, grid.y}, grid.pooled) == ({"a", "b"}, ())
    assert (grid.n == 2).all()
    (line,) = sweeps.lines(table)
    assert (line.setting, line.values) == ("c", [0, 5, 7])
    # Side by side, and another by itself.
    pairs = [{"n": n, "m": 8 // n, "c": 0} for n in (2, 4)]
    table = scored(points(*pairs, {**pairs[0], "c": 5}, {**pairs[0], "c": 7}))
    assert sweeps.settings_of_lines(table) == ["m and n", "c"]
    assert [line.setting for line in sweeps.lines(table, ["c"])] == ["c"]


def test_a_whole_product_is_pooled_over_what_a_grid_does_not_show() -> None:
    table = scored(
        points(*({"a": a, "b": b, "c": c} for a in (1, 2) for b in (1, 2) for c in "xy"))
    )
    assert sweeps.lines(table) == []
    grids = {(grid.x, grid.y): grid for grid in sweeps.grids(table)}
    assert set(grids) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert grids["a", "b"].pooled == ("c",)
    assert all((grid.n == 4).all() for grid in grids.values())


@pytest.mark.usefixtures("quick")
def test_only_the_sweeps_that_are_drawn_are_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"s{i:02}" for i in range(15)]
    default = dict.fromkeys(names, 0)
    store = points(default, *({**default, name: v} for name in names for v in (1, 2)))
    asked: list[str] = []
    real = sweeps._line

    def noted(family: str, env: str, varied: list[str], cells: pl.DataFrame) -> sweeps.Line:
        asked.extend(varied)
        return real(family, env, varied, cells)

    monkeypatch.setattr(sweeps, "_line", noted)
    page = report.write(store, tmp_path, "t").read_text(encoding="utf-8")
    assert asked == names[:12]
    assert "12 are drawn, 3 are left out." in page


def test_fields_that_tie_for_the_best_are_all_the_best() -> None:
    (grid,) = sweeps.grids(scored(sweep(side=3, seeds=2)))
    grid.iqm[:] = [[1.0, 2.0, 2.0], [2.0, 0.0, np.nan], [1.0, 1.0, 1.0]]
    assert best_fields(grid) == [(0, 1), (0, 2), (1, 0)]
    grid.iqm[:] = 1.0
    assert best_fields(grid) == []


def test_what_is_log_spaced() -> None:
    assert is_log_spaced([16, 32, 64])
    assert is_log_spaced([1, 5, 10, 20])
    assert is_log_spaced([1e-4, 1e-3])
    assert not is_log_spaced([2, 4])
    assert not is_log_spaced([1, 2, 3, 4, 5])


# --- training --------------------------------------------------------------------------------


def test_what_was_recorded_while_learning_is_drawn(drawn: tuple[Drawn, str]) -> None:
    titles = [axes.get_title() for axes in drawn[0]["many/training_Pong"].axes]
    assert titles == [
        "Pong: policy loss", "Value loss", "Policy: entropy", "Policy: KL", "Value: Q",
        "Training return",
    ]  # fmt: skip
    # From 1 to 0.0001: no linear axis shows that.
    assert drawn[0]["many/training_Pong"].axes[0].get_yscale() == "log"
    assert "Training returns are those of the policy as it explores" in drawn[1]


@pytest.mark.usefixtures("quick")
def test_metrics_that_are_not_drawn_are_not_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"loss/{i:02}" for i in range(training.MOST + 3)]
    lines = [row for name in names for row in rows("a", [1.0, 2.0], metric=name)]
    lines += rows("a", [np.nan], metric="loss/0") + rows("a", [1.0, 2.0])
    asked: list[str | None] = []
    real = curves.against_steps

    def noted(store: Frames, metric: str | None = None) -> list[curves.Curve]:
        asked.append(metric)
        return real(store, metric)

    monkeypatch.setattr(curves, "against_steps", noted)
    page = report.write(frames([cell("a")], lines), tmp_path, "t").read_text(encoding="utf-8")
    # One of them has no number to draw.
    assert [name for name in asked if name] == ["loss/0", *names[: training.MOST]]
    assert f"Recorded too and not drawn: {', '.join(names[training.MOST :])}." in page
    assert f"CartPole-v1: {', '.join(names[: training.MOST])}." in page


def test_metrics_of_agents_to_come_are_drawn_too() -> None:
    store = frames([cell("a")], rows("a", [1.0], metric="rule/temper") + rows("a", [1.0]))
    assert recorded(store) == ["rule/temper"]
    assert metric_name("rule/temper") == "Rule: temper"
    assert metric_name("loss/vae") == "VAE loss"


@pytest.mark.usefixtures("quick")
def test_training_returns_alone_are_no_section(tmp_path: Path) -> None:
    store = frames([cell("a")], rows("a", [1.0]) + rows("a", [2.0], metric="train/return"))
    assert "During training" not in report.write(store, tmp_path, "t").read_text(encoding="utf-8")


def test_files_of_tasks_have_names_of_their_own() -> None:
    names = figure_sections.file_names(["D4RL/pen/x", "D4RL-pen-x", "d4rl:pen:x", "mujoco:Ant-v4"])
    assert names["mujoco:Ant-v4"] == "mujoco-Ant-v4"
    assert len({name.lower() for name in names.values()}) == 4
    assert not any("/" in name or ":" in name for name in names.values())


# --- published scores --------------------------------------------------------------------------


def labels_at_markers(axes: Axes) -> dict[str, Annotation]:
    found = [text for text in axes.texts if isinstance(text, Annotation)]
    return {note.get_text().replace("\n", " "): note for note in found}


def test_each_published_marker_has_its_own_label(drawn: tuple[Drawn, str]) -> None:
    pong, chess = drawn[0]["many/curves_steps"].axes
    notes = labels_at_markers(pong)
    assert set(notes) == {
        "A long name of theirs 55", "Other 54 (training return)", "Third 20",
    }  # fmt: skip
    # Each is tied to its own marker, and none covers another.
    assert [notes[text].xy[1] for text in notes] == [55, 54, 20]
    # In the colour of the series that it is set beside.
    edges = {m.get_ydata()[0]: m.get_mec() for m in pong.get_lines() if m.get_marker() == "D"}  # pyright: ignore
    named = entries(drawn[0]["many/curves_steps"])
    assert to_hex(edges[55.0]) == named.get("series 1", style.FAINT).lower()
    figure = drawn[0]["many/curves_steps"]
    figure.draw_without_rendering()
    boxes = sorted((Text.get_window_extent(note) for note in notes.values()), key=lambda b: b.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in itertools.pairwise(boxes))
    # A marker early in training has its label there, not at the right edge.
    (early,) = labels_at_markers(chess).values()
    assert 0.3 < early.xyann[0] < 0.5


def test_published_scores_stand_below_their_series_with_their_names(
    drawn: tuple[Drawn, str],
) -> None:
    panel = drawn[0]["many/final"].axes[0]
    diamonds = {line.get_xdata()[0]: line for line in panel.get_lines() if line.get_marker() == "D"}  # pyright: ignore
    named = {text.get_text().replace("\n", " "): text for text in panel.texts}
    assert set(diamonds) == {55.0, 54.0, 20.0}
    for value, label in ((55.0, "A long name of theirs 55"), (20.0, "Third 20")):
        assert abs(named[label].get_position()[1] - diamonds[value].get_ydata()[0]) < 0.1  # pyright: ignore
    assert "Other 54 (training return)" in named


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2383.0, "CleanRL's 2,383 lies inside our interval [2,000, 2,500] of 2 seeds"),
        (9000.0, "CleanRL's 9,000 lies above our interval [2,000, 2,500] of 2 seeds"),
        (10.0, "CleanRL's 10.00 lies below our interval [2,000, 2,500] of 2 seeds"),
    ],
)
def test_the_verdict_in_words(value: float, said: str) -> None:
    cells = [cell("a"), cell("b", seed=1)]
    store = frames(cells, rows("a", [0.0, 2000.0]) + rows("b", [0.0, 2500.0]))
    target = Target("CartPole-v1", "CleanRL", value, "a page", metric="eval/return")
    (row,) = published.table(store, [target]).iter_rows(named=True)
    assert row["verdict"] == said


def test_a_verdict_says_when_kinds_of_return_differ_and_when_there_is_no_interval() -> None:
    store = frames([cell("a")], rows("a", [0.0, 5.0]))
    target = Target("CartPole-v1", "PPO (paper)", 7.0, "x", metric="train/return")
    (row,) = published.table(store, [target]).iter_rows(named=True)
    assert row["verdict"] == (
        "7.00 of PPO (paper) stands beside our 5.00 of 1 seed, without an interval; "
        "theirs is a training return, ours an evaluation return"
    )


@pytest.mark.usefixtures("quick")
def test_what_is_not_known_of_a_published_score_is_said(tmp_path: Path) -> None:
    store = frames([cell("a"), cell("b", seed=1)], rows("a", [1.0]) + rows("b", [2.0]))
    silent = Target("CartPole-v1", "ppo", 1.5, "x")
    page = report.write(store, tmp_path, "t", [silent]).read_text(encoding="utf-8")
    verdict = "ppo's 1.50 lies inside our interval [1.00, 2.00] of 2 seeds"
    assert verdict.replace("'", "&#x27;") in page
    assert verdict in (tmp_path / "published.csv").read_text(encoding="utf-8")
    assert "It is not recorded whether these are training or evaluation returns: ppo" in page


@pytest.mark.usefixtures("quick")
def test_training_returns_are_not_drawn_beside_evaluations(tmp_path: Path) -> None:
    cells = [cell("a"), cell("b", series="no evaluations")]
    lines = rows("a", [1.0, 2.0]) + rows("b", [3.0, 4.0], metric="train/return")
    page = report.write(frames(cells, lines), tmp_path, "t").read_text(encoding="utf-8")
    assert "Not drawn, since no evaluation return was recorded" in page
    assert "set beside it: no evaluations (1 run)" in page


def test_where_only_training_returns_were_recorded_every_figure_says_so(tmp_path: Path) -> None:
    store = sweep(side=2, seeds=2)
    training = store.rows.with_columns(metric=pl.lit("train/return"))
    found: Drawn = {}
    with pytest.MonkeyPatch.context() as patch:

        def save(figure: Figure, folder: Path, name: str) -> Path:
            found[name] = figure
            return lay_out(figure, folder, name)

        patch.setattr(catalogue, "save", save)
        report.write(Frames(training, store.cells), tmp_path, "t")
    assert "sweep_0" in found
    for name, figure in found.items():
        said = " ".join(text.get_text() for text in texts(figure)).lower()
        assert "training return" in said, name
        assert "evaluation" not in said, name


# --- words and files ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "said"),
    [((5, 5), "all 5"), ((12, 12), "last 10"), ((10, 10), "last 10"), ((5, 12), "last 10, or all")],
)
def test_a_mean_is_called_by_what_it_is_over(counts: tuple[int, int], said: str) -> None:
    cells = [cell("a"), cell("b", seed=1)]
    lines = [row for name, n in zip("ab", counts, strict=True) for row in rows(name, [1.0] * n)]
    store = frames(cells, lines)
    summary = tables.summary(store)
    page = table_sections.summary_section(summary, "eval/return", published.table(store, [])).body
    assert f"Mean of {said}<" in page
    assert (said == "last 10") == ("Mean of last 10<" in page)
    headings = [str(column.header) for column in terminal.summary_table(summary).columns]
    assert said in headings


def drawn_files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "figures").iterdir()}


def test_a_figure_that_is_no_longer_drawn_goes_and_a_users_file_stays(tmp_path: Path) -> None:
    report.write(one_setting([1, 2]), tmp_path, "t")
    folder = tmp_path / "figures"
    assert {"sensitivity_0.png", "sensitivity_0.svg"} <= drawn_files(tmp_path)
    (folder / "sensitivity_9.svg").write_text("<svg>mine</svg>", encoding="utf-8")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    for kind in ("svg", "png"):
        shutil.copy(folder / f"sensitivity_0.{kind}", folder / f"for_the_paper.{kind}")
        shutil.copy(folder / f"final.{kind}", folder / f"sweep_0.{kind}")
    # Edited, hence theirs.
    edited = (folder / "profile.svg").read_text(encoding="utf-8").replace("#0072b2", "#ff0000")
    (folder / "profile.svg").write_text(edited, encoding="utf-8")
    plain = frames([cell("a")], rows("a", [1.0, 2.0]))
    report.write(plain, tmp_path, "t")
    assert drawn_files(tmp_path) == {
        *(f"{name}.{kind}" for name in ("curves_steps", "curves_seconds", "final")
          for kind in ("svg", "png")),
        "sensitivity_9.svg", "notes.txt", "for_the_paper.svg", "for_the_paper.png",
        "sweep_0.svg", "sweep_0.png", "profile.svg", "profile.png",
    }  # fmt: skip


def old_figure(folder: Path, name: str) -> None:
    """As figures were written before they were marked."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure()
    figure.savefig(folder / f"{name}.png", dpi=150)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def test_what_bears_no_mark_stays(tmp_path: Path) -> None:
    """Also a figure of an earlier version: nobody knows that it is none of the user's."""
    folder = tmp_path / "figures"
    for name in ("sweep_3", "online_cost", "my_own"):
        old_figure(folder, name)
    before = drawn_files(tmp_path)
    report.write(frames([cell("a")], rows("a", [1.0, 2.0])), tmp_path, "t")
    assert before <= drawn_files(tmp_path)


def test_a_mark_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-written figure would never be known for one of ours."""
    old_figure(tmp_path, "final")
    svg = tmp_path / "final.svg"
    was = svg.read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        drawings.mark(svg)
    assert svg.read_bytes() == was
    assert {path.name for path in tmp_path.iterdir()} == {"final.svg", "final.png"}


@pytest.mark.parametrize(
    ("change", "stays"),
    [("", False), ("edited", True), ("of an earlier version", True), ("no page", True)],
)
@pytest.mark.usefixtures("quick")
def test_a_table_without_successor_goes_if_it_is_ours(
    change: str, stays: bool, tmp_path: Path
) -> None:
    store = frames([cell("a"), cell("b", seed=1)], rows("a", [1.0]) + rows("b", [2.0]))
    page = report.write(store, tmp_path, "t", [Target("CartPole-v1", "ppo", 1.5, "x")])
    path = tmp_path / "published.csv"
    if change == "edited":
        with path.open("a", encoding="utf-8") as file:
            file.write("CartPole-v1,a line of mine\n")
    elif change == "of an earlier version":
        text = page.read_text(encoding="utf-8").partition("<!-- tables")[0]
        page.write_text(text, encoding="utf-8")
    elif change == "no page":
        page.unlink()
    for _ in range(2):
        report.write(store, tmp_path, "t")
        assert path.exists() == stays


def test_redrawing_changes_nothing(tmp_path: Path) -> None:
    store = frames([cell("a")], rows("a", [1.0, 2.0]))
    read: Callable[[], dict[str, bytes]] = lambda: {  # noqa: E731
        path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    report.write(store, tmp_path, "t")
    before = read()
    report.write(store, tmp_path, "t")
    assert read() == before
