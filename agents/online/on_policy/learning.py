"""From a rollout to samples with advantages, and from an update back to the state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from rlsuite import metrics, normalize, returns
from rlsuite.agents.online.on_policy.losses import Sample
from rlsuite.agents.online.on_policy.state import (
    Parts,
    Rollout,
    State,
    Transition,
    normalized,
    policy,
)
from rlsuite.drift import Progress
from rlsuite.metrics import Metric, Metrics
from rlsuite.types import Context


class Batch(NamedTuple):
    """Samples and what the network is shown of them; [t, n, ...], or [t*n, ...] once flat."""

    obs: Array
    is_first: Bool[Array, "*b"]
    sample: Sample


def prepare(parts: Parts, state: State, batch: Rollout, ctx: Context) -> tuple[State, Batch]:
    """Scaled rewards, advantages, observations as the rollout's network saw them: [t, n, ...]."""
    state, steps = scale_rewards(parts, state, batch.steps, ctx)
    sample = advantages(parts, steps, batch.last_value, ctx)
    return state, Batch(normalized(parts, policy(state), steps.obs), steps.is_first, sample)


def scale_rewards(
    parts: Parts, state: State, steps: Transition, ctx: Context
) -> tuple[State, Transition]:
    """Reward scaling and normalisation; the statistics see this rollout before it is scaled."""
    reward = steps.reward * ctx.hp.reward_scale
    if parts.static.normalize_rewards:
        done = steps.terminated | steps.truncated
        g, sums = normalize.discounted_sums(state.reward_sum, reward, done, ctx.hp.gamma)
        moments = normalize.update(state.reward_moments, sums)
        reward = normalize.scale_reward(moments, reward, ctx.hp.reward_clip)
        state = state.replace(reward_sum=g, reward_moments=moments)
    return state, steps._replace(reward=reward)


def advantages(
    parts: Parts, steps: Transition, last_value: Float[Array, " n"], ctx: Context
) -> Sample:
    """GAE with the value of the true final observation at time limits; not standardised."""
    ended = steps.terminated | steps.truncated
    worthless = ended if parts.static.time_limits == "terminal" else steps.terminated
    discount = jnp.where(worthless, 0.0, ctx.hp.gamma)
    v_t = returns.next_values(steps.value, last_value, steps.final_value, steps.truncated)
    adv = returns.gae(steps.reward, discount, steps.value, v_t, ~ended, ctx.hp.gae_lambda)
    target = adv + steps.value
    return Sample(steps.action, steps.log_prob, steps.value, steps.dist, adv, target)


def progress(state: State, ctx: Context) -> Progress:
    """How far the run is; 0 in its first iteration."""
    return Progress(state.counters.iterations / ctx.horizon, ctx.horizon)


def flatten(parts: Parts, tree: PyTree) -> PyTree:
    """[t, n, ...] -> [t*n, ...]; a recurrent network keeps its time axis."""
    if parts.network.recurrent:
        return tree
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)


def finish(parts: Parts, state: State, batch: Rollout, params: PyTree, opt_state: PyTree) -> State:
    """The state after an iteration; observation statistics take in the rollout only now."""
    moments = state.obs_moments
    if parts.static.normalize_observations:
        moments = normalize.update(moments, batch.steps.obs)
    return state.replace(
        params=params,
        opt_state=opt_state,
        obs_moments=moments,
        counters=state.counters.replace(iterations=state.counters.iterations + 1),
    )


def report(batch: Rollout, sample: Sample, own: Mapping[str, Metric]) -> Metrics:
    """What an iteration says of itself, and what the agent adds."""
    ended = batch.steps.episodes
    residual = (sample.target - sample.value).var()
    return {
        "train/return": metrics.mean(ended.returns, where=ended.finished),
        "train/length": metrics.mean(ended.lengths, where=ended.finished),
        **own,
        "value/explained_variance": metrics.mean(1 - residual / (sample.target.var() + 1e-8)),
    }
