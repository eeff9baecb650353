"""The table of nearest states: what it certifies is so, with all rows it is exact."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from neighbour_tools import (
    BETAS,
    agreement,
    cloud,
    distances,
    near_rows,
    search,
    walk,
    with_table,
)

from rlsuite.data.neighbours import build, keys, table


@pytest.mark.parametrize("rows", [1, 2, 300])
@pytest.mark.parametrize("beta", BETAS)
def test_with_all_rows_it_is_exact_and_certified(rows, beta):
    index = with_table(cloud(rows), rows)
    asked = near_rows(index, 200, 0.7)
    found = search("table", index, asked, beta)
    assert agreement(index, asked, found, beta)[1:] == (1.0, 1.0)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("k", [4, 32])
@pytest.mark.parametrize("make", [cloud, walk])
def test_what_is_certified_is_the_nearest(make, k, beta):
    index = with_table(make(4000), k)
    asked = near_rows(index, 2000, 0.5)
    found = search("table", index, asked, beta)
    oracle = search("host", index, asked, beta)
    mine = distances(index, asked, found.place, beta)
    certified = np.asarray(found.certified)
    assert (mine[certified] <= oracle.distance[certified] * (1 + 1e-6)).all()
    if beta == 0.0:
        # Without a weight on states every row may be nearer.
        assert not certified[mine > 0].any()
    if beta == 100.0:
        assert certified.mean() > 0.99
    if beta == 2.0 and k == 4:
        # The bound is not idle: some answers are not certified, and some of those are wrong.
        assert 0.0 < certified.mean() < 1.0
        assert (mine[~certified] > oracle.distance[~certified] * (1 + 1e-6)).any()


def test_a_certificate_is_refused_by_a_hair():
    """d^2 = 1 against beta^2 R^2 of 1: equal in float32 is not certified, for either may have been
    rounded; a little more radius is."""
    weights, zero = jnp.ones(5), jnp.zeros((4, 3))
    radius = jnp.float32([1 - 1e-3, 1.0, 1 + 1e-4, jnp.inf])
    found = table.proved(jnp.ones(4), radius, zero, weights)
    assert found.tolist() == [False, False, True, True]
    # A query beside its row has that much less.
    off = zero.at[:, 0].set(2e-4)
    assert table.proved(jnp.ones(4), radius, off, weights).tolist() == [False, False, False, True]


def test_queries_beside_their_row_are_certified_soundly():
    index = with_table(cloud(3000), 16)
    asked = near_rows(index, 1000, 0.4)
    rng = np.random.default_rng(5)
    moved = asked.obs + 0.1 * jnp.asarray(rng.normal(size=asked.obs.shape), jnp.float32)
    asked = asked._replace(obs=moved)
    found = search("table", index, asked, 2.0)
    oracle = search("host", index, asked, 2.0)
    mine, certified = distances(index, asked, found.place, 2.0), np.asarray(found.certified)
    assert 0.05 < certified.mean() < 0.95
    assert (mine[certified] <= oracle.distance[certified] * (1 + 1e-6)).all()


def test_entries_with_weights_of_their_own_are_certified_soundly():
    index, beta = with_table(cloud(3000), 16), jnp.array([2.0, 3.0, 6.0])
    asked = near_rows(index, 1000, 0.4)
    found = search("table", index, asked, beta)
    oracle = search("host", index, asked, beta)
    mine, certified = distances(index, asked, found.place, beta), np.asarray(found.certified)
    assert 0.05 < certified.mean() < 1.0
    assert (mine[certified] <= oracle.distance[certified] * (1 + 1e-6)).all()


@pytest.mark.parametrize("count", [1, 10, 64])
def test_unproved_answers_can_be_searched_exactly(count):
    index = with_table(cloud(3000), 4)
    asked = near_rows(index, 64, 0.8)
    plain = search("table", index, asked, 2.0)
    solved = search("table", index, asked, 2.0, resolve=count)
    open_before, open_after = (int((~x.certified).sum()) for x in (plain, solved))
    assert open_before > 10
    assert open_after == max(open_before - count, 0)
    kept = np.asarray(plain.certified)
    assert np.array_equal(plain.place[kept], solved.place[kept])
    assert (solved.distance <= plain.distance * (1 + 1e-6)).all()
    exactly = search("exact", index, asked, 2.0)
    now = np.asarray(solved.certified)
    assert np.array_equal(solved.place[now], exactly.place[now])
    if count == 64:
        assert now.all()


def test_resolving_maps_over_seeds():
    index = with_table(cloud(1000), 4)
    two = [near_rows(index, 32, 0.8, seed) for seed in (1, 2)]
    stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *two)
    program = jax.jit(jax.vmap(partial(table.search, resolve=8), (None, 0, 0, 0, None)))
    mapped = program(index, *stacked, 2.0)
    for row, asked in enumerate(two):
        single = search("table", index, asked, 2.0, resolve=8)
        assert np.array_equal(mapped.place[row], single.place)
        assert np.array_equal(mapped.certified[row], single.certified)


def test_the_nearest_is_never_farther_than_the_own_row():
    """Equal only where it is the own row."""
    index = with_table(walk(3000), 16)
    asked = near_rows(index, 3000, 1.0)
    own = distances(index, asked, asked.place, 2.0)
    for way in ("exact", "table"):
        found = search(way, index, asked, 2.0)
        mine = distances(index, asked, found.place, 2.0)
        itself = np.asarray(found.place) == np.asarray(asked.place)
        assert 0.05 < itself.mean() < 0.95
        assert np.array_equal(mine == own, itself)
        assert (mine <= own).all()


@pytest.mark.parametrize("way", [build.by_tree, build.by_products])
@pytest.mark.parametrize("k", [1, 7, 64])
def test_both_ways_build_the_same_table(way, k):
    index = walk(1500, states=5)
    states = np.asarray(keys.states(index))
    places, radius = build.build(states, k, way=way)
    wide = states.astype(np.float64)
    apart = np.linalg.norm(wide[:, None] - wide[None], axis=-1)
    order = np.argsort(apart, axis=1, kind="stable")
    assert np.array_equal(places, order[:, :k])
    nearest_out = np.take_along_axis(apart, order[:, k : k + 1], 1)[:, 0]
    assert (radius < nearest_out).all()
    np.testing.assert_allclose(radius, nearest_out, rtol=3e-7)


@pytest.mark.parametrize("way", [build.by_tree, build.by_products])
def test_a_row_with_many_copies_is_first_all_the_same(way):
    states = np.repeat(np.array([[0.0, 1.0], [5.0, 5.0]], np.float32), [30, 20], 0)
    places, radius = build.build(states, 8, way=way)
    assert np.array_equal(places[:, 0], np.arange(50))
    assert all(len(set(row)) == 8 for row in places.tolist())
    assert (states[places] == states[:, None]).all()
    assert not radius.any()


def test_rounding_down_is_below_and_not_below_zero():
    exact = np.array([0.0, 1e-50, 0.1, 1.0, 1 + 1e-9, 3e38])
    down = build.rounded_down(exact)
    assert down.dtype == np.float32
    assert (down.astype(np.float64) <= exact).all()
    assert (down >= 0).all()
    np.testing.assert_allclose(down, exact, rtol=2e-7, atol=1e-45)


def test_long_builds_say_how_far_they_are(monkeypatch):
    said = []
    monkeypatch.setattr(build, "SAY_SECONDS", 0.0)
    build.build(np.asarray(keys.states(cloud(2000))), 3, said.append, build.by_tree)
    assert len(said) == 3
    assert said[0].startswith("512 of 2,000 rows")
