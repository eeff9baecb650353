"""Pieces of the losses that the on-policy agents share."""

from __future__ import annotations

from typing import Any, NamedTuple

import chex
import jax.numpy as jnp
from jaxtyping import Array, Float

from rlsuite import drift
from rlsuite.distributions import Distribution
from rlsuite.drift import Drift, DriftInput, Progress


class Sample(NamedTuple):
    """What the loss needs of each transition, all from the rollout: constants of the parameters."""

    action: Array
    log_prob: Float[Array, "*b"]
    value: Float[Array, "*b"]
    dist: Distribution
    advantage: Float[Array, "*b"]
    target: Float[Array, "*b"]


class PolicyTerms(NamedTuple):
    """The policy's loss and entropy, and log(pi/pi_old) of every sample."""

    loss: Float[Array, ""]
    entropy: Float[Array, ""]
    log_ratio: Float[Array, "*b"]


def standardize(x: Float[Array, "*b"], epsilon: float = 1e-8) -> Float[Array, "*b"]:
    """(x - mean) / (std + epsilon)."""
    return (x - x.mean()) / (x.std() + epsilon)


def standardize_exactly(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """(x - mean) / std, nothing added; 0 where all are equal up to rounding.

    Without the guard, rounding errors of equal advantages would be blown up to size 1.
    """
    spread = jnp.square(x - x.mean()).mean()
    varies = spread > jnp.square(1e-6 * jnp.abs(x).max())
    # The inner choice keeps sqrt's infinite slope at 0 out of the gradient.
    std = jnp.sqrt(jnp.where(varies, spread, 1.0))
    return jnp.where(varies, (x - x.mean()) / std, 0.0)


def policy_terms(
    dist: Distribution, x: Sample, rule: Any, progress: Progress, ctx: Any, drift_: Drift
) -> PolicyTerms:
    """-mean(r A - drift) and the entropy (to be minimised, and maximised).

    Args:
      dist: the new policy at the samples; carries the gradient.
      x: the samples.
      rule: the drift's own state.
      progress: how far the run is.
      ctx: with the traced hyperparameters; drifts may read its data.
      drift_: what holds the policy near the old one.
    """
    log_prob = dist.log_prob(x.action)
    chex.assert_equal_shape([log_prob, x.log_prob])
    log_ratio = log_prob - x.log_prob
    seen = DriftInput(log_ratio, x.advantage, dist, x.dist, x.action, progress)
    loss = -drift.surrogate(drift_, rule, seen, ctx).mean()
    return PolicyTerms(loss, dist.entropy().mean(), log_ratio)


def value_loss(
    value: Float[Array, "*b"],
    old_value: Float[Array, "*b"],
    target: Float[Array, "*b"],
    clip_epsilon: Float[Array, ""] | float | None,
) -> Float[Array, ""]:
    """1/2 mean max[(V - R)^2, (V_old + clip(V - V_old, ±eps) - R)^2]; unclipped with None."""
    chex.assert_equal_shape([value, old_value, target])
    error = jnp.square(value - target)
    if clip_epsilon is not None:
        clipped = old_value + jnp.clip(value - old_value, -clip_epsilon, clip_epsilon)
        error = jnp.maximum(error, jnp.square(clipped - target))
    return 0.5 * error.mean()
