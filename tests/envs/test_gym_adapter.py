"""The Gymnasium host adapter: rows, the vector contract, order, seeds, PPO and evaluation on it."""

from __future__ import annotations

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from rlsuite.acting import vector
from rlsuite.acting.evaluate import evaluate
from rlsuite.acting.vector import VectorEnv, VectorStep
from rlsuite.agents.online.ppo import agent as ppo
from rlsuite.agents.online.ppo.config import Config
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.keys import root
from rlsuite.contracts.types import Context, Environment, Hyper
from rlsuite.envs import gym_adapter, gym_rows, host
from rlsuite.envs.gym_rows import decode, seen

CARTPOLE = "gym:CartPole-v1"


def run(envs: VectorEnv, actions: Any, seed: int = 0) -> tuple[Any, Any, VectorStep]:
    """(last state, first obs, steps) of one jitted scan over actions [t, n]."""

    @jax.jit
    def play(key: Any, actions: Any) -> Any:
        state, obs = envs.reset(key, ())
        last, steps = jax.lax.scan(lambda s, a: envs.step(key, s, a, ()), state, actions)
        return last, obs, steps

    return play(jax.random.key(seed), jnp.asarray(actions))


def test_a_row_is_looked_up_without_being_listed() -> None:
    row = registry.env("gym:Pendulum-v1")
    assert (row.time_limit, row.family, row.resumable) == (200, "gymnasium", False)
    assert str(row.observation) == "Box(3,)"
    assert (row.action.low, row.action.high, row.action.shape) == (-2, 2, (1,))
    assert "g" in row.options
    assert row.id not in registry.envs()


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("gym:CartPol-v1", r"no environment 'gym:CartPol-v1': did you mean 'gym:CartPole-v1'"),
        ("gym:nowhere:Thing-v0", r"gym:nowhere:Thing-v0: no module 'nowhere', neither in /"),
        ("gym:Blackjack-v1", r"gym:Blackjack-v1 has Tuple observations: rlsuite takes Box or"),
    ],
)
def test_a_mistake_is_one_line(env_id: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        registry.env(env_id)
    assert "\n" not in str(caught.value)


def test_spaces_the_suite_cannot_use_are_refused() -> None:
    with pytest.raises(UsageError, match="x has MultiDiscrete actions"):
        gym_rows.playable(spaces.MultiDiscrete([2, 3]), "x")
    with pytest.raises(UsageError, match="x has Box actions"):
        gym_rows.playable(spaces.Box(0, 255, (2,), np.uint8), "x")
    with pytest.raises(UsageError, match="x has Dict observations"):
        gym_rows.encoded(spaces.Dict({"a": spaces.Discrete(2)}), "x")


def test_images_stay_bytes_and_doubles_become_singles() -> None:
    # Bytes that are no picture's (a board, the memory of a game) are numbers like others.
    assert gym_rows.encoded(spaces.Box(0, 2, (9, 9), np.uint8), "x").dtype == np.float32
    assert gym_rows.encoded(spaces.Box(0, 255, (128,), np.uint8), "x").dtype == np.float32
    assert gym_rows.encoded(spaces.Box(0, 255, (4, 4, 3), np.uint8), "x").dtype == np.uint8
    assert gym_rows.encoded(spaces.Box(-np.inf, np.inf, (2,), np.float64), "x").dtype == np.float32


class Goal(gymnasium.Env):
    """A task with a goal, as gymnasium-robotics has them."""

    action_space = spaces.Box(-1.0, 1.0, (1,))
    observation_space = spaces.Dict(
        desired_goal=spaces.Box(-3.0, 3.0, (1,)), achieved_goal=spaces.Box(-2.0, 2.0, (1,)),
        observation=spaces.Box(-1.0, 1.0, (2,)),
    )  # fmt: skip

    def _see(self) -> dict[str, Any]:
        at = np.zeros(1, np.float32) + self.t / 10
        return {"observation": np.r_[at, at], "achieved_goal": at + 1, "desired_goal": at + 2}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self._see(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return self._see(), 0.0, False, False, {}


def test_observations_with_a_goal_are_joined_as_minaris_are() -> None:
    make: Any = Goal
    gymnasium.register("Goal-v0", entry_point=make, max_episode_steps=2)
    try:
        env = gym_adapter.make("gym:Goal-v0")
        assert registry.env("gym:Goal-v0").observation.shape == (4,)
        assert env.observation_space.low.tolist() == [-1, -1, -2, -3]
        _, first, steps = run(vector.make(env, 2), np.zeros((3, 2, 1), np.float32))
        assert first[0].tolist() == [0, 0, 1, 2]
        np.testing.assert_allclose(steps.final_obs[1, 0], [0.2, 0.2, 1.2, 2.2])
        assert steps.obs[1, 0].tolist() == [0, 0, 1, 2]
    finally:
        gymnasium.registry.pop("Goal-v0")


def test_discrete_spaces_that_start_elsewhere() -> None:
    shifted = spaces.Discrete(3, start=-1)
    assert gym_rows.playable(shifted, "x") == spaces.Discrete(3, start=-1, dtype=np.int32)
    sent = decode(np.int32(-1), shifted)
    assert (sent, type(sent)) == (-1, np.int64)
    np.testing.assert_array_equal(seen("x", shifted, 1), [0, 0, 1])
    with pytest.raises(UsageError, match="x: observation -2 is outside its space"):
        seen("x", shifted, -2)


def test_it_steps_as_gymnasium_does_from_the_same_seeds() -> None:
    env = registry.make_env(CARTPOLE)
    assert isinstance(env, Environment)
    actions = np.asarray(jax.random.randint(jax.random.key(5), (60, 2), 0, 2))
    last, first, steps = run(vector.make(env, 2), actions)
    seeds = np.asarray(jax.random.bits(jax.random.key(0), (2,), jnp.uint32))
    ended = 0
    for i in range(2):
        known = gymnasium.make("CartPole-v1")
        obs, _ = known.reset(seed=int(seeds[i]))
        np.testing.assert_array_equal(first[i], obs)
        total = 0.0
        for t in range(60):
            obs, reward, terminated, truncated, _ = known.step(actions[t, i])
            total += float(reward)
            np.testing.assert_array_equal(steps.final_obs[t, i], obs)
            assert bool(steps.terminated[t, i]) is terminated
            assert bool(steps.episodes.finished[t, i]) is (terminated or truncated)
            if terminated or truncated:
                assert steps.episodes.returns[t, i] == steps.episodes.lengths[t, i] == total
                obs, total, ended = known.reset()[0], 0.0, ended + 1
            np.testing.assert_array_equal(steps.obs[t, i], obs)
        assert last.episode_return[i] == total
    assert ended > 1


def test_a_time_limit_is_truncated() -> None:
    env = registry.make_env("gym:Pendulum-v1", max_episode_steps=5)
    assert env.time_limit == 5
    _, _, steps = run(vector.make(env, 2), np.zeros((11, 2, 1), np.float32))
    assert not steps.terminated.any()
    assert np.flatnonzero(steps.truncated.all(1)).tolist() == [4, 9]
    assert (steps.final_obs[4] != steps.obs[4]).any()


def test_order_holds_in_a_while_loop() -> None:
    envs = vector.make(registry.make_env("gym:Pendulum-v1", max_episode_steps=7), 1)

    @jax.jit
    def until_the_end(key: Any) -> Any:
        state, obs = envs.reset(key, ())

        def body(loop: Any) -> Any:
            t, state, _, _ = loop
            state, out = envs.step(key, state, jnp.zeros((1, 1)), ())
            return t + 1, state, out.final_obs, out.truncated.all()

        start = (jnp.int32(0), state, obs, jnp.bool_(False))
        return jax.lax.while_loop(lambda loop: ~loop[3], body, start)

    assert int(until_the_end(jax.random.key(0))[0]) == 7


def test_seeds_come_from_the_key() -> None:
    envs = vector.make(registry.make_env(CARTPOLE), 2)
    actions = np.zeros((15, 2), np.int32)
    a, b, c = (run(envs, actions, seed)[2] for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.obs, b.obs)
    assert not np.array_equal(a.obs, c.obs)
    assert not np.array_equal(a.obs[:, 0], a.obs[:, 1])


def test_no_two_vector_environments_share_a_simulator() -> None:
    env = registry.make_env(CARTPOLE)
    one, other = vector.make(env, 1), vector.make(env, 1)
    state, _ = one.reset(jax.random.key(0), ())
    first, _ = one.step(jax.random.key(0), state, jnp.zeros(1, jnp.int32), ())
    elsewhere, _ = other.reset(jax.random.key(3), ())
    other.step(jax.random.key(0), elsewhere, jnp.ones(1, jnp.int32), ())
    _, out = one.step(jax.random.key(0), first, jnp.zeros(1, jnp.int32), ())
    _, _, alone = run(vector.make(env, 1), np.zeros((2, 1), np.int32))
    np.testing.assert_array_equal(out.obs, alone.obs[1])


def test_a_state_that_is_not_the_latest_is_refused() -> None:
    envs = vector.make(registry.make_env(CARTPOLE), 1)
    state, _ = envs.reset(jax.random.key(0), ())
    action = jnp.zeros(1, jnp.int32)
    jax.block_until_ready(envs.step(jax.random.key(0), state, action, ()))
    with pytest.raises(jax.errors.JaxRuntimeError, match="cannot go back"):
        jax.block_until_ready(envs.step(jax.random.key(0), state, action, ()))


def test_mapping_over_seeds_is_refused() -> None:
    envs = vector.make(registry.make_env(CARTPOLE), 1)
    with pytest.raises(UsageError, match="one seed at a time"):
        jax.vmap(lambda key: envs.reset(key, ()))(jax.random.split(jax.random.key(0), 2))


def test_it_cannot_be_stepped_as_a_pure_function() -> None:
    env = registry.make_env(CARTPOLE)
    with pytest.raises(NotImplementedError, match=r"use rlsuite\.vector\.make"):
        env.reset(jax.random.key(0), ())


def test_the_shim_gives_the_same_through_io_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = jax.ShapeDtypeStruct((3,), jnp.float32)

    def double() -> Any:
        return jax.jit(lambda x: host.call(lambda a: (a * 2,), (shape,), x)[0])(jnp.arange(3.0))

    through_buffers = double()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_array_equal(double(), through_buffers)
    np.testing.assert_array_equal(through_buffers, [0, 2, 4])


def test_ppo_trains_and_is_evaluated_on_it() -> None:
    env = registry.make_env(CARTPOLE)
    config = Config(num_envs=2, num_steps=16, hidden=(8,), epochs=1, minibatches=1)
    agent = ppo.make(env, config)
    hyper = Hyper({name: jnp.asarray(value) for name, value in config.hyper().items()})
    ctx = Context(hyper, env.default_params, jnp.int32(2))
    state = jax.jit(agent.init)(root(0), ctx)
    collect, learn = jax.jit(agent.collect), jax.jit(agent.learn)
    state, batch = collect(state, ctx)
    state, _ = learn(state, batch, ctx)
    state, batch = collect(state, ctx)
    assert (batch.steps.reward == 1).all()
    state, metrics = learn(state, batch, ctx)
    assert int(state.counters.env_steps) == 64
    assert np.isfinite(float(metrics["loss/value"].sum))
    play = jax.jit(lambda p, key: evaluate(agent, p, key, (), episodes=2))
    first, again = (play(agent.policy(state), jax.random.key(1)) for _ in range(2))
    assert first.finished.all()
    np.testing.assert_array_equal(first.returns, first.lengths)
    np.testing.assert_array_equal(first.returns, again.returns)
    # Training goes on where it was: the evaluation had a simulator of its own.
    collect(state, ctx)
