"""Brute force finds what SciPy's KD-tree finds, at every beta, chunk and size, and proves it."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from neighbour_tools import (
    BETAS,
    Asked,
    agreement,
    cloud,
    derived,
    distances,
    near_rows,
    search,
    walk,
)
from offline_tools import DERIVED

from rlsuite.data.neighbours import exact, keys

SETS = ("hopper_medium", "halfcheetah_medium")


def check(index: Any, count: int, beta: float, noise: float) -> tuple[float, float, float]:
    """All as near as the oracle's and certified; returns the numbers."""
    asked = near_rows(index, count, noise)
    found = search("exact", index, asked, beta)
    numbers = agreement(index, asked, found, beta)
    assert numbers[1] == 1.0
    assert numbers[0] > 0.9999
    # And proved almost always; where only actions count, more rows lie within a rounding.
    assert numbers[2] > (0.97 if beta == 0 else 0.999)
    true = distances(index, asked, found.place, beta)
    np.testing.assert_allclose(found.distance, true, rtol=2e-6, atol=1e-7)
    return numbers


@pytest.mark.parametrize("beta", BETAS)
def test_the_oracles_rows_on_a_walk(beta):
    check(walk(20_000), 1000, beta, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("beta", BETAS)
def test_the_oracles_rows_at_full_size(beta):
    print("walk", beta, check(walk(200_000), 10_000, beta, 0.3))


@pytest.mark.slow
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", SETS)
def test_the_oracles_rows_on_recorded_data(name, beta):
    if not DERIVED.exists():
        pytest.skip("no recorded data here")
    print(name, beta, check(derived(name), 10_000, beta, 0.3))


@pytest.mark.parametrize(
    ("rows", "chunk", "group", "wide"),
    [
        (2000, 2000, 1, 1), (2000, 333, 7, 3), (2000, 64, 64, 2), (2000, 1999, 50, 4),
        (2000, 10_000, 64, 4), (2000, 3, 64, 4), (64, 1024, 64, 4), (63, 1024, 64, 4),
        (65, 64, 64, 1), (1, 8, 8, 4), (2, 1, 1, 1),
    ],
)  # fmt: skip
def test_odd_chunks_and_sizes(rows, chunk, group, wide):
    index = cloud(rows)
    asked = near_rows(index, 100, 0.6)
    found = search("exact", index, asked, 1.5, chunk=chunk, group=group, wide=wide)
    same, near, certified = agreement(index, asked, found, 1.5)
    assert (same, near, certified) == (1.0, 1.0, 1.0)


def test_a_shortlist_holds_each_fresh_row_once():
    index, size = cloud(1000), 5
    few = exact.shortlist(index.keys, index.keys[:3], jnp.ones(size), chunk=96, group=8, wide=500)
    for places, fresh in zip(np.asarray(few.places), np.asarray(few.fresh), strict=True):
        assert np.array_equal(np.sort(places[fresh]), np.arange(1000))
    assert np.isinf(few.left).all()


@pytest.mark.parametrize("beta", [1.0, 1e4])
def test_far_from_the_origin_the_answer_is_right_or_not_certified(beta):
    """Where |x|^2 has swallowed the differences, nothing false is certified; 1e4 standard
    deviations away every product is rounding alone."""
    index = cloud(5000, seed=3)
    index = index._replace(keys=index.keys.at[:, :3].add(1e4))
    asked = near_rows(index, 500, 0.4)
    found = search("exact", index, asked, beta)
    best = search("host", index, asked, beta)
    true = distances(index, asked, found.place, beta)
    certified = np.asarray(found.certified)
    assert (true[certified] <= best.distance[certified] * (1 + 1e-5)).all()
    assert certified.mean() < 0.5
    # Its own row is always measured.
    assert (true <= distances(index, asked, asked.place, beta) * (1 + 1e-6)).all()


def test_large_beta_finds_the_own_row_exactly():
    """At beta 1e4 |x|^2 is 1e9 and more; differences decide all the same."""
    index = walk(3000)
    asked = near_rows(index, 400, 0.5)
    found = search("exact", index, asked, 1e4)
    assert np.array_equal(found.place, asked.place)
    own = np.linalg.norm(
        np.asarray(asked.action) - np.asarray(index.keys)[asked.place, 17:], axis=1
    )
    np.testing.assert_allclose(found.distance, own, rtol=1e-6)


def test_of_equals_the_own_row_wins():
    index = cloud(40)
    index = index._replace(keys=jnp.tile(index.keys, (5, 1)))
    place = jnp.arange(200, dtype=jnp.int32)[::3]
    asked = Asked(keys.own(index, place), index.keys[place, 3:], place)
    found = search("exact", index, asked, 2.0)
    assert np.array_equal(found.place, place)
    assert not np.asarray(found.distance).any()


def test_beta_may_differ_by_entry():
    index = cloud(3000)
    asked, beta = near_rows(index, 300, 0.6), jnp.array([0.0, 1.0, 5.0])
    found = search("exact", index, asked, beta)
    assert agreement(index, asked, found, beta) == (1.0, 1.0, 1.0)
    assert (np.asarray(found.place) != search("exact", index, asked, 1.0).place).any()


def test_one_program_serves_every_beta():
    index = cloud(500)
    asked, traces = near_rows(index, 50), []

    @jax.jit
    def program(beta: Any) -> Any:
        traces.append(1)
        return exact.search(index, *asked, beta)

    places = [np.asarray(program(jnp.float32(beta)).place) for beta in BETAS]
    assert len(traces) == 1
    assert (places[0] != places[-1]).any()


def test_nothing_is_differentiated():
    index = cloud(300)
    asked = near_rows(index, 20)

    def total(action: Any, beta: Any, data: Any) -> Any:
        return exact.search(data, asked.obs, action, asked.place, beta).distance.sum()

    grads = jax.grad(total, (0, 1, 2), allow_int=True)(asked.action, jnp.float32(2.0), index)
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(grads))


def test_seeds_side_by_side_find_what_each_finds():
    index = cloud(2000)
    four = [near_rows(index, 64, seed=seed) for seed in range(4)]
    stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *four)
    betas = jnp.asarray(BETAS)
    program = partial(exact.search, chunk=300)
    mapped = jax.jit(jax.vmap(program, (None, 0, 0, 0, 0)))(index, *stacked, betas)
    for row, (asked, beta) in enumerate(zip(four, betas, strict=True)):
        single = jax.jit(program)(index, *asked, beta)
        assert np.array_equal(mapped.place[row], single.place)
        assert np.array_equal(mapped.certified[row], single.certified)
        np.testing.assert_allclose(mapped.distance[row], single.distance, rtol=1e-6)
