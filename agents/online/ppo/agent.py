"""PPO: `cores.on_policy` is how it collects and what it learns from, here is how it learns."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite.agents.cores import on_policy
from rlsuite.agents.cores.on_policy import Parts, Rollout, Sample, Samples, State, optimizer
from rlsuite.agents.online.ppo.config import Config
from rlsuite.contracts import metrics
from rlsuite.contracts.keys import Purpose, stream
from rlsuite.contracts.metrics import Metric, Metrics
from rlsuite.contracts.types import Agent, Carry, Context, Environment
from rlsuite.nn.networks import Output
from rlsuite.ops import drift as drifts
from rlsuite.ops import shuffle
from rlsuite.ops.drift import Drift, Progress

Weights = tuple[PyTree, PyTree]


def make(env: Environment, config: Config, drift: Drift | None = None) -> Agent:
    """PPO for an environment.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
      drift: replaces the one `config.drift` names, e.g. a learned one.
    """
    return on_policy.make("ppo", env, config, drift or named_drift(config.drift), start, learn)


def start(parts: Parts[Config], ctx: Context, params: PyTree) -> PyTree:
    """Adam's first state.

    Args:
      parts: the static pieces.
      ctx: learning_rate and Adam's numbers are read.
      params: the network's.
    """
    return optimizer(parts, ctx, ctx.hp.learning_rate, jnp.float32(0)).init(params)


def named_drift(name: str) -> Drift:
    """The drift a configuration names."""
    return {
        "clip": drifts.clip,
        "kl": drifts.kl,
        "kl_fixed": partial(drifts.kl, adaptive=False),
        "dpo": drifts.dpo,
        "mdpo": drifts.mdpo,
        "mdpo_fixed": partial(drifts.mdpo, "constant"),
        "mdpo_tsallis": partial(drifts.mdpo, divergence="tsallis"),
        "none": drifts.none,
    }[name]()


class Terms(NamedTuple):
    """The parts of the loss, and the monitors."""

    policy: Float[Array, ""]
    value: Float[Array, ""]
    entropy: Float[Array, ""]
    kl: Float[Array, ""]
    clip_fraction: Float[Array, ""]


def learn(
    parts: Parts[Config], state: State, rollout: Rollout, ctx: Context
) -> tuple[State, Metrics]:
    """Advantages, then `epochs` passes of minibatch steps; statistics are merged afterwards.

    Args:
      parts: the static pieces.
      state: after `collect`.
      rollout: [t, n, ...], by the policy of `state`.
      ctx: the traced hyperparameters and the horizon.
    """
    state, seen = on_policy.prepare(parts, state, rollout, ctx)
    if parts.static.advantage_normalization == "batch":
        advantage = on_policy.standardize(seen.sample.advantage)
        seen = seen._replace(sample=seen.sample._replace(advantage=advantage))
    flat = on_policy.flatten(parts, seen)
    progress = on_policy.progress(state, ctx)
    tx = optimizer(parts, ctx, ctx.hp.learning_rate, progress.fraction)
    step = partial(gradient_step, parts, ctx, tx, state.rule, progress, flat, rollout.first_carry)

    def epoch(carry: Weights, key: PRNGKeyArray) -> tuple[Weights, Terms]:
        return jax.lax.scan(step, carry, minibatch_indices(parts, key))

    key = stream(state.key, Purpose.LEARN, state.counters.iterations)
    keys = jax.random.split(key, parts.static.epochs)
    (params, opt_state), terms = jax.lax.scan(epoch, (state.params, state.opt_state), keys)
    rule = parts.drift.adapt(state.rule, terms.kl[-1].mean(), ctx)
    new = on_policy.finish(parts, state, rollout, params, opt_state).replace(rule=rule)
    return new, on_policy.report(rollout, seen.sample, monitors(terms))


def gradient_step(
    parts: Parts[Config],
    ctx: Context,
    tx: optax.GradientTransformation,
    rule: PyTree,
    progress: Progress,
    flat: Samples,
    first_carry: Carry,
    carry: Weights,
    rows: Array,
) -> tuple[Weights, Terms]:
    """One Adam step on the minibatch `rows`.

    Args:
      parts: the static pieces.
      ctx: the traced hyperparameters.
      tx: Adam with the step size of this iteration.
      rule: the drift's own state.
      progress: how far the run is.
      flat: [t*n, ...], all samples; [t, n, ...] if the network is recurrent.
      first_carry: a recurrent network's memory before the rollout, stop-gradiented.
      carry: (weights, Adam's state), which move.
      rows: of `minibatch_indices`.
    """
    params, opt_state = carry
    axis = 1 if parts.network.recurrent else 0
    obs, is_first, sample = jax.tree.map(lambda x: jnp.take(x, rows, axis), flat)
    h = jax.tree.map(lambda x: jax.lax.stop_gradient(x[rows]), first_carry)

    def objective(params: PyTree) -> tuple[Float[Array, ""], Terms]:
        out = parts.network.unroll(params, h, obs, is_first)
        return loss(out, sample, rule, progress, ctx, drift_=parts.drift, static=parts.static)

    grads, terms = jax.grad(objective, has_aux=True)(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), opt_state), terms


def minibatch_indices(parts: Parts[Config], key: PRNGKeyArray) -> Array:
    """[minibatches, size] rows of one epoch: transitions, or whole environments if recurrent."""
    s = parts.static
    n = s.num_envs if parts.network.recurrent else s.num_envs * s.num_steps
    return shuffle.permutation(key, n).reshape(s.minibatches, -1)


def monitors(terms: Terms) -> dict[str, Metric]:
    """The means of the terms over all steps of an iteration."""
    return {
        "loss/policy": metrics.mean(terms.policy),
        "loss/value": metrics.mean(terms.value),
        "policy/entropy": metrics.mean(terms.entropy),
        "policy/kl": metrics.mean(terms.kl),
        "policy/clip_fraction": metrics.mean(terms.clip_fraction),
    }


def loss(
    out: Output,
    x: Sample,
    rule: PyTree,
    progress: Progress,
    ctx: Context,
    *,
    drift_: Drift,
    static: Config,
) -> tuple[Float[Array, ""], Terms]:
    """-mean(r A - drift) + c_v L_V - c_e mean H (Schulman et al., 2017, eq. 9, to be minimised).

    Args:
      out: the network's output on the minibatch; carries the gradient.
      x: the minibatch.
      rule: the drift's own state.
      progress: how far the run is.
      ctx: with the traced hyperparameters; drifts may read its data.
      drift_: what holds the policy near the old one.
      static: advantage_normalization and value_clip.

    Returns:
      The loss and its terms; `kl` is the k3 estimate mean((r - 1) - ln r) of KL(old || new).
    """
    hp = ctx.hp
    if static.advantage_normalization == "minibatch":
        x = x._replace(advantage=on_policy.standardize(x.advantage))
    policy, entropy, log_ratio = on_policy.policy_terms(out.dist, x, rule, progress, ctx, drift_)
    epsilon = hp.clip_epsilon if static.value_clip else None
    value = on_policy.value_loss(out.value, x.value, x.target, epsilon)
    ratio = drifts.ratio(log_ratio)
    terms = Terms(
        policy=policy,
        value=value,
        entropy=entropy,
        kl=(ratio - 1 - log_ratio).mean(),
        clip_fraction=(jnp.abs(ratio - 1) > hp.clip_epsilon).mean(),
    )
    return policy + hp.value_coef * value - hp.entropy_coef * entropy, terms
