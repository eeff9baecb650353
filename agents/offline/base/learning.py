"""Learning from a dataset: minibatches drawn with replacement, a gradient step on each."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PyTree

from rlsuite import dataset, metrics, transforms
from rlsuite.agents.offline.base.state import Extra, Parts, Scale, State, scaled
from rlsuite.agents.online.off_policy.state import Batch
from rlsuite.keys import Purpose, stream
from rlsuite.metrics import Metrics
from rlsuite.types import Context

Places = Int[Array, "u b"]


def collect(parts: Parts, state: State, ctx: Context) -> tuple[State, Places]:
    """Which rows the next updates see."""
    key = stream(state.key, Purpose.DATASET, state.counters.collects)
    places = dataset.draw(ctx.data, key, (parts.static.updates, parts.static.batch_size))
    counters = state.counters.replace(collects=state.counters.collects + 1)
    return state.replace(counters=counters), places


def learn(parts: Parts, state: State, batch: Places, ctx: Context) -> tuple[State, Metrics]:
    """A gradient step on each minibatch."""
    iteration = state.counters.iterations
    # Split at once: on a CPU each split takes as long as two hundred random numbers.
    keys = jax.random.split(stream(state.key, Purpose.LEARN, iteration), parts.static.updates)
    body = partial(gradient_step, parts, state.scale, ctx)
    turns = jnp.arange(1, parts.static.updates + 1)
    learner, reports = jax.lax.scan(body, state.learner, (batch, keys, turns))
    counters = state.counters.replace(iterations=iteration + 1)
    return state.replace(learner=learner, counters=counters), metrics.reduce(reports)


def gradient_step(
    parts: Parts,
    scale: Scale | tuple[()],
    ctx: Context,
    learner: PyTree,
    drawn: tuple[Int[Array, " b"], Key[Array, ""], Int[Array, ""]],
) -> tuple[Any, Metrics]:
    """One minibatch, one step of the algorithm."""
    places, key, turn = drawn
    batch = minibatch(parts, scale, places, ctx)._replace(turn=turn)
    return parts.algorithm.update(learner, batch, key, ctx)


def minibatch(
    parts: Parts, scale: Scale | tuple[()], places: Int[Array, " b"], ctx: Context
) -> Batch:
    """The rows at some places: observations scaled, rewards transformed; a time limit's future
    counts. Agents that value nothing have neither `rewards` nor `gamma`: theirs are as recorded."""
    rows = dataset.take(ctx.data, places)
    rewards, gamma = getattr(parts.static, "rewards", "none"), getattr(ctx.hp, "gamma", 1.0)
    factor, shift = transforms.reward_affine(rewards, ctx.data.stats)
    return Batch(
        obs=scaled(scale, rows.obs),
        action=rows.action,
        reward=factor * rows.reward + shift,
        discount=jnp.where(rows.terminated, 0.0, gamma),
        next_obs=scaled(scale, rows.next_obs),
        extra=Extra(places, rows.next_action, rows.next_valid),
    )
