"""Chan's merge against numpy, the count's cap, and the reward normaliser's recursion."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlsuite.ops import normalize


@pytest.mark.parametrize("splits", [(1000,), (1, 999), (10, 490, 500), (250,) * 4])
def test_merging_splits_gives_the_statistics_of_the_whole(splits):
    data = np.random.default_rng(0).normal((5.0, -300.0, 0.0), (2.0, 10.0, 0.01), (1000, 3))
    moments = normalize.init((3,))
    for part in np.split(data, np.cumsum(splits)[:-1]):
        moments = normalize.update(moments, jnp.asarray(part, jnp.float32))
    # The start counts as 1e-4 samples of mean 0 and variance 1: 1e-7 of the weight, but
    # 300^2 * 1e-7 on a variance of 100.
    np.testing.assert_allclose(moments.mean, data.mean(0), rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(moments.var, data.var(0), rtol=2e-3)
    np.testing.assert_allclose(moments.count, 1000, rtol=1e-6)


def test_leading_axes_are_all_samples():
    x = jnp.arange(24.0).reshape(2, 3, 4)
    a = normalize.update(normalize.init((4,)), x)
    b = normalize.update(normalize.init((4,)), x.reshape(6, 4))
    np.testing.assert_array_equal(a.mean, b.mean)
    np.testing.assert_array_equal(a.var, b.var)
    assert float(a.count) == pytest.approx(6, rel=1e-4)


def test_count_is_capped_and_later_batches_still_count():
    old = normalize.Moments(jnp.zeros(1), jnp.ones(1), jnp.float32(normalize.COUNT_CAP - 1))
    shifted = jax.lax.fori_loop(
        0, 100, lambda _, m: normalize.update(m, jnp.full((100_000, 1), 1.0)), old
    )
    assert float(shifted.count) == normalize.COUNT_CAP
    # Each batch has weight 1e5 / (1e7 + 1e5): a moving average that has forgotten 0.99^100.
    assert float(shifted.mean[0]) == pytest.approx(1 - (100 / 101) ** 100, rel=1e-3)


def test_nothing_seen_is_the_identity_up_to_the_clip():
    x = jnp.array([-20.0, 0.5, 20.0])
    np.testing.assert_allclose(normalize.normalize(normalize.init(()), x, 10.0), [-10, 0.5, 10])


def test_statistics_are_constants_to_gradients():
    def f(mean):
        return normalize.normalize(normalize.Moments(mean, mean, mean), jnp.float32(3.0), 10.0)

    assert float(jax.grad(f)(jnp.float32(2.0))) == 0.0


DONE = jnp.array([0, 0, 1, 0, 0, 0], bool)[:, None]


def test_discounted_sums_follow_the_correct_recursion():
    g, sums = normalize.discounted_sums(jnp.zeros(1), jnp.ones((6, 1)), DONE, 0.5)
    np.testing.assert_allclose(sums[:, 0], [1, 1.5, 1.75, 1, 1.5, 1.75])
    np.testing.assert_allclose(g, [1.75])
    # What several ports compute: the last step forgotten, the old reward leaked.
    wrong, leaky = 0.0, []
    for done in np.asarray(DONE[:, 0]):
        wrong = 0.5 * wrong * (1 - done) + 1
        leaky.append(wrong)
    np.testing.assert_allclose(leaky, [1, 1.5, 1, 1.5, 1.75, 1.875])
    assert not np.allclose(sums[:, 0], leaky)


def test_discounted_sums_carry_over_rollouts():
    reward = jnp.arange(6.0)[:, None]
    _, whole = normalize.discounted_sums(jnp.zeros(1), reward, DONE, 0.9)
    g, first = normalize.discounted_sums(jnp.zeros(1), reward[:4], DONE[:4], 0.9)
    _, second = normalize.discounted_sums(g, reward[4:], DONE[4:], 0.9)
    np.testing.assert_allclose(jnp.concatenate([first, second]), whole, rtol=1e-6)


def test_rewards_are_scaled_not_centred():
    moments = normalize.Moments(jnp.float32(7.0), jnp.float32(4.0), jnp.float32(10.0))
    scaled = normalize.scale_reward(moments, jnp.array([3.0, -100.0]), 10.0)
    np.testing.assert_allclose(scaled, [1.5, -10.0], rtol=1e-6)
