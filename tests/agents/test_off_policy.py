"""What replay-based agents share: what is stored, drawn, counted, normalised; budgets."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from off_policy_tools import Clock, assert_equal, parts_of, ring_of, setup, start, train

from rlsuite.agents.cores import off_policy, replay_source
from rlsuite.agents.online import td3
from rlsuite.contracts import metrics, registry
from rlsuite.contracts.errors import UsageError
from rlsuite.data import replay
from rlsuite.engine.plan.checks import executed_budget


def stored(state: Any) -> Any:
    """The filled rows as numpy."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: int(state.replay.size)], state.replay.data)


@pytest.mark.parametrize(
    ("num_envs", "num_steps", "updates", "starts", "who"),
    [
        (3, 2, 4, 64, "policy"),
        pytest.param(1, 1, 1, 5, "uniform", marks=pytest.mark.slow),
        pytest.param(4, 1, 3, 0, "uniform", marks=pytest.mark.slow),
    ],
)
def test_prefill_and_update_to_data_ratio_are_exact(num_envs, num_steps, updates, starts, who):
    sizes = {"num_envs": num_envs, "num_steps": num_steps, "updates": updates, "prefill": who}
    agent, ctx = setup(Clock(), learning_starts=starts, policy_delay=2, **sizes)
    state = start(agent, ctx)
    prefill = -(-starts // num_envs) * num_envs
    assert agent.prefill == int(state.counters.env_steps) == int(state.replay.size) == prefill
    assert int(state.learner.updates) == int(state.counters.iterations) == 0
    step = jax.jit(agent.step)
    for iteration in range(1, 4):
        state, report = step(state, ctx)
        taken = iteration * num_envs * num_steps
        assert int(state.counters.env_steps) == int(state.replay.size) == prefill + taken
        assert int(state.learner.updates) == iteration * updates
        assert int(state.counters.iterations) == iteration
        # One Q per critic and row, one actor loss for every second update.
        assert float(report["value/q"].count) == updates * 2 * 32
        before, after = (iteration - 1) * updates, iteration * updates
        assert float(report["loss/policy"].count) == after // 2 - before // 2


def test_prefill_counts_in_the_budget():
    config = td3.Config(learning_starts=10, num_envs=4, num_steps=2, updates=1)
    assert executed_budget(config, 100) == (11, 12 + 11 * 8)
    assert executed_budget(config, 20) == (1, 20)
    with pytest.raises(UsageError, match="12 steps that fill the replay: try 20 or more"):
        executed_budget(config, 19)
    with pytest.raises(UsageError, match="try 92 or 100"):
        executed_budget(config, 97, exact=True)


@pytest.fixture(scope="module")
def clock() -> tuple[Any, Any, Any]:
    """(agent, context, state before the first update) in the world that counts."""
    agent, ctx = setup(Clock(), num_envs=3, num_steps=4, normalize_observations=True)
    return agent, ctx, start(agent, ctx)


def test_a_row_is_what_a_step_led_to(clock):
    rows = stored(clock[2])
    time, length = rows.obs[:, 0] % 100, rows.obs[:, 0] // 100
    np.testing.assert_array_equal(rows.next_obs, rows.obs + 1)
    np.testing.assert_array_equal(rows.reward, time)
    over, even = time + 1 == length, length % 2 == 0
    np.testing.assert_array_equal(rows.terminated, over & ~even)
    np.testing.assert_array_equal(rows.truncated, over & even)
    assert rows.terminated.any()
    assert rows.truncated.any()


def test_actions_fill_the_environments_box(clock):
    agent, _, state = clock
    rows = stored(state)
    assert np.abs(rows.action).max() <= 1
    sent = np.asarray(off_policy.to_env(agent.env.action_space, jnp.asarray(rows.action)))
    assert sent.min() < -1.7
    assert sent.max() > 3.7
    corners = off_policy.to_env(agent.env.action_space, jnp.array([[-1.0, 1.0]]))
    np.testing.assert_allclose(corners, [[-2.0, 4.0]])


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("limits", ["bootstrap", "terminal"])
def test_what_the_bootstrap_is_multiplied_by(clock, limits, n_step):
    agent, ctx = setup(
        Clock(), num_envs=3, time_limits=limits, n_step=n_step, reward_scale=2.0, batch_size=256
    )
    batch = replay_source.draw(ring_of(agent), clock[2], jax.random.key(1), ctx)
    obs, then = np.asarray(batch.obs)[:, 0], np.asarray(batch.next_obs)[:, 0]
    length = obs // 100
    steps, over = (then - obs).astype(int), then % 100 == length
    lost = over & (length % 2 == 1) | (over & (limits == "terminal"))
    np.testing.assert_allclose(batch.discount, np.where(lost, 0.0, 0.9**steps), rtol=1e-6)
    sums = [sum(0.9**k * (o % 100 + k) for k in range(s)) for o, s in zip(obs, steps, strict=True)]
    np.testing.assert_allclose(batch.reward, 2 * np.array(sums), rtol=1e-5)
    assert set(steps) == set(range(1, n_step + 1))
    assert (lost.any(), (~lost).any()) == (True, True)


def test_statistics_are_frozen_while_acting_and_applied_when_drawn(clock):
    agent, ctx, state = clock
    seen = stored(state).obs
    np.testing.assert_allclose(state.obs_moments.mean, seen.mean(0), rtol=1e-4)
    np.testing.assert_allclose(state.obs_moments.var, seen.var(0), rtol=1e-3)
    collected, batch = jax.jit(agent.collect)(state, ctx)
    assert_equal(collected.obs_moments, state.obs_moments)
    learned, _ = jax.jit(agent.learn)(collected, batch, ctx)
    everything = stored(collected).obs
    np.testing.assert_allclose(learned.obs_moments.mean, everything.mean(0), rtol=1e-4)
    drawn = replay_source.draw(ring_of(agent), learned, jax.random.key(0), ctx)
    places = replay.draw(learned.replay, jax.random.key(0), (32,))
    for shown, raw in ((drawn.obs, "obs"), (drawn.next_obs, "next_obs")):
        rows = np.asarray(getattr(learned.replay.data, raw))[np.asarray(places)]
        scaled = (rows - learned.obs_moments.mean) / np.sqrt(learned.obs_moments.var)
        np.testing.assert_allclose(shown, scaled, rtol=1e-4, atol=1e-5)


def test_acting_sees_what_the_statistics_make_of_an_observation(clock):
    agent, _, state = clock
    policy, obs = agent.policy(state), jnp.array([[310.0], [205.0]])
    act = partial(agent.act, carry=(), is_first=jnp.ones(2, bool), key=jax.random.key(0))
    action, _ = act(policy, obs=obs, mode="greedy")
    fresh = jax.tree.map(jnp.zeros_like, policy.obs_moments).replace(var=jnp.ones(1))
    scaled = (obs - state.obs_moments.mean) / jnp.sqrt(state.obs_moments.var)
    expected, _ = act(policy._replace(obs_moments=fresh), obs=scaled, mode="greedy")
    np.testing.assert_allclose(action, expected, rtol=1e-4)
    assert np.abs(action[0] - action[1]).max() > 1e-3


CONSTANT: dict[str, Any] = {
    "num_envs": 4, "num_steps": 2, "updates": 8, "hidden": (16,), "learning_starts": 128,
    # Targets close a tenth of their gap each update: 2000 updates are twenty time constants.
    "tau": 0.1, "policy_delay": 1,
}  # fmt: skip


def constant_reward_values(limits: str) -> np.ndarray:
    """Q of what was done, after training on a reward of 1 a step under a time limit of 9 steps."""
    env = registry.make_env("Probe-ConstantReward-Continuous", time_limit=9)
    agent, ctx = setup(env, time_limits=limits, **CONSTANT)
    states = train(agent, ctx, 3, 250)
    q = parts_of(agent).algorithm.update.args[0].critics.apply

    def values(state: Any) -> Any:
        # Of actions never taken nothing is known.
        rows = jax.tree.map(lambda leaf: leaf[-256:], state.replay.data)
        return q(state.learner.critics, rows.obs, rows.action)

    return np.asarray(jax.vmap(values)(states))


def test_value_is_that_of_the_endless_world():
    """Of six seeds the largest error was 0.13 percent."""
    np.testing.assert_allclose(constant_reward_values("bootstrap"), 10.0, rtol=0.03)


def test_taking_the_limit_for_the_end_misses_by_far():
    """Nothing is worth more than (1 - 0.9^9)/(1 - 0.9) = 6.13."""
    assert constant_reward_values("terminal").max() < 6.4


def test_metrics_of_a_scan_are_those_of_its_steps_merged():
    kinds = [
        {
            "mean": metrics.Mean(jnp.float32(i), jnp.float32(i % 2)),
            "last": metrics.Last(jnp.float32(i)),
            "min": metrics.Min(jnp.float32(-i)),
            "max": metrics.Max(jnp.float32(i)),
        }
        for i in range(4)
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *kinds)
    merged = metrics.empty(kinds[0])
    for one in kinds:
        merged = metrics.merge(merged, one)
    assert metrics.to_host(metrics.reduce(stacked)) == metrics.to_host(merged)
    assert metrics.to_host(merged) == {"mean": 3.0, "last": 3.0, "min": -3.0, "max": 3.0}


# XLA unrolls loops of one pass, so that with one environment and one update the write and the draw
# stand in one loop body; with more they do not.
@pytest.mark.parametrize(
    ("num_envs", "updates", "n_step"),
    [(1, 1, 1), (1, 1, 3), (1, 4, 1), (4, 1, 1), (4, 2, 2)],
)
def test_a_step_copies_no_ring(num_envs: int, updates: int, n_step: int):
    """With the state donated, a chunk's working memory is a small part of the ring's."""
    sizes: Any = {"num_envs": num_envs, "updates": updates, "n_step": n_step}
    agent, ctx = setup("Pendulum-v1", buffer_size=100_000, **sizes)
    state = jax.eval_shape(agent.init, jax.random.key(0), ctx)

    def chunk(state: Any, ctx: Any, count: Any) -> Any:
        return jax.lax.fori_loop(0, count, lambda _, s: agent.step(s, ctx)[0], state)

    lowered = jax.jit(chunk, donate_argnums=0).lower(state, ctx, jnp.int32(5))
    memory: Any = lowered.compile().memory_analysis()
    ring = 100_000 * replay.row_bytes(ring_of(agent).example)
    assert memory.alias_size_in_bytes > ring
    assert memory.temp_size_in_bytes < ring / 10
    filling = jax.jit(agent.init).lower(jax.random.key(0), ctx).compile()
    memory = filling.memory_analysis()
    assert memory.temp_size_in_bytes < ring / 10


def test_an_unjitted_start_may_be_donated():
    agent, ctx = setup(Clock())
    key = jax.random.key(0)
    state = agent.init(key, ctx)
    again = agent.init(key, ctx, agent.policy(state))
    step = jax.jit(lambda s: agent.step(s, ctx)[0], donate_argnums=0)
    step(again)
    step(state)
    assert not key.is_deleted()


def test_buffers_that_cannot_hold_what_comes_are_refused():
    with pytest.raises(UsageError, match=r"buffer_size 100 cannot hold.*try 128 or more"):
        td3.Config(buffer_size=100, learning_starts=128)
    with pytest.raises(UsageError, match=r"buffer_size 100 cannot hold.*try 256 or more"):
        td3.Config(buffer_size=100, learning_starts=0, num_envs=64, num_steps=4)
    with pytest.raises(UsageError, match=r"shorter than agent.n_step 30.*try 120 or more"):
        td3.Config(buffer_size=100, learning_starts=0, num_envs=4, n_step=30)
