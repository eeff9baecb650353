"""PPO's learning: minibatch steps on the loss. Never touches the environment."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite import metrics, shuffle
from rlsuite.agents.online.on_policy import learning
from rlsuite.agents.online.on_policy.learning import Batch
from rlsuite.agents.online.on_policy.losses import standardize
from rlsuite.agents.online.on_policy.state import Parts, Rollout, State, optimizer
from rlsuite.agents.online.ppo import losses
from rlsuite.drift import Progress
from rlsuite.keys import Purpose, stream
from rlsuite.metrics import Metric, Metrics
from rlsuite.types import Carry, Context


def learn(parts: Parts, state: State, batch: Rollout, ctx: Context) -> tuple[State, Metrics]:
    """Advantages, then `epochs` passes of minibatch steps; statistics are merged afterwards."""
    state, seen = learning.prepare(parts, state, batch, ctx)
    if parts.static.advantage_normalization == "batch":
        advantage = standardize(seen.sample.advantage)
        seen = seen._replace(sample=seen.sample._replace(advantage=advantage))
    flat = learning.flatten(parts, seen)
    progress = learning.progress(state, ctx)
    tx = optimizer(parts, ctx, ctx.hp.learning_rate, progress.fraction)
    step = partial(gradient_step, parts, ctx, tx, state.rule, progress, flat, batch.first_carry)

    def epoch(carry: tuple[PyTree, PyTree], key: PRNGKeyArray) -> tuple[Any, losses.Terms]:
        return jax.lax.scan(step, carry, minibatch_indices(parts, key))

    key = stream(state.key, Purpose.LEARN, state.counters.iterations)
    keys = jax.random.split(key, parts.static.epochs)
    (params, opt_state), terms = jax.lax.scan(epoch, (state.params, state.opt_state), keys)
    rule = parts.drift.adapt(state.rule, terms.kl[-1].mean(), ctx)
    new = learning.finish(parts, state, batch, params, opt_state).replace(rule=rule)
    return new, learning.report(batch, seen.sample, monitors(terms))


def gradient_step(
    parts: Parts,
    ctx: Context,
    tx: optax.GradientTransformation,
    rule: PyTree,
    progress: Progress,
    flat: Batch,
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


def minibatch_indices(parts: Parts, key: PRNGKeyArray) -> Array:
    """[minibatches, size] rows of one epoch: transitions, or whole environments if recurrent."""
    s = parts.static
    n = s.num_envs if parts.network.recurrent else s.num_envs * s.num_steps
    return shuffle.permutation(key, n).reshape(s.minibatches, -1)


def monitors(terms: losses.Terms) -> dict[str, Metric]:
    """The means of the terms over all steps of an iteration."""
    return {
        "loss/policy": metrics.mean(terms.policy),
        "loss/value": metrics.mean(terms.value),
        "policy/entropy": metrics.mean(terms.entropy),
        "policy/kl": metrics.mean(terms.kl),
        "policy/clip_fraction": metrics.mean(terms.clip_fraction),
    }
