"""Learning of replay-based agents: draws from the ring, gradient steps. Never touches the
environment."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PRNGKeyArray, PyTree

from rlsuite import metrics, normalize, replay
from rlsuite.agents.online.off_policy.state import (
    Batch,
    Collected,
    Parts,
    State,
    Transition,
    normalized,
)
from rlsuite.keys import Purpose, stream
from rlsuite.metrics import Metrics
from rlsuite.types import Context


def learn(parts: Parts, state: State, batch: Collected, ctx: Context) -> tuple[State, Metrics]:
    """`updates` gradient steps, each on a minibatch of its own."""
    state = state.replace(obs_moments=merged(parts, state, batch))
    iteration = state.counters.iterations
    key = stream(state.key, Purpose.LEARN, iteration)
    body = partial(gradient_step, parts, state, ctx)
    # Split at once: on a CPU each split takes as long as two hundred random numbers.
    keys = jax.random.split(key, (parts.static.updates, 2))
    turns = jnp.arange(1, parts.static.updates + 1)
    learner, reports = jax.lax.scan(body, state.learner, (keys, turns))
    ended = batch.episodes
    report = {
        "train/return": metrics.mean(ended.returns, where=ended.finished),
        "train/length": metrics.mean(ended.lengths, where=ended.finished),
        **metrics.reduce(reports),
    }
    counters = state.counters.replace(iterations=iteration + 1)
    return state.replace(learner=learner, counters=counters), report


def merged(parts: Parts, state: State, batch: Collected) -> normalize.Moments:
    """Observation statistics with what was just seen."""
    if not parts.static.normalize_observations:
        return state.obs_moments
    return normalize.update(state.obs_moments, batch.obs)


def gradient_step(
    parts: Parts,
    state: State,
    ctx: Context,
    learner: PyTree,
    of: tuple[Key[Array, "2"], Int[Array, ""]],
) -> tuple[Any, Metrics]:
    """One minibatch, one step of the algorithm."""
    (draw_key, update_key), turn = of
    batch = replay.apart(state.replay, partial(draw, parts, state, draw_key, ctx))
    return parts.algorithm.update(learner, batch._replace(turn=turn), update_key, ctx)


def draw(parts: Parts, state: State, key: PRNGKeyArray, ctx: Context) -> Batch:
    """A minibatch from the ring, rewards scaled and summed, observations normalised."""
    s, hp = parts.static, ctx.hp
    places = replay.draw(state.replay, key, (s.batch_size,))
    rows: Transition = replay.take(state.replay, places)
    reward, next_obs = rows.reward, rows.next_obs
    worthless = rows.terminated
    if s.time_limits == "terminal":
        worthless = worthless | rows.truncated
    discount = jnp.where(worthless, 0.0, hp.gamma)
    if s.n_step > 1:
        n, stride = s.n_step, parts.envs.num_envs
        reward, discount, last = replay.n_step(state.replay, places, n, stride, hp.gamma)
        final: Transition = replay.take(state.replay, last)
        next_obs = final.next_obs
        if s.time_limits == "terminal":
            discount = jnp.where(final.truncated, 0.0, discount)
    seen = partial(normalized, parts, state.obs_moments, state.obs_clip)
    return Batch(seen(rows.obs), rows.action, reward * hp.reward_scale, discount, seen(next_obs))
