"""TRPO: one step of the policy inside the trust region, then the value function."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from rlsuite.agents.cores import on_policy, separate
from rlsuite.agents.cores.on_policy import Parts, Rollout, Samples, State, policy_terms
from rlsuite.agents.online.trpo import trust_region
from rlsuite.agents.online.trpo.config import Config
from rlsuite.agents.online.trpo.trust_region import Search
from rlsuite.contracts import metrics
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Agent, Context, Environment
from rlsuite.nn.distributions import Distribution
from rlsuite.ops import drift


def make(env: Environment, config: Config) -> Agent:
    """TRPO for an environment.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    return on_policy.make("trpo", env, config, drift.none(), start, learn)


def start(parts: Parts[Config], ctx: Context, params: PyTree) -> PyTree:
    """The first state of the value function's Adam; the policy has no optimiser.

    Args:
      parts: the static pieces.
      ctx: value_learning_rate and Adam's numbers are read.
      params: the network's, of policy and value function.
    """
    return separate.value_optimizer(parts, ctx, jnp.float32(0)).init(separate.split(params)[1])


def learn(
    parts: Parts[Config], state: State, rollout: Rollout, ctx: Context
) -> tuple[State, Metrics]:
    """Advantages over the whole rollout, one step of the policy, `value_epochs` passes of V.

    Args:
      parts: the static pieces.
      state: after `collect`.
      rollout: [t, n, ...], by the policy of `state`.
      ctx: the traced hyperparameters and the horizon.
    """
    state, seen = separate.prepare(parts, state, rollout, ctx)
    policy, found, step = improve(parts, state, ctx, seen)
    value, opt_state, value_loss = separate.fit_value(parts, state, ctx, seen, state.opt_state)
    new = on_policy.finish(parts, state, rollout, separate.join(policy, value), opt_state)
    entropy = separate.distribution(parts, value, seen, policy).entropy()
    own = {
        "loss/policy": metrics.mean(-found.surrogate),
        "loss/value": metrics.mean(value_loss),
        "policy/entropy": metrics.mean(entropy),
        "policy/kl": metrics.mean(found.kl),
        "policy/kl_max": metrics.Max(found.kl),
        "policy/line_search": metrics.mean(found.accepted.astype(jnp.float32)),
        "policy/step_scale": metrics.mean(found.scale),
        "policy/step_norm": metrics.mean(found.scale * step),
    }
    return new, on_policy.report(rollout, seen.sample, own)


def improve(
    parts: Parts[Config], state: State, ctx: Context, seen: Samples
) -> tuple[PyTree, Search, Float[Array, ""]]:
    """max E[r A] + c_e H subject to E[KL(old || new)] <= max_kl (Schulman et al., 2015, eq. 14).

    Args:
      parts, state, ctx: the run's; the old policy is that of `state`.
      seen: the flat batch; advantages and the old policy are constants.

    Returns:
      (the policy's weights, what the line search found, the length of the full step).
    """
    hp, s = ctx.hp, parts.static
    old, value = separate.split(state.params)
    theta, unravel = ravel_pytree(old)

    def distribution(seen: Samples, theta: Array) -> Distribution:
        return separate.distribution(parts, value, seen, unravel(theta))

    def surrogate(dist: Distribution) -> Float[Array, ""]:
        progress = on_policy.progress(state, ctx)
        terms = policy_terms(dist, seen.sample, state.rule, progress, ctx, parts.drift)
        return hp.entropy_coef * terms.entropy - terms.loss

    def measure(theta: Array) -> tuple[Array, Array]:
        dist = distribution(seen, theta)
        return surrogate(dist), mean_kl(seen.sample.dist, dist)

    slope = jax.grad(lambda theta: surrogate(distribution(seen, theta)))(theta)
    fewer = jax.tree.map(lambda x: x[:: s.fisher_every], seen)
    fisher = trust_region.fisher_product(partial(distribution, fewer), mean_kl, theta)
    step = trust_region.natural_step(
        lambda v: fisher(v) + hp.damping * v, slope, hp.max_kl, s.cg_iterations, hp.cg_tolerance
    )
    found = trust_region.line_search(
        measure, theta, step, hp.max_kl, hp.backtrack_factor, s.backtrack_steps
    )
    return unravel(found.theta), found, jnp.linalg.norm(step)


def mean_kl(old: Distribution, new: Distribution) -> Float[Array, ""]:
    """E[KL(old || new)], summed over action dimensions."""
    return old.kl(new).mean()  # pyright: ignore[reportArgumentType]
