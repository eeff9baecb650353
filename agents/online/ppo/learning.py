"""PPO's learning: advantages, then minibatch steps on the loss. Never touches the environment."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite import metrics, normalize, returns, shuffle
from rlsuite.agents.online.ppo import losses
from rlsuite.agents.online.ppo.state import (
    Parts,
    Rollout,
    State,
    Transition,
    normalized,
    optimizer,
    policy,
)
from rlsuite.drift import Progress
from rlsuite.keys import Purpose, stream
from rlsuite.metrics import Metrics
from rlsuite.types import Carry, Context


def learn(parts: Parts, state: State, batch: Rollout, ctx: Context) -> tuple[State, Metrics]:
    """Advantages, then `epochs` passes of minibatch steps; statistics are merged afterwards."""
    state, steps = scale_rewards(parts, state, batch.steps, ctx)
    sample = advantages(parts, steps, batch.last_value, ctx)
    obs = normalized(parts, policy(state), steps.obs)
    flat = flatten(parts, (obs, steps.is_first, sample))
    iteration = state.counters.iterations
    progress = Progress(iteration / ctx.horizon, ctx.horizon)
    tx = optimizer(parts, ctx, progress.fraction)
    step = partial(gradient_step, parts, ctx, tx, state.rule, progress, flat, batch.first_carry)

    def epoch(carry: tuple[PyTree, PyTree], key: PRNGKeyArray) -> tuple[Any, losses.Terms]:
        return jax.lax.scan(step, carry, minibatch_indices(parts, key))

    keys = jax.random.split(stream(state.key, Purpose.LEARN, iteration), parts.static.epochs)
    (params, opt_state), terms = jax.lax.scan(epoch, (state.params, state.opt_state), keys)
    moments = state.obs_moments
    if parts.static.normalize_observations:
        moments = normalize.update(moments, steps.obs)
    new = state.replace(
        params=params,
        opt_state=opt_state,
        obs_moments=moments,
        rule=parts.drift.adapt(state.rule, terms.kl[-1].mean(), ctx),
        counters=state.counters.replace(iterations=iteration + 1),
    )
    return new, report(batch, sample, terms)


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
) -> losses.Sample:
    """GAE with the value of the true final observation at time limits."""
    ended = steps.terminated | steps.truncated
    worthless = ended if parts.static.time_limits == "terminal" else steps.terminated
    discount = jnp.where(worthless, 0.0, ctx.hp.gamma)
    v_t = returns.next_values(steps.value, last_value, steps.final_value, steps.truncated)
    adv = returns.gae(steps.reward, discount, steps.value, v_t, ~ended, ctx.hp.gae_lambda)
    target = adv + steps.value
    if parts.static.advantage_normalization == "batch":
        adv = losses.standardize(adv)
    return losses.Sample(steps.action, steps.log_prob, steps.value, steps.dist, adv, target)


def gradient_step(
    parts: Parts,
    ctx: Context,
    tx: optax.GradientTransformation,
    rule: PyTree,
    progress: Progress,
    flat: tuple[Array, Array, losses.Sample],
    first_carry: Carry,
    carry: tuple[PyTree, PyTree],
    rows: Array,
) -> tuple[tuple[PyTree, PyTree], losses.Terms]:
    """One Adam step on the minibatch `rows`."""
    params, opt_state = carry
    axis = 1 if parts.network.recurrent else 0
    obs, is_first, sample = jax.tree.map(lambda x: jnp.take(x, rows, axis), flat)
    h = jax.tree.map(lambda x: jax.lax.stop_gradient(x[rows]), first_carry)

    def objective(params: PyTree) -> tuple[Float[Array, ""], losses.Terms]:
        out = parts.network.unroll(params, h, obs, is_first)
        return losses.loss(
            out, sample, rule, progress, ctx, drift_=parts.drift, static=parts.static
        )

    grads, terms = jax.grad(objective, has_aux=True)(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), opt_state), terms


def flatten(parts: Parts, tree: PyTree) -> PyTree:
    """[t, n, ...] -> [t*n, ...]; a recurrent network keeps its time axis."""
    if parts.network.recurrent:
        return tree
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)


def minibatch_indices(parts: Parts, key: PRNGKeyArray) -> Array:
    """[minibatches, size] rows of one epoch: transitions, or whole environments if recurrent."""
    s = parts.static
    n = s.num_envs if parts.network.recurrent else s.num_envs * s.num_steps
    return shuffle.permutation(key, n).reshape(s.minibatches, -1)


def report(batch: Rollout, sample: losses.Sample, terms: losses.Terms) -> Metrics:
    """What an iteration says of itself."""
    ended = batch.steps.episodes
    residual = (sample.target - sample.value).var()
    return {
        "train/return": metrics.mean(ended.returns, where=ended.finished),
        "train/length": metrics.mean(ended.lengths, where=ended.finished),
        "loss/policy": metrics.mean(terms.policy),
        "loss/value": metrics.mean(terms.value),
        "policy/entropy": metrics.mean(terms.entropy),
        "policy/kl": metrics.mean(terms.kl),
        "policy/clip_fraction": metrics.mean(terms.clip_fraction),
        "value/explained_variance": metrics.mean(1 - residual / (sample.target.var() + 1e-8)),
    }
