"""The vector layer: true final observations, masks, reset strategies, determinism."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from jaxtyping import Array, Int, Key, PRNGKeyArray

from rlsuite.acting import vector
from rlsuite.acting.vector import ResetStrategy, VectorState, VectorStep
from rlsuite.contracts.types import Environment, TimeStep

N = 4


class CounterState(NamedTuple):
    time: Int[Array, ""]
    name: Int[Array, ""]
    key: PRNGKeyArray


class Counter:
    """Counts up from 0. Action 1 ends the world; after three steps the time limit does.

    The observation is (time, name), the name a number drawn at reset; the state holds a typed key.
    """

    id = "Counter"
    observation_space = spaces.Box(0, np.inf, (2,), np.float32)
    action_space = spaces.Discrete(2)
    default_params = jnp.float32(1)
    time_limit: int | None = 3
    resumable = True

    def reset(self, key: PRNGKeyArray, params: Array) -> tuple[CounterState, Array]:
        name_key, own = jax.random.split(key)
        name = jax.random.randint(name_key, (), 1, 2**20)
        state = CounterState(jnp.int32(0), name, own)
        return state, self._observe(state)

    def step(
        self, key: PRNGKeyArray, state: CounterState, action: Array, params: Array
    ) -> tuple[CounterState, TimeStep]:
        new = state._replace(time=state.time + 1, key=jax.random.fold_in(state.key, 1))
        terminated = action == 1
        truncated = (new.time >= 3) & ~terminated
        reward = params * new.time.astype(jnp.float32)
        return new, TimeStep(self._observe(new), reward, terminated, truncated, {})

    def _observe(self, state: CounterState) -> Array:
        return jnp.stack([state.time, state.name]).astype(jnp.float32)


@functools.cache
def compiled(strategy: ResetStrategy, pool_size: int) -> tuple[Any, Any]:
    envs = vector.make(Counter(), N, strategy, pool_size)
    return jax.jit(envs.reset), jax.jit(envs.step)


def play(
    actions: Any, strategy: ResetStrategy = "full", seed: int = 0, pool_size: int = 0
) -> tuple[VectorState, Array, VectorStep]:
    """(first state, first obs, steps stacked over time) for actions [t, n]."""
    assert isinstance(Counter(), Environment)
    reset, step = compiled(strategy, pool_size)
    key, params = jax.random.key(seed), Counter.default_params
    first, obs = reset(jax.random.fold_in(key, 0), params)
    state, steps = first, []
    for t, row in enumerate(np.asarray(actions), 1):
        state, out = step(jax.random.fold_in(key, t), state, row, params)
        steps.append(out)
    return first, obs, jax.tree.map(lambda *x: np.stack(x), *steps)


def some_actions(steps: int = 12) -> np.ndarray:
    return np.asarray(jax.random.bernoulli(jax.random.key(7), 0.3, (steps, N))).astype(np.int32)


def test_final_obs_is_what_the_episode_ended_in() -> None:
    _, obs, steps = play([[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]])
    names = np.asarray(obs)[:, 1]
    # Copy 0 runs into the limit at time 3, with its own name still on it.
    assert steps.truncated[:, 0].tolist() == [False, False, True]
    np.testing.assert_array_equal(steps.final_obs[2, 0], [3, names[0]])
    # Copy 3 ends in its first step, copy 1 in its second.
    np.testing.assert_array_equal(steps.final_obs[0, 3], [1, names[3]])
    np.testing.assert_array_equal(steps.final_obs[1, 1], [2, names[1]])
    # What is acted on next is a new beginning.
    assert steps.obs[2, 0, 0] == steps.obs[0, 3, 0] == steps.obs[1, 1, 0] == 0
    assert steps.obs[2, 0, 1] != names[0]


def test_final_obs_equals_obs_where_nothing_ended() -> None:
    _, _, steps = play(some_actions())
    going = ~steps.episodes.finished
    assert going.any()
    assert (~going).any()
    np.testing.assert_array_equal(steps.final_obs[going], steps.obs[going])
    assert (steps.final_obs[~going][:, 0] > 0).all()


def test_a_time_limit_is_truncated_and_never_terminated() -> None:
    _, _, steps = play(np.zeros((9, N), np.int32))
    assert not steps.terminated.any()
    np.testing.assert_array_equal(steps.truncated.all(1), [False, False, True] * 3)


def test_ending_in_the_last_step_before_the_limit_is_terminated() -> None:
    _, _, steps = play([[0] * N, [0] * N, [1] * N])
    assert steps.terminated[2].all()
    assert not steps.truncated.any()


def test_episode_statistics_count_each_episode_once() -> None:
    _, _, steps = play([[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 1, 1]])
    ended = steps.episodes
    assert ended.finished.tolist() == [
        [False, False, False, True],
        [False, True, False, False],
        [True, False, True, False],
        [False, True, True, True],
    ]
    assert ended.returns[ended.finished].tolist() == [1, 3, 6, 6, 3, 1, 6]
    assert ended.lengths[ended.finished].tolist() == [1, 2, 3, 3, 2, 1, 3]


def test_full_resets_differ_from_each_other_and_over_time() -> None:
    _, obs, steps = play(np.ones((3, N), np.int32), "full")
    names = np.concatenate([np.asarray(obs)[:, 1], steps.obs[..., 1].ravel()])
    assert len(set(names)) == 4 * N


def test_pool_resets_come_from_the_pool() -> None:
    first, _, steps = play(np.ones((20, N), np.int32), "pool", pool_size=3)
    pool = set(np.asarray(first.pool[1])[:, 1])
    assert len(pool) == 3
    assert set(steps.obs[..., 1].ravel()) == pool


def test_a_refreshed_pool_is_another_and_other_strategies_have_none() -> None:
    env = Counter()
    params = env.default_params
    pooled, plain = vector.make(env, N, "pool"), vector.make(env, N)
    state, _ = pooled.reset(jax.random.key(0), params)
    fresh = pooled.refresh(jax.random.key(1), state, params)
    assert not np.intersect1d(state.pool[1][:, 1], fresh.pool[1][:, 1]).size
    np.testing.assert_array_equal(fresh.env.name, state.env.name)
    state, _ = plain.reset(jax.random.key(0), params)
    assert state.pool is None
    assert plain.refresh(jax.random.key(1), state, params) is state


def test_cached_resets_are_each_copys_own_first_state() -> None:
    _, obs, steps = play(np.ones((5, N), np.int32), "cached")
    assert len(set(np.asarray(obs)[:, 1])) == N
    np.testing.assert_array_equal(steps.obs, np.broadcast_to(obs, steps.obs.shape))


@pytest.mark.parametrize("strategy", ["full", "pool", "cached"])
def test_the_same_key_gives_the_same_rows(strategy: ResetStrategy) -> None:
    actions = some_actions()
    a, b = play(actions, strategy)[2], play(actions, strategy)[2]
    jax.tree.map(np.testing.assert_array_equal, a, b)
    other = play(actions, strategy, seed=1)[2]
    assert not np.array_equal(a.obs, other.obs)


@pytest.mark.parametrize("strategy", ["full", "pool", "cached"])
def test_typed_keys_in_states_are_reset_with_them(strategy: ResetStrategy) -> None:
    env = Counter()
    envs = vector.make(env, N, strategy)
    state, _ = envs.reset(jax.random.key(0), env.default_params)
    going = jnp.array([0, 1, 0, 1])
    new, _ = envs.step(jax.random.key(1), state, going, env.default_params)
    before, after = (np.asarray(jax.random.key_data(s.env.key)) for s in (state, new))
    stepped = jax.random.key_data(jax.vmap(lambda k: jax.random.fold_in(k, 1))(state.env.key))
    np.testing.assert_array_equal(after[::2], np.asarray(stepped)[::2])
    if strategy == "cached":
        np.testing.assert_array_equal(after[1::2], before[1::2])
    else:
        assert not np.array_equal(after[1::2], before[1::2])
        assert not np.array_equal(after[1::2], np.asarray(stepped)[1::2])


def test_parameters_may_be_mapped() -> None:
    env = Counter()
    envs = vector.make(env, N)

    def first_reward(params: Array) -> Array:
        state, _ = envs.reset(jax.random.key(0), params)
        return envs.step(jax.random.key(1), state, jnp.zeros(N, jnp.int32), params)[1].reward

    rewards = jax.vmap(first_reward)(jnp.array([1.0, 5.0]))
    np.testing.assert_array_equal(rewards, [[1.0] * N, [5.0] * N])


def test_an_environment_may_bring_its_own_vector_form() -> None:
    own = vector.make(Counter(), 2)

    class Own(Counter):
        def vectorize(self, num_envs: int) -> vector.VectorEnv:
            return own

    assert vector.make(Own(), 7) is own


class Thrifty(Counter):
    """Resets only the rows that are wanted, and leaves nonsense in the others."""

    def reset_rows(
        self, keys: Key[Array, " n"], wanted: Array, params: Array
    ) -> tuple[CounterState, Array]:
        state, obs = jax.vmap(self.reset, in_axes=(0, None))(keys, params)
        nonsense = CounterState(state.time - 7, state.name * 0 - 1, keys)
        state = jax.tree.map(lambda a, b: vector.select(wanted, a, b), state, nonsense)
        return state, vector.select(wanted, obs, jnp.full_like(obs, jnp.nan))


def test_resetting_only_the_finished_rows_changes_nothing() -> None:
    actions = jnp.array([[0, 1, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])

    def run(env: Any) -> tuple[Any, Any]:
        envs = vector.make(env, N)
        state, _ = envs.reset(jax.random.key(1), env.default_params)
        step, outs = jax.jit(envs.step), []
        for t, row in enumerate(actions):
            state, out = step(jax.random.key(t), state, row, env.default_params)
            outs.append(out)
        state = state.replace(env=state.env._replace(key=jax.random.key_data(state.env.key)))
        return state, outs

    plain, thrifty = run(Counter()), run(Thrifty())
    jax.tree.map(np.testing.assert_array_equal, plain, thrifty)
