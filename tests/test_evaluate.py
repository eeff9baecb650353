"""Evaluation plays whole episodes, each counted once, with a fresh carry."""

from __future__ import annotations

import functools
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from rlsuite.acting.evaluate import evaluate
from rlsuite.contracts import registry
from rlsuite.contracts.types import Agent, Mode, TimeStep


class RandomLength:
    """Episodes of 1 to 6 steps; the reward is the action."""

    id, resumable, time_limit, default_params = "RandomLength", True, None, ()
    observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = spaces.Box(0.0, 100.0, (), np.float32)

    def reset(self, key, params):
        return jax.random.randint(key, (), 1, 7), jnp.zeros(1)

    def step(self, key, state, action, params):
        left = state - 1
        end = left == 0
        return left, TimeStep(jnp.zeros(1), action, end, jnp.bool_(False), {})


class Counting(NamedTuple):
    """A policy that acts by the number of steps since the episode began, times `factor`."""

    factor: jax.Array


def act(policy, carry, obs, is_first, key, mode):
    carry = jnp.where(is_first, 0, carry) + 1
    sign = -1.0 if mode == "greedy" else 1.0
    return sign * policy.factor * carry, carry


def agent_for(env: Any, mode: Mode = "sample") -> Agent:
    """An agent of nothing but `act`."""

    def never(*_, **__):
        raise AssertionError("evaluation must not train")

    def carry(batch):
        return jnp.full(batch, 1000.0)

    return Agent("counting", env, cast(Any, None), 1, never, never, never, never, act, carry, mode)


@functools.cache
def compiled(env: Any, mode: Mode = "sample", forced: Mode | None = None, **options: Any) -> Any:
    """Evaluation as one program, kept for other tests with the same arguments."""
    return jax.jit(partial(evaluate, agent_for(env, mode), mode=forced, **options))


def play(env, episodes=200, seed=0, factor=1.0, **options):
    run = compiled(env, episodes=episodes, **options)
    return run(Counting(jnp.float32(factor)), jax.random.key(seed), env.default_params)


ENV = RandomLength()


def test_every_episode_is_whole_and_counted_once():
    result = play(ENV)
    length = np.asarray(result.lengths)
    assert result.finished.all()
    assert set(length) == set(range(1, 7))
    # 1 + 2 + ... + length: the carry began at 0 and nothing after the end was added.
    np.testing.assert_allclose(result.returns, length * (length + 1) / 2)


def test_short_episodes_are_not_favoured():
    """Playing until so many episodes have ended would count short ones more often."""
    length = np.asarray(play(ENV, episodes=4000).lengths)
    # Uniform on 1..6: standard deviation 1.708.
    assert abs(length.mean() - 3.5) < 5 * 1.708 / 4000**0.5


def test_the_step_limit_cuts_and_says_so():
    whole = np.asarray(play(ENV).lengths)
    result = play(ENV, step_limit=3)
    np.testing.assert_array_equal(result.lengths, np.minimum(whole, 3))
    np.testing.assert_array_equal(result.finished, whole <= 3)
    assert not result.finished.all()


def test_the_environments_time_limit_is_the_bound():
    env = registry.make_env("Probe-ConstantReward", time_limit=9)
    result = play(env, episodes=3)
    np.testing.assert_array_equal(result.returns, 9.0)
    np.testing.assert_array_equal(result.lengths, 9)
    assert result.finished.all()


def test_mode_defaults_to_the_agents_own():
    policy, key = Counting(jnp.float32(1)), jax.random.key(0)
    chosen = compiled(ENV, "greedy", episodes=5)(policy, key, ())
    forced = compiled(ENV, "sample", "greedy", episodes=5)(policy, key, ())
    assert (chosen.returns < 0).all()
    np.testing.assert_array_equal(chosen.returns, forced.returns)


def test_keys_decide_and_policies_may_be_mapped():
    a, b, c = (play(ENV, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.lengths, b.lengths)
    assert (a.lengths != c.lengths).any()
    run = compiled(ENV, episodes=200)
    factors = jnp.array([1.0, 2.0])
    mapped = jax.vmap(lambda f: run(Counting(f), jax.random.key(0), ()))(factors)
    np.testing.assert_array_equal(mapped.returns[0], a.returns)
    np.testing.assert_array_equal(mapped.returns[1], 2 * a.returns)
