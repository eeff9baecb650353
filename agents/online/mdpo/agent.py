"""On-policy MDPO: m steps of mirror descent on the whole rollout, then the value function."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from rlsuite.agents.cores import on_policy, separate
from rlsuite.agents.cores.on_policy import (
    Parts,
    PolicyTerms,
    Rollout,
    Samples,
    Scalar,
    State,
    optimizer,
    policy_terms,
)
from rlsuite.agents.online.mdpo.config import Config
from rlsuite.contracts import metrics
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Agent, Context, Environment
from rlsuite.ops import drift


def make(env: Environment, config: Config) -> Agent:
    """On-policy MDPO for an environment.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    proximity = drift.mdpo(config.mirror_schedule, config.divergence)
    return on_policy.make("mdpo", env, config, proximity, start, learn)


def start(parts: Parts[Config], ctx: Context, params: PyTree) -> PyTree:
    """The first states of (the policy's Adam, the value function's).

    Args:
      parts: the static pieces.
      ctx: both step sizes and Adam's numbers are read.
      params: the network's, of policy and value function.
    """
    policy, value = separate.split(params)
    at = jnp.float32(0)
    return (
        policy_optimizer(parts, ctx, at).init(policy),
        separate.value_optimizer(parts, ctx, at).init(value),
    )


def learn(
    parts: Parts[Config], state: State, rollout: Rollout, ctx: Context
) -> tuple[State, Metrics]:
    """Advantages over the whole rollout, m steps of the policy, `value_epochs` passes of V.

    Args:
      parts: the static pieces.
      state: after `collect`.
      rollout: [t, n, ...], by the policy of `state`.
      ctx: the traced hyperparameters and the horizon.
    """
    state, seen = separate.prepare(parts, state, rollout, ctx)
    policy_opt, value_opt = state.opt_state
    policy, policy_opt, terms = mirror_descent(parts, state, ctx, seen, policy_opt)
    value, value_opt, value_loss = separate.fit_value(parts, state, ctx, seen, value_opt)
    params = separate.join(policy, value)
    new = on_policy.finish(parts, state, rollout, params, (policy_opt, value_opt))
    after = separate.distribution(parts, value, seen, policy)
    own = {
        "loss/policy": metrics.mean(terms.loss),
        "loss/value": metrics.mean(value_loss),
        "policy/entropy": metrics.mean(after.entropy()),
        "policy/kl": metrics.mean(seen.sample.dist.kl(after)),  # pyright: ignore
    }
    return new, on_policy.report(rollout, seen.sample, own)


def mirror_descent(
    parts: Parts[Config], state: State, ctx: Context, seen: Samples, opt_state: PyTree
) -> tuple[PyTree, PyTree, PolicyTerms]:
    """m Adam steps on E[r A] - D(pi, pi_k)/t_k + c_e H (Tomar et al., 2022, sec. 4.1).

    Args:
      parts, state, ctx: the run's; pi_k is the policy of `state`.
      seen: the flat batch; advantages and pi_k are constants.
      opt_state: of `policy_optimizer`.

    Returns:
      (the policy's weights, its optimiser state, the terms before every step).
    """
    progress = on_policy.progress(state, ctx)
    tx = policy_optimizer(parts, ctx, progress.fraction)
    old, value = separate.split(state.params)

    def objective(policy: PyTree) -> tuple[Float[Array, ""], PolicyTerms]:
        dist = separate.distribution(parts, value, seen, policy)
        terms = policy_terms(dist, seen.sample, state.rule, progress, ctx, parts.drift)
        return terms.loss - ctx.hp.entropy_coef * terms.entropy, terms

    def step(carry: tuple[PyTree, PyTree], _: None) -> tuple[tuple[PyTree, PyTree], PolicyTerms]:
        policy, opt_state = carry
        grads, terms = jax.grad(objective, has_aux=True)(policy)
        updates, opt_state = tx.update(grads, opt_state, policy)
        return (optax.apply_updates(policy, updates), opt_state), terms

    (policy, opt_state), terms = jax.lax.scan(
        step, (old, opt_state), None, parts.static.policy_steps
    )
    return policy, opt_state, terms


def policy_optimizer(
    parts: Parts[Config], ctx: Context, fraction: Scalar
) -> optax.GradientTransformation:
    """Adam of the policy in this iteration.

    Args:
      parts: anneal_learning_rate and gradient_clip are read.
      ctx: learning_rate and Adam's numbers are read.
      fraction: how much of the run is done.
    """
    return optimizer(parts, ctx, ctx.hp.learning_rate, fraction)
