"""Worked numbers of the specification: gamma = 0.9, lambda = 0.8."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from rlsuite.ops import returns

GAMMA, LAMBDA = 0.9, 0.8
REWARD = jnp.array([[1.0], [0.0], [2.0], [1.0]])
VALUE = jnp.array([[0.5], [1.0], [0.2], [0.4]])
LAST = jnp.array([0.6])


def advantages(terminated_at=None, truncated_at=None, final=0.0, lambda_=LAMBDA):
    """GAE of the four-step fixture with an episode end at one step."""
    terminated = jnp.arange(4)[:, None] == (-1 if terminated_at is None else terminated_at)
    truncated = jnp.arange(4)[:, None] == (-1 if truncated_at is None else truncated_at)
    v_t = returns.next_values(VALUE, LAST, jnp.full((4, 1), final), truncated)
    discount = GAMMA * (1.0 - terminated)
    adv = returns.gae(REWARD, discount, VALUE, v_t, ~(terminated | truncated), lambda_)
    return np.asarray(adv[:, 0])


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ({}, (2.354847, 1.326176, 2.9808, 1.14)),
        ({"terminated_at": 1}, (0.68, -1.0, 2.9808, 1.14)),
        ({"truncated_at": 1, "final": 0.7}, (1.1336, -0.37, 2.9808, 1.14)),
    ],
)
def test_worked_numbers(ends, expected):
    np.testing.assert_allclose(advantages(**ends), expected, rtol=1e-6)


def test_truncation_in_the_last_step_uses_the_final_observation():
    # delta = 1 + 0.9 * 0.7 - 0.4; the value of the observation after the reset is not read.
    np.testing.assert_allclose(advantages(truncated_at=3, final=0.7)[3], 1.23, rtol=1e-6)


def test_lambda_one_is_the_discounted_return_minus_the_value():
    target, expected = 0.6, []
    for reward in (1.0, 2.0, 0.0, 1.0):
        target = reward + GAMMA * target
        expected.append(target)
    expected = np.array(expected[::-1]) - np.asarray(VALUE[:, 0])
    np.testing.assert_allclose(advantages(lambda_=1.0), expected, rtol=1e-6)


def test_lambda_zero_is_the_td_error():
    v_t = np.array([1.0, 0.2, 0.4, 0.6])
    expected = np.asarray(REWARD[:, 0]) + GAMMA * v_t - np.asarray(VALUE[:, 0])
    np.testing.assert_allclose(advantages(lambda_=0.0), expected, rtol=1e-6)


def test_columns_do_not_mix():
    two = [jnp.concatenate([x, 10 * x], axis=1) for x in (REWARD, VALUE)]
    v_t = jnp.concatenate([two[1][1:], jnp.array([[0.6, 6.0]])])
    alone = returns.gae(REWARD, jnp.full((4, 1), 0.9), VALUE, v_t[:, :1], v_t[:, :1] > 0, 0.8)
    both = returns.gae(two[0], jnp.full((4, 2), 0.9), two[1], v_t, v_t > 0, 0.8)
    np.testing.assert_allclose(both[:, :1], alone, rtol=1e-6)
    np.testing.assert_allclose(both[:, 1:], 10 * alone, rtol=1e-6)
