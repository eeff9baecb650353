"""What all agents on datasets share: minibatches, acting, and that they learn."""

from __future__ import annotations

from functools import partial
from typing import Any

import cloning_tools
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from off_policy_tools import parts_of
from offline_tools import dataset_for
from tiny import assert_close

from rlsuite.agents.cores.off_policy import Minibatch, due
from rlsuite.contracts import keys
from rlsuite.contracts.types import Agent, Context, TimeStep
from rlsuite.data.dataset import Dataset, Rows
from rlsuite.envs.datasets import view

KEY = jax.random.key(0)
TINY: dict[str, Any] = {"hidden": (16,), "batch_size": 8, "updates": 2}
# Of each agent: what makes it learn within some hundred updates of small networks.
QUICK: dict[str, Any] = {
    "hidden": (32, 32), "batch_size": 64, "updates": 300, "learning_rate": 3e-3, "rewards": "none",
}  # fmt: skip
CRITICS: dict[str, Any] = {"critic_hidden": (32, 32), "gamma": 0.9, "tau": 0.05}
PULLED: dict[str, Any] = {**CRITICS, "critic_learning_rate": 3e-3}
AGENTS: dict[str, dict[str, Any]] = {
    "td3-bc": PULLED,
    "rebrac": {**PULLED, "actor_beta": 0.01, "critic_beta": 0.01},
    "prdc": {**PULLED, "search": "exact"},
    "a2pr": {**PULLED, "vae_hidden": (32,)},
    "iql": CRITICS,
    "odice": {**CRITICS, "odice_lambda": 0.5},
    "cql": {**CRITICS, "cql_actions": 4, "cql_alpha": 1.0},
}


class Slide:
    """x' = x + a/2, reward -x'^2: the best action is -2x, as far as it goes."""

    id = "Slide"
    resumable = True
    time_limit = None
    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = spaces.Box(np.float32(-1.0), np.float32(1.0), (1,), np.float32)
    default_params = ()

    def reset(self, key: Any, params: Any) -> Any:
        x = jax.random.uniform(key, (1,), minval=-1.0)
        return x, x

    def step(self, key: Any, state: Any, action: Any, params: Any) -> Any:
        x = state + 0.5 * action
        return x, TimeStep(x, -jnp.square(x[0]), jnp.bool_(False), jnp.bool_(False), {})


def pushed_away(episodes: int = 200, length: int = 10) -> Dataset:
    """Recorded by a policy that on the whole pushes away from the goal, under a time limit."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (episodes, 1))
    obs, action, reward = [], [], []
    for _ in range(length):
        a = np.clip(0.3 * x + rng.normal(0, 0.6, x.shape), -1, 1)
        obs.append(x)
        action.append(a)
        x = x + 0.5 * a
        reward.append(-np.square(x[:, 0]))
    after = [*obs[1:], x]
    n = episodes * length
    last, number = np.arange(n) % length == length - 1, np.arange(n) // length
    here, acted, after = (in_order(part) for part in (obs, action, [*obs[1:], x]))
    follows, no = np.roll(acted, -1, 0), np.zeros(n, bool)
    rows: Any = (here, acted, in_order(reward), no, last, after, follows, ~last, number)
    rows = Rows(*rows)
    return jax.tree.map(jnp.asarray, Dataset(rows, view.statistics(rows, length)))


def in_order(steps: list[np.ndarray]) -> np.ndarray:
    """Episode after episode, of one array per step."""
    together = np.stack(steps, 1)
    return together.reshape(-1, *together.shape[2:]).astype(np.float32)


def setup(name: str, data: Dataset, **settings: Any) -> tuple[Agent, Context]:
    """An agent on data of the slide."""
    return cloning_tools.setup(name, Slide(), 1, data, **settings)


def all_rows(data: Dataset, rewards: str = "none", standardize: bool = True) -> Any:
    """The minibatch of all rows."""
    agent, ctx = setup("td3-bc", data, **TINY, rewards=rewards, standardize=standardize)
    state = agent.init(keys.root(0), ctx)
    return parts_of(agent).source.minibatch(state, jnp.arange(data.size), ctx)


@pytest.mark.parametrize("standardize", [True, False])
def test_a_minibatch_is_the_rows_scaled(standardize):
    data = dataset_for(Slide())
    batch = all_rows(data, standardize=standardize)
    obs, after = (np.asarray(x, np.float64) for x in (data.rows.obs, data.rows.next_obs))
    mean, divisor = (obs.mean(0), obs.std(0) + 1e-3) if standardize else (0.0, 1.0)
    np.testing.assert_allclose(batch.obs, (obs - mean) / divisor, atol=1e-5)
    np.testing.assert_allclose(batch.next_obs, (after - mean) / divisor, atol=1e-5)
    np.testing.assert_array_equal(batch.action, data.rows.action)
    np.testing.assert_array_equal(batch.recorded.next_action, data.rows.next_action)
    np.testing.assert_array_equal(batch.recorded.place, np.arange(data.size))


def test_only_a_true_end_is_without_a_future():
    """Time limits are among the rows, and their future counts in full."""
    data = dataset_for(Slide())
    batch = all_rows(data)
    terminated, truncated = (np.asarray(x) for x in (data.rows.terminated, data.rows.truncated))
    assert terminated.any()
    assert truncated.any()
    np.testing.assert_array_equal(batch.discount[terminated], 0.0)
    np.testing.assert_allclose(batch.discount[~terminated], 0.99)


@pytest.mark.parametrize("rewards", ["none", "return-range", "antmaze-iql"])
def test_rewards_are_transformed_as_asked(rewards):
    data = dataset_for(Slide())
    reward = np.asarray(data.rows.reward, np.float64)
    returns = np.bincount(np.asarray(data.rows.episode), reward)
    expected = {
        "none": reward,
        "return-range": reward * 1000 / (returns.max() - returns.min()),
        "antmaze-iql": reward - 1,
    }[rewards]
    np.testing.assert_allclose(all_rows(data, rewards).reward, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["td3-bc", "iql", "cql", "bc"])
def test_acting_sees_observations_as_learning_does(name):
    """What is chosen for a raw observation is what the network says of the scaled one."""
    data = dataset_for(Slide())
    data = data._replace(rows=data.rows._replace(obs=5 + 3 * data.rows.obs))
    data = data._replace(stats=jax.tree.map(jnp.asarray, view.statistics(data.rows, 10)))
    agent, ctx = setup(name, data, **TINY, standardize=True)
    policy = agent.policy(agent.init(keys.root(1), ctx))
    raw = data.rows.obs[:8]
    see = jnp.zeros(8, bool), keys.root(2), "greedy"
    scaled = (raw - data.stats.obs_mean) / (data.stats.obs_std + 1e-3)
    expected = parts_of(agent).algorithm.act(policy.params, scaled, *see[1:])
    acted, _ = agent.act(policy, (), raw, *see)
    np.testing.assert_allclose(acted, expected, atol=1e-6)
    unscaled = parts_of(agent).algorithm.act(policy.params, raw, *see[1:])
    assert np.abs(acted - unscaled).max() > 1e-3


def slid(agent: Agent, ctx: Context, key: Any) -> Any:
    """The return of a trained policy over 10 steps, the mean of 41 starts."""
    state, _ = agent.step(agent.init(key, ctx), ctx)
    policy, x = agent.policy(state), jnp.linspace(-1, 1, 41)
    total = jnp.zeros(())
    for _ in range(10):
        a, _ = agent.act(policy, (), x[:, None], jnp.zeros(41, bool), key, "greedy")
        x, step = jax.vmap(agent.env.step, (None, 0, 0, None))(key, x[:, None], a, ())
        x, total = x[:, 0], total + step.reward.mean()
    return total


@pytest.mark.parametrize("name", AGENTS)
def test_every_agent_does_better_than_whom_it_learned_from(name):
    """The data's mean return is -26; of eight seeds the worst ended at -1.6 (TD3+BC), -0.3
    (ReBRAC), -2.1 (PRDC), -1.4 (A2PR), -9.3 (IQL), -0.2 (ODICE), -6.7 (CQL); BC at -15 at best."""
    data = pushed_away()
    behaviour = float(data.rows.reward.sum()) / 200
    agent, ctx = setup(name, data, **QUICK | AGENTS[name])
    run = jax.jit(jax.vmap(partial(slid, agent, ctx)))
    returns = np.asarray(run(jax.random.split(jax.random.key(0), 3)))
    assert returns.min() > behaviour / 2


def conditions(updates: int) -> int:
    """How many a program of two seeds side by side has."""
    agent, ctx = setup("td3-bc", dataset_for(Slide()), **TINY | {"updates": updates})
    states = jax.eval_shape(jax.vmap(agent.init, (0, None)), jax.random.split(KEY, 2), ctx)
    return str(jax.make_jaxpr(jax.vmap(agent.step, (0, None)))(states, ctx)).count("cond[")


def test_side_by_side_a_resting_actor_costs_nothing():
    """Where an iteration is a multiple of the delay of 2, vmap leaves the condition a condition;
    else it becomes a choice between two results that are both computed."""
    assert conditions(4) == conditions(3) + 1


@pytest.mark.parametrize("updates", [1, 4, 6])
@pytest.mark.parametrize("period", [2, 3, 4])
def test_turns_come_every_period_th_update_however_they_are_counted(period, updates):
    nothing = jnp.zeros(1)
    for done in range(1, 13):
        turn = jnp.int32((done - 1) % updates + 1)
        batch = Minibatch(nothing, nothing, nothing, nothing, nothing, turn=turn)
        assert bool(due(batch, jnp.int32(done), period, updates)) == (done % period == 0)
        assert bool(due(batch._replace(turn=None), jnp.int32(done), period, updates)) == (
            done % period == 0
        )


def test_td3_bc_without_a_critics_say_is_behaviour_cloning():
    """alpha 0 and no delay, from the same weights on the same minibatches: the same actor."""
    data, common = dataset_for(Slide()), {"hidden": (16,), "batch_size": 16, "updates": 20}
    theirs, their_ctx = setup(
        "td3-bc", data, **common, alpha=0.0, policy_delay=1, learning_rate=3e-4
    )
    ours, ctx = setup("bc", data, **common, learning_rate=3e-4)
    pulled, cloned = theirs.init(KEY, their_ctx), ours.init(KEY, ctx)
    shared = {"net": jax.tree.map(jnp.copy, pulled.learner.actor)}
    actor = cloned.learner.actor.replace(params=shared)
    cloned = cloned.replace(learner=cloned.learner.replace(actor=actor))
    pulled, cloned = theirs.step(pulled, their_ctx)[0], ours.step(cloned, ctx)[0]
    assert_close(cloned.learner.actor.params["net"], pulled.learner.actor, rtol=1e-4, atol=1e-6)
    moved = jax.tree.map(
        lambda a, b: float(jnp.abs(a - b).max()), shared["net"], pulled.learner.actor
    )
    assert max(jax.tree.leaves(moved)) > 1e-3
