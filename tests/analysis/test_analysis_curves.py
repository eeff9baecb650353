"""Learning curves and scores from stores with gaps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from synthetic import cell, frames, rows

from rlsuite.analysis.stats import curves, scores, sweep
from rlsuite.contracts.errors import UsageError


def test_seeds_on_shared_steps() -> None:
    store = frames(
        [cell("a"), cell("b", seed=1), cell("c", seed=2)],
        rows("a", [0, 1, 2]) + rows("b", [0, 3, 4]) + rows("c", [0, 5, 9]),
    )
    (curve,) = curves.against_steps(store, statistic="mean")
    assert curve.x.tolist() == [0, 500, 1000]
    assert curve.value.tolist() == [0, 3, 5]
    assert (curve.n.tolist(), curve.seeds, curve.lost) == ([3, 3, 3], 3, 0)
    assert curve.low[2] < 5 < curve.high[2]


def test_a_missing_row_is_interpolated_and_an_early_end_is_not() -> None:
    store = frames(
        [cell("a"), cell("b", seed=1), cell("c", seed=2, status="running")],
        rows("a", [0, 10, 20, 30])
        + rows("b", [0, 30], steps=[0, 1000])
        + rows("c", [6, 16], steps=[0, 333]),
    )
    (curve,) = curves.against_steps(store, statistic="mean")
    assert curve.n.tolist() == [3, 3, 2, 2]
    assert curve.value == pytest.approx([2, (10 + 9.99 + 16) / 3, (20 + 19.98) / 2, 30], abs=0.01)


def test_a_curve_ends_where_most_seeds_have() -> None:
    fresh = [cell(str(i), seed=i, status="running") for i in range(5)]
    lines = [row for i in range(4) for row in rows(str(i), [1, 2], steps=[0, 500])]
    (curve,) = curves.against_steps(frames(fresh, lines + rows("4", [1, 2, 3])))
    assert curve.x.tolist() == [0, 500]


def test_a_nan_seed_counts_until_it_is_one() -> None:
    store = frames(
        [cell("a"), cell("b", seed=1, status="nan"), cell("c", seed=2, status="failed")],
        rows("a", [0, 1, 2]) + rows("b", [2, np.nan, np.nan]),
    )
    (curve,) = curves.against_steps(store, statistic="mean")
    assert curve.value.tolist() == [1, 1, 2]
    assert (curve.n.tolist(), curve.seeds, curve.lost) == ([2, 1, 1], 2, 2)


def test_seeds_that_share_no_steps() -> None:
    cells, lines = [], []
    for seed in range(6):
        steps = np.linspace(0, 1000, 11).astype(int) + 7 * seed
        cells.append(cell(str(seed), seed=seed))
        lines += rows(str(seed), steps / 10, steps=steps)
    (curve,) = curves.against_steps(frames(cells, lines), statistic="mean")
    assert curve.x.size <= 11
    assert curve.value == pytest.approx(curve.x / 10)


def test_against_seconds() -> None:
    store = frames(
        [cell("fast"), cell("slow", seed=1), cell("slower", seed=2)],
        rows("fast", [0, 10], seconds=[0, 5])
        + rows("slow", [0, 10], seconds=[0, 10])
        + rows("slower", [0, 10], seconds=[0, 20]),
    )
    (curve,) = curves.against_seconds(store, statistic="mean")
    assert (curve.x[0], curve.x[-1]) == (0, 10)
    # The fast one keeps its 10, the slow one has just got there, the slower one is half way.
    assert curve.value[-1] == pytest.approx((10 + 10 + 5) / 3)


def test_environments_and_series_are_apart() -> None:
    cells = [cell("a"), cell("b", env="Pendulum-v1"), cell("c", series="dpo"), cell("d", env="x")]
    found = curves.against_steps(frames(cells, rows("a", [1]) + rows("b", [2]) + rows("c", [3])))
    got = [(curve.env, curve.series, curve.final) for curve in found]
    assert got == [
        ("CartPole-v1", "ppo", 1.0),
        ("Pendulum-v1", "ppo", 2.0),
        ("CartPole-v1", "dpo", 3.0),
    ]
    assert np.isnan(found[0].low).all()


def test_last_and_best_scores() -> None:
    store = frames(
        [cell("a"), cell("b", seed=1, status="nan"), cell("c", seed=2, status="running")],
        rows("a", [1, 9, 4, 6], steps=[0, 500, 1000, 1000])
        + rows("b", [1, 3, np.nan])
        + rows("a", [99.0], metric="train/return"),
    )
    table = scores.final(store)
    # The last evaluation of `a` has two rows: their mean.
    assert table["last"].fill_nan(-1).to_list() == [5.0, -1.0, None]
    assert table["best"].to_list() == [9.0, 3.0, None]
    assert table["evaluations"].to_list() == [3, 3, None]
    found = scores.samples(table)["ppo"]["CartPole-v1"]
    np.testing.assert_array_equal(found, [5.0, np.nan])


def test_training_returns_stand_in_for_evaluations() -> None:
    store = frames([cell("a")], rows("a", [3.0, 4.0], metric="train/return"))
    assert scores.return_metric(store) == "train/return"
    assert scores.final(store)["last"].to_list() == [4.0]
    assert scores.return_metric(frames([cell("a")], [])) is None


def test_comparable_series_share_their_environments() -> None:
    one = np.array([1.0])
    found = scores.comparable(
        {"a": {"x": one, "y": one}, "b": {"y": one, "z": one}, "c": {"x": one}, "d": {}}
    )
    assert {series: list(envs) for series, envs in found.items()} == {"a": ["y"], "b": ["y"]}


def test_normalising_by_range_and_by_references() -> None:
    found = scores.normalise(
        {"a": {"x": np.array([-200.0, -100.0, np.nan]), "y": np.array([7.0])},
         "b": {"x": np.array([0.0]), "y": np.array([7.0])}}
    )  # fmt: skip
    np.testing.assert_array_equal(found["a"]["x"], [0.0, 0.5, np.nan])
    assert found["b"]["x"].tolist() == [1.0]
    # All runs of y are equal: none is worse than the best.
    assert found["a"]["y"].tolist() == [1.0]
    given = scores.normalise({"a": {"x": np.array([30.0])}}, {"x": (10.0, 50.0)})
    assert given["a"]["x"].tolist() == [0.5]


def test_sweep_grid() -> None:
    cells, lines = [], []
    for lr in (1e-3, 1e-4):
        for cost in (0, 0.1):
            for seed in range(3):
                name = f"{lr}{cost}{seed}"
                fields = {"agent.lr": lr, "agent.cost": cost, "agent.net": "mlp"}
                lost = (lr, cost, seed) == (1e-3, 0.1, 0)
                status = "nan" if lost else "running" if (lr, cost) == (1e-4, 0) else "done"
                cells.append(cell(name, seed=seed, status=status, sweep=json.dumps(fields)))
                lines += rows(name, [1000 * lr + cost + seed])
    (grid,) = sweep.grids(scores.final(frames(cells, lines)))
    assert (grid.x, grid.y) == ("agent.cost", "agent.lr")
    assert (grid.x_values, grid.y_values, grid.pooled) == ([0, 0.1], [1e-4, 1e-3], ())
    np.testing.assert_allclose(grid.iqm, [[np.nan, 1.2], [2.0, 2.6]])
    assert grid.n.tolist() == [[0, 3], [3, 2]]
    assert grid.lost.tolist() == [[0, 0], [0, 1]]


def test_one_swept_field_or_sizes_make_no_grid() -> None:
    cells = [
        cell(str(i), sweep=json.dumps({"agent.lr": 10.0**-i, "agent.hidden": [2**i]}))
        for i in range(3)
    ]
    assert sweep.grids(scores.final(frames(cells, rows("0", [1.0])))) == []


def test_a_table_without_a_column_is_refused() -> None:
    good = frames([], [])
    with pytest.raises(UsageError, match="the store's cells have no column series, seed"):
        type(good)(good.rows, good.cells.drop("series", "seed"))
