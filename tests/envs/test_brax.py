"""brax's tasks: rows, the contract against brax's own steps, resets drawn anew."""

from __future__ import annotations

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlsuite.acting import vector
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.envs import brax_rows
from rlsuite.envs.brax_adapter import quiet
from rlsuite.envs.gym_rows import light

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("brax") is None, reason="the extra 'brax' is not installed"
)
ALL = [row.id for row in brax_rows.ROWS]


@pytest.mark.parametrize("env_id", ["brax:inverted_pendulum-spring", "brax:hopper-positional"])
def test_rows_say_what_the_task_has(env_id: str) -> None:
    check_row(env_id)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ALL)
def test_every_row_says_what_the_task_has(env_id: str) -> None:
    check_row(env_id)


def check_row(env_id: str) -> None:
    row, env = registry.env(env_id), registry.make_env(env_id)
    assert light(env.observation_space) == row.observation
    assert light(env.action_space) == row.action
    assert env.time_limit == row.time_limit == 1000


def test_steps_are_braxs_own_and_the_time_limit_is_no_end() -> None:
    """The pendulum stands for its first steps: brax says not done, the limit says truncated."""
    env = registry.make_env("brax:inverted_pendulum-spring", time_limit=3)
    key = jax.random.key(3)
    with quiet():
        theirs = jax.jit(env._env.reset)(jax.random.key_data(key))
    state, obs = jax.jit(env.reset)(key, ())
    np.testing.assert_allclose(obs, theirs.obs, rtol=1e-6)
    step, their_step = jax.jit(env.step), jax.jit(env._env.step)
    for t in range(3):
        action = jnp.array([0.1 * t])
        with quiet():
            theirs = their_step(theirs, action)
        state, out = step(key, state, action, ())
        np.testing.assert_allclose(out.obs, theirs.obs, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(out.reward, theirs.reward, rtol=1e-5)
        assert not out.terminated
        assert bool(out.truncated) == (t == 2)


@pytest.mark.slow
def test_a_finished_copy_starts_from_a_new_state_unless_cached() -> None:
    """What brax's own wrapper does is the named strategy `cached`, not the default."""
    env = registry.make_env("brax:inverted_pendulum-spring", time_limit=1)
    seen = {}
    for strategy in ("full", "cached"):
        envs = vector.make(env, 2, strategy)
        state, first = jax.jit(envs.reset)(jax.random.key(0), ())
        _, out = jax.jit(envs.step)(jax.random.key(1), state, jnp.zeros((2, 1)), ())
        assert out.truncated.all()
        seen[strategy] = np.abs(out.obs - first).max()
    assert seen["cached"] == 0
    assert seen["full"] > 1e-4


def test_a_backend_must_be_named() -> None:
    with pytest.raises(UsageError, match="brax:hopper-"):
        registry.env("brax:hopper")


def test_an_engine_that_brax_has_not_is_no_row() -> None:
    assert "brax:swimmer-generalized" in ALL
    assert "brax:swimmer-spring" not in ALL


def test_the_swimmers_fluid_can_be_traced() -> None:
    """brax 0.14 calls `jnp.clip` by a keyword that jax has dropped, there only."""
    env = registry.make_env("brax:swimmer-generalized")
    key = jax.random.key(0)
    state, obs = jax.eval_shape(env.reset, key, ())
    _, out = jax.eval_shape(env.step, key, state, jnp.zeros(env.action_space.shape), ())
    assert out.obs.shape == obs.shape == (8,)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ALL)
def test_every_task_steps_in_a_scan(env_id: str) -> None:
    env = registry.make_env(env_id, time_limit=5)
    envs = vector.make(env, 2)

    def run(key: jax.Array) -> vector.VectorStep:
        state, _ = envs.reset(key, ())

        def body(
            state: vector.VectorState, key: jax.Array
        ) -> tuple[vector.VectorState, vector.VectorStep]:
            shape = (2, *env.action_space.shape)
            action = jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
            return envs.step(key, state, action, ())

        return jax.lax.scan(body, state, jax.random.split(key, 11))[1]

    out = jax.jit(run)(jax.random.key(0))
    assert jnp.isfinite(out.obs).all()
    assert jnp.isfinite(out.reward).all()
    assert (out.episodes.lengths[out.episodes.finished] <= 5).all()
    assert out.truncated.any() | out.terminated.any()
