"""What the gymnax adapter evens out, at the environments' own time limits."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from rlsuite.contracts import registry
from rlsuite.envs.gymnax_adapter import convert_space, strong


@pytest.mark.parametrize(("env_id", "limit"), [("CartPole-v1", 500), ("Pendulum-v1", 200)])
def test_an_episode_runs_to_its_limit_and_is_truncated_there(env_id: str, limit: int) -> None:
    env = registry.make_env(env_id)
    params = env.default_params
    if env_id == "CartPole-v1":
        # A pole that cannot fall, so that nothing but the clock ends the episode.
        params = params.replace(theta_threshold_radians=1e9, x_threshold=1e9)
    action = jnp.zeros(env.action_space.shape, env.action_space.dtype)

    def body(state: Any, key: Any) -> Any:
        state, out = env.step(key, state, action, params)
        return state, (out.terminated, out.truncated)

    @jax.jit
    def run(key: Any) -> Any:
        state, _ = env.reset(key, params)
        return jax.lax.scan(body, state, jax.random.split(key, limit))[1]

    terminated, truncated = run(jax.random.key(0))
    assert not terminated.any()
    assert np.flatnonzero(truncated).tolist() == [limit - 1]


@pytest.mark.parametrize(("env_id", "limit"), [("Breakout-MinAtar", 1000), ("Acrobot-v1", 500)])
def test_the_clock_truncates_in_its_last_step_only(env_id: str, limit: int) -> None:
    env = registry.make_env(env_id)
    state, _ = env.reset(jax.random.key(0), env.default_params)
    step = jax.jit(lambda s: env.step(jax.random.key(1), s, jnp.int32(0), env.default_params)[1])
    for time, over in ((limit - 2, False), (limit - 1, True)):
        out = step(state.replace(time=jnp.int32(time)))
        assert not out.terminated
        assert bool(out.truncated) is over


def test_a_fall_in_the_last_step_has_terminated() -> None:
    env = registry.make_env("CartPole-v1")
    state, _ = env.reset(jax.random.key(0), env.default_params)
    state = state.replace(time=jnp.int32(499), x=jnp.float32(3))
    _, out = env.step(jax.random.key(1), state, jnp.int32(0), env.default_params)
    assert out.terminated
    assert not out.truncated


def test_states_keep_dtype_and_strength_of_type() -> None:
    env = registry.make_env("UmbrellaChain-bsuite")
    state, _ = env.reset(jax.random.key(0), env.default_params)
    new, out = env.step(jax.random.key(1), state, jnp.int32(1), env.default_params)
    for before, after in zip(jax.tree.leaves(state), jax.tree.leaves(new), strict=True):
        assert (before.dtype, before.weak_type) == (after.dtype, after.weak_type)
        assert not before.weak_type
    # gymnax pays in integers here.
    assert out.reward.dtype == jnp.float32


def test_a_discrete_observation_is_one_hot() -> None:
    env = registry.make_env("FrozenLake-misc", is_slippery=False)
    state, obs = env.reset(jax.random.key(0), env.default_params)
    np.testing.assert_array_equal(obs, np.eye(16)[0])
    _, out = env.step(jax.random.key(1), state, jnp.int32(1), env.default_params)
    np.testing.assert_array_equal(out.obs, np.eye(16)[4])


def test_integer_observations_become_floats() -> None:
    env = registry.make_env("FourRooms-misc")
    _, obs = env.reset(jax.random.key(0), env.default_params)
    assert obs.dtype == jnp.float32
    np.testing.assert_array_equal(obs, [4, 1, 8, 9])


def test_the_largest_float_means_unbounded() -> None:
    env = registry.make_env("CartPole-v1")
    space = convert_space(env.simulator.observation_space(env.default_params))
    assert isinstance(space, spaces.Box)
    np.testing.assert_array_equal(np.isinf(space.high), [False, True, False, True])
    assert (space.low == -space.high).all()


def test_parameters_are_arrays_of_their_own_type() -> None:
    leaves = jax.tree.leaves(strong({"a": 1, "b": 2.0, "c": True}))
    assert [leaf.dtype.name for leaf in leaves] == ["int32", "float32", "bool"]
    assert not any(leaf.weak_type for leaf in leaves)


def test_a_parameter_may_be_traced() -> None:
    env = registry.make_env("Pendulum-v1")

    def speed(g: Any) -> Any:
        params = env.default_params.replace(g=g)
        state, _ = env.reset(jax.random.key(0), params)
        return env.step(jax.random.key(1), state, jnp.zeros(1), params)[1].obs[2]

    speeds = jax.vmap(speed)(jnp.array([0.0, 10.0]))
    assert speeds[0] != speeds[1]
