"""Metrics merge to what they would have been over the whole interval."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlsuite.contracts import metrics
from rlsuite.contracts.metrics import Last, Max, Mean, Min


def of(values):
    """One metric of each kind over `values`."""
    x = jnp.asarray(values)
    return {"a": metrics.mean(x), "l": Last(x[-1]), "lo": Min(x.min()), "hi": Max(x.max())}


def test_merging_intervals_equals_one_interval():
    merged = metrics.merge(metrics.merge(of([1.0, 5.0, 3.0]), of([-2.0])), of([4.0, 4.0]))
    host = metrics.to_host(merged)
    assert host == pytest.approx({"a": 15 / 6, "l": 4.0, "lo": -2.0, "hi": 5.0})


def test_empty_is_neutral_on_the_left():
    some = of([3.0, -1.0])
    merged = metrics.merge(metrics.empty(some), some)
    assert metrics.to_host(merged) == pytest.approx(metrics.to_host(some))


def test_empty_keeps_kinds_shapes_and_types():
    some = of([3.0, -1.0])
    blank = metrics.empty(some)
    assert jax.tree.structure(blank) == jax.tree.structure(some)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), blank) == jax.tree.map(
        lambda x: (x.shape, x.dtype), some
    )


def test_masked_mean_counts_only_the_mask():
    x = jnp.array([[1.0, math.nan], [3.0, 100.0]])
    got = metrics.mean(x, where=jnp.array([[True, False], [True, False]]))
    assert (float(got.sum), float(got.count)) == (4.0, 2.0)


def test_a_mean_of_nothing_is_left_out():
    nothing = metrics.mean(jnp.ones(3), where=jnp.zeros(3, bool))
    assert metrics.to_host({"train/return": nothing, "x": Last(jnp.float32(1))}) == {"x": 1.0}


@pytest.mark.parametrize("kind", [Last, Min, Max])
def test_what_nobody_set_has_no_value_and_what_is_not_finite_has(kind):
    unset = metrics.empty({"x": kind(jnp.float32(1))})
    assert metrics.to_host(unset) == {}
    assert metrics.to_host(metrics.merge(unset, unset)) == {}
    for value in (math.nan, math.inf, -math.inf):
        host = metrics.to_host(metrics.merge(unset, {"x": kind(jnp.float32(value))}))
        assert not math.isfinite(host["x"])


@pytest.mark.parametrize("kind", [Last, Min, Max])
def test_an_interval_without_a_value_changes_nothing(kind):
    """An update that is not made every time: what it would have been counts for nothing."""
    some = {"x": kind(jnp.float32(3))}
    for junk in (math.nan, -7.0, 7.0):
        none = {"x": kind(jnp.float32(junk), jnp.bool_(False))}
        assert metrics.to_host(metrics.merge(some, none)) == {"x": 3.0}
        assert metrics.to_host(metrics.merge(none, some)) == {"x": 3.0}
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), some, none, none)
        assert metrics.to_host(metrics.reduce(stacked)) == {"x": 3.0}
        never = jax.tree.map(lambda *leaves: jnp.stack(leaves), none, none)
        assert metrics.to_host(metrics.reduce(never)) == {}


@pytest.mark.usefixtures("without_the_tests_own_checks")
def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(4,\).*\(4, 1\)"):
        metrics.mean(jnp.ones((4, 1)), where=jnp.ones(4, bool))


def test_nan_is_kept():
    assert math.isnan(metrics.to_host({"a": metrics.mean(jnp.array([1.0, math.nan]))})["a"])


def test_a_changed_kind_is_refused():
    with pytest.raises(TypeError, match="from Mean to Last"):
        metrics.merge({"a": Mean(jnp.float32(1), jnp.float32(1))}, {"a": Last(jnp.float32(1))})


def test_merging_inside_a_scan_under_vmap():
    values = jnp.arange(12.0).reshape(2, 6)

    def run(row):
        start = metrics.empty({"a": metrics.mean(row[:1]), "hi": Max(row[0])})
        return jax.lax.scan(
            lambda m, x: (metrics.merge(m, {"a": metrics.mean(x[None]), "hi": Max(x)}), None),
            start,
            row,
        )[0]

    out = jax.vmap(run)(values)
    rows = [metrics.to_host(jax.tree.map(lambda x, i=i: x[i], out)) for i in range(2)]
    np.testing.assert_allclose([row["a"] for row in rows], values.mean(1))
    np.testing.assert_allclose([row["hi"] for row in rows], values.max(1))


def test_rows_are_taken_apart_together_as_one_by_one():
    stacked = {
        "a": Mean(jnp.array([1.0, 2.0, math.nan]), jnp.array([3.0, 0.0, 1.0])),
        "b": Last(jnp.array([4.0, math.inf, 6.0]), jnp.array([True, True, False])),
    }
    rows = metrics.rows_to_host(stacked)
    alone = [metrics.to_host(jax.tree.map(lambda x, i=i: x[i], stacked)) for i in range(3)]
    assert repr(rows) == repr(alone)
    assert [sorted(row) for row in rows] == [["a", "b"], ["b"], ["a"]]
