"""The keyed bijection: always a permutation, and close to a uniform draw where it matters.

Bounds are on standard scores of statistics whose distribution under a uniform permutation is
known; keys are fixed, and |z| < 4.5 is passed by a uniform draw in all but 1 of 150,000 cases.
"""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import pytest

from rlsuite.ops.shuffle import permutation

Z = 4.5


def draw(n, keys, seed=0):
    """[keys, n] permutations."""
    many = jax.vmap(partial(permutation, n=n))
    return np.asarray(jax.jit(many)(jax.random.split(jax.random.key(seed), keys)))


@pytest.mark.parametrize("bits", range(17))
def test_bijection_for_every_power_of_two(bits):
    rows = draw(1 << bits, 5, seed=bits)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(1 << bits), (5, 1)))


@pytest.mark.parametrize("n", [3, 7, 500, 1025, 20_480])
def test_bijection_for_other_sizes(n):
    rows = draw(n, 5, seed=n)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(n), (5, 1)))


@pytest.mark.parametrize("n", [4, 5, 16, 64])
def test_every_row_visits_every_position(n):
    keys = 60 * n
    rows = draw(n, keys)
    counts = np.stack([np.bincount(rows[:, i], minlength=n) for i in range(n)])
    # Rows and columns of the table have fixed sums: (n - 1)^2 degrees of freedom, and the
    # statistic of permutation matrices has n/(n - 1) times the mean of independent counts.
    chi = ((counts - 60.0) ** 2 / 60.0).sum() * (n - 1) / n
    dof = (n - 1) ** 2
    assert abs(chi - dof) / np.sqrt(2 * dof) < Z


@pytest.mark.parametrize("n", [512, 1000, 4096, 65_536])
def test_positions_are_uniform_at_large_sizes(n):
    keys = 512
    rows = draw(n, keys)
    for position in (0, 1, n // 3, n // 2, n - 1):
        edges = np.arange(33) * n / 32
        counts, _ = np.histogram(rows[:, position], edges)
        expected = keys * np.diff(np.ceil(edges)) / n
        chi = ((counts - expected) ** 2 / expected).sum()
        assert (chi - 31) / np.sqrt(62) < Z


@pytest.mark.parametrize("n", [64, 1000, 16_384])
@pytest.mark.parametrize("part", [0, 2, 4])
def test_neighbours_in_the_rollout_are_uncorrelated(n, part):
    """Rows one apart, and a half or a quarter of the batch apart: the weak spot of powers of two.

    The mean circular autocorrelation of a permutation is -1/(n-1), its variance close to 1/n (2/n
    at half the length, where each pair counts twice).
    """
    lag, keys = (n // part if part else 1), 400
    x = draw(n, keys) - (n - 1) / 2
    r = (x * np.roll(x, -lag, axis=1)).mean(1) / x.var(1)
    scale = np.sqrt((2 if lag * 2 == n else 1) / n)
    assert abs(r.mean() + 1 / (n - 1)) / (scale / np.sqrt(keys)) < Z
    # Single keys too: the standard deviation over keys is as large as chance and no larger.
    assert 0.8 < r.std() / scale < 1.25


@pytest.mark.parametrize("n", [512, 500, 2048])
@pytest.mark.parametrize("pattern", ["block", "stride"])
def test_minibatches_mix_time_and_environments(n, pattern):
    """How many of a quarter of the rollout land in the first minibatch: hypergeometric."""
    keys, quarter = 1500, n // 4
    first = draw(n, keys, seed=7)[:, :quarter]
    hits = ((first < quarter) if pattern == "block" else (first % 4 == 0)).sum(1)
    variance = quarter * 0.25 * 0.75 * (n - quarter) / (n - 1)
    assert abs(hits.mean() - quarter / 4) / np.sqrt(variance / keys) < Z
    assert abs(hits.var() / variance - 1) / np.sqrt(2 / keys) < Z


def test_different_keys_differ_and_equal_keys_do_not():
    rows = draw(128, 2000)
    assert len(np.unique(rows, axis=0)) == 2000
    np.testing.assert_array_equal(rows, draw(128, 2000))


def test_no_sort_in_the_program():
    """The point of it: XLA sorts slowly on CPU."""
    for n in (512, 500):
        assert "sort[" not in str(jax.make_jaxpr(partial(permutation, n=n))(jax.random.key(0)))
    assert "sort[" in str(jax.make_jaxpr(partial(jax.random.permutation, x=512))(jax.random.key(0)))
