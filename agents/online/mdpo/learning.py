"""MDPO's learning: m steps of mirror descent on the whole rollout, then the value function."""

from __future__ import annotations

from typing import Any

import jax
import optax
from jaxtyping import Array, Float, PyTree

from rlsuite import metrics
from rlsuite.agents.online.on_policy import apart, learning
from rlsuite.agents.online.on_policy.learning import Batch
from rlsuite.agents.online.on_policy.losses import PolicyTerms, policy_terms
from rlsuite.agents.online.on_policy.state import Parts, Rollout, State, optimizer
from rlsuite.metrics import Metrics
from rlsuite.types import Context


def learn(parts: Parts, state: State, batch: Rollout, ctx: Context) -> tuple[State, Metrics]:
    """Advantages over the whole rollout, m steps of the policy, `value_epochs` passes of V."""
    state, seen = apart.prepare(parts, state, batch, ctx)
    policy_opt, value_opt = state.opt_state
    policy, policy_opt, terms = mirror_descent(parts, state, ctx, seen, policy_opt)
    value, value_opt, value_loss = apart.fit_value(parts, state, ctx, seen, value_opt)
    params = apart.join(policy, value)
    new = learning.finish(parts, state, batch, params, (policy_opt, value_opt))
    after = apart.distribution(parts, value, seen, policy)
    own = {
        "loss/policy": metrics.mean(terms.loss),
        "loss/value": metrics.mean(value_loss),
        "policy/entropy": metrics.mean(after.entropy()),
        "policy/kl": metrics.mean(seen.sample.dist.kl(after)),  # pyright: ignore
    }
    return new, learning.report(batch, seen.sample, own)


def mirror_descent(
    parts: Parts, state: State, ctx: Context, seen: Batch, opt_state: PyTree
) -> tuple[PyTree, PyTree, PolicyTerms]:
    """m Adam steps on E[r A] - D(pi, pi_k)/t_k + c_e H (Tomar et al., 2022, sec. 4.1).

    Args:
      parts, state, ctx: the run's; pi_k is the policy of `state`.
      seen: the flat batch; advantages and pi_k are constants.
      opt_state: of `policy_optimizer`.

    Returns:
      (the policy's weights, its optimiser state, the terms before every step).
    """
    progress = learning.progress(state, ctx)
    tx = policy_optimizer(parts, ctx, progress.fraction)
    old, value = apart.split(state.params)

    def objective(policy: PyTree) -> tuple[Float[Array, ""], PolicyTerms]:
        dist = apart.distribution(parts, value, seen, policy)
        terms = policy_terms(dist, seen.sample, state.rule, progress, ctx, parts.drift)
        return terms.loss - ctx.hp.entropy_coef * terms.entropy, terms

    def step(carry: tuple[PyTree, PyTree], _: None) -> tuple[Any, PolicyTerms]:
        policy, opt_state = carry
        grads, terms = jax.grad(objective, has_aux=True)(policy)
        updates, opt_state = tx.update(grads, opt_state, policy)
        return (optax.apply_updates(policy, updates), opt_state), terms

    (policy, opt_state), terms = jax.lax.scan(
        step, (old, opt_state), None, parts.static.policy_steps
    )
    return policy, opt_state, terms


def policy_optimizer(parts: Parts, ctx: Context, fraction: Any) -> optax.GradientTransformation:
    """Adam of the policy in this iteration."""
    return optimizer(parts, ctx, ctx.hp.learning_rate, fraction)
