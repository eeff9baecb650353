"""Behaviour cloning with a linear policy on standardised observations."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, PRNGKeyArray

from rlsuite.contracts import box, metrics
from rlsuite.contracts.keys import Purpose, stream
from rlsuite.contracts.types import Agent, Context, Counters, Environment
from rlsuite.data import dataset, transforms


class State(struct.PyTreeNode):
    """Parameters, optimiser and the observations' scale."""

    params: Any
    optimiser: Any
    scale: tuple[Array, Array]
    counters: Counters
    key: PRNGKeyArray


def make(env: Environment, config: Any) -> Agent:
    """The agent for an environment with a Box of actions."""
    static: Any = config.static()
    space = env.action_space

    def act(policy: Any, carry: Any, obs: Array, *_: Any) -> tuple[Array, Any]:
        params, (mean, std) = policy
        action = forward(params, (obs - mean) / std)
        return box.from_unit(action, jnp.asarray(space.low), jnp.asarray(space.high)), carry

    return Agent(
        name="test-bc", env=env, config=config, steps_per_iteration=static.updates,
        init=partial(init, space.shape[0]),
        collect=partial(collect, static), learn=learn,
        policy=lambda state: (state.params, state.scale), act=act, carry=lambda batch: (),
        evaluation_mode="greedy",
    )  # fmt: skip


def forward(params: Any, obs: Array) -> Array:
    """Standardised observations -> actions in [-1, 1]."""
    return jnp.tanh(obs @ params["w"] + params["b"])


def init(size: int, key: PRNGKeyArray, ctx: Context, warm: Any = None) -> State:
    """Small weights, and the dataset's scale."""
    stats = ctx.data.stats
    width = stats.obs_mean.shape[0]
    weights = 0.1 * jax.random.normal(stream(key, Purpose.INIT), (width, size))
    params = {"w": weights, "b": jnp.zeros(size)}
    scale = (jnp.copy(stats.obs_mean), stats.obs_std + transforms.OBS_EPSILON)
    state = optax.adam(ctx.hp.learning_rate).init(params)
    return State(params, state, scale, Counters.zero(), jnp.copy(key))


def collect(static: Any, state: State, ctx: Context) -> tuple[State, Any]:
    """Minibatches for `updates` steps, drawn from the dataset."""
    key = stream(state.key, Purpose.DATASET, state.counters.collects)
    places = dataset.draw(ctx.data, key, (static.updates, static.batch_size))
    rows = dataset.take(ctx.data, places)
    counters = state.counters.replace(collects=state.counters.collects + 1)
    return state.replace(counters=counters), (rows.obs, rows.action)


def learn(state: State, batch: Any, ctx: Context) -> tuple[State, metrics.Metrics]:
    """A gradient step of the mean squared error on each minibatch."""
    optimiser = optax.adam(ctx.hp.learning_rate)
    mean, std = state.scale

    def loss(params: Any, obs: Array, action: Array) -> Array:
        return jnp.mean((forward(params, (obs - mean) / std) - action) ** 2)

    def step(loop: Any, rows: Any) -> tuple[Any, Array]:
        params, opt = loop
        value, grad = jax.value_and_grad(loss)(params, *rows)
        change, opt = optimiser.update(grad, opt, params)
        return (optax.apply_updates(params, change), opt), value

    (params, opt), losses = jax.lax.scan(step, (state.params, state.optimiser), batch)
    counters = state.counters.replace(iterations=state.counters.iterations + 1)
    state = state.replace(params=params, optimiser=opt, counters=counters)
    return state, {"loss/policy": metrics.mean(losses)}
