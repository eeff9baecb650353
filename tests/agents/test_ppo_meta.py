"""`learn` is differentiable in its context: what meta-learned rules and tuners stand on."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlsuite.agents.online import ppo
from rlsuite.contracts import keys, registry
from rlsuite.engine.run.program import context
from rlsuite.ops import drift as drifts
from rlsuite.ops.drift import Drift

TINY = {"num_envs": 4, "num_steps": 16, "hidden": (8,), "epochs": 1, "minibatches": 1}
# Smooth in every hyperparameter, so that finite differences mean something.
SMOOTH = {
    "drift": "none",
    "value_clip": False,
    "gradient_clip": "none",
    "adam_epsilon": 1e-2,
    "advantage_normalization": "none",
}

slow = pytest.mark.slow


def after_one_learn(agent, ctx):
    """A scalar of the parameters after one `learn` on a fixed rollout, as a function of ctx."""
    state = jax.jit(agent.init)(keys.root(0), ctx)
    state = jax.jit(lambda s: agent.step(s, ctx)[0])(state)
    state, batch = jax.jit(agent.collect)(state, ctx)
    direction = jax.tree.map(
        lambda x: jnp.cos(jnp.arange(x.size, dtype=jnp.float32)).reshape(x.shape), state.params
    )

    def objective(ctx):
        new, _ = agent.learn(state, batch, ctx)
        parts = jax.tree.map(lambda a, b: (a * b).sum(), new.params, direction)
        return sum(jax.tree.leaves(parts))

    return objective


@pytest.mark.parametrize(
    "name",
    [
        "learning_rate",
        *(pytest.param(n, marks=slow) for n in ("gamma", "gae_lambda", "reward_scale")),
    ],
)
def test_gradients_in_hyperparameters_match_finite_differences(name):
    config = ppo.Config(**TINY, **SMOOTH)
    agent = ppo.make(registry.make_env("CartPole-v1"), config)
    ctx = context(agent, config, 100)
    objective = after_one_learn(agent, ctx)
    by_hp = jax.jit(lambda value: objective(ctx._replace(hp=ctx.hp.replace(**{name: value}))))
    at = getattr(ctx.hp, name)
    step = 0.02 * at
    difference = (by_hp(at + step) - by_hp(at - step)) / (2 * step)
    gradient = jax.grad(by_hp)(at)
    assert abs(gradient) > 1e-6
    np.testing.assert_allclose(gradient, difference, rtol=0.1)


@pytest.mark.parametrize("activation", ["relu", pytest.param("tanh", marks=slow)])
def test_gradients_with_default_settings_are_finite(activation):
    config = ppo.Config(**TINY, activation=activation)
    agent = ppo.make(registry.make_env("CartPole-v1"), config)
    ctx = context(agent, config, 100)
    objective = after_one_learn(agent, ctx)
    grads = jax.grad(lambda hp: objective(ctx._replace(hp=hp)))(ctx.hp)
    assert all(jnp.isfinite(g) for g in jax.tree.leaves(grads))
    assert abs(grads.learning_rate) > 0


def test_a_learned_drift_reads_and_is_differentiated_in_ctx_data():
    def penalty(rule, x, ctx):
        return ctx.data["rule"] * drifts.ratio(x.log_ratio) * jnp.square(x.log_ratio)

    config = ppo.Config(**{**TINY, "epochs": 3})
    agent = ppo.make(registry.make_env("CartPole-v1"), config, drift=Drift("learned", penalty))
    ctx = context(agent, config, 100, data={"rule": jnp.float32(0.5)})
    objective = after_one_learn(agent, ctx)
    grads = jax.grad(lambda data: objective(ctx._replace(data=data)))(ctx.data)
    assert jnp.isfinite(grads["rule"])
    assert abs(grads["rule"]) > 0


def test_acting_twice_without_learning_draws_anew():
    config = ppo.Config(**TINY)
    agent = ppo.make(registry.make_env("CartPole-v1"), config)
    ctx = context(agent, config, 100)
    state = jax.jit(agent.init)(keys.root(0), ctx)
    collect = jax.jit(agent.collect)
    once, first = collect(state, ctx)
    back = once.replace(env=state.env, obs=state.obs, is_first=state.is_first)
    _, second = collect(back, ctx)
    assert not jnp.array_equal(first.steps.action, second.steps.action)


def test_an_unjitted_start_may_be_donated():
    config = ppo.Config(**TINY)
    agent = ppo.make(registry.make_env("CartPole-v1"), config)
    ctx, key = context(agent, config, 100), keys.root(0)
    state = agent.init(key, ctx)
    warm = agent.policy(agent.init(key, ctx))
    again = agent.init(key, ctx, warm)
    step = jax.jit(lambda s: agent.step(s, ctx)[0], donate_argnums=0)
    step(state)
    step(again)
    assert not key.is_deleted()
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(warm))
