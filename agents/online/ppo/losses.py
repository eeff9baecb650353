"""PPO's loss, term by term."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from rlsuite import drift
from rlsuite.distributions import Distribution
from rlsuite.drift import Drift, DriftInput, Progress
from rlsuite.networks import Output


class Sample(NamedTuple):
    """What the loss needs of each transition, all from the rollout: constants of the parameters."""

    action: Array
    log_prob: Float[Array, "*b"]
    value: Float[Array, "*b"]
    dist: Distribution
    advantage: Float[Array, "*b"]
    target: Float[Array, "*b"]


class Terms(NamedTuple):
    """The parts of the loss, and the monitors."""

    policy: Float[Array, ""]
    value: Float[Array, ""]
    entropy: Float[Array, ""]
    kl: Float[Array, ""]
    clip_fraction: Float[Array, ""]


def standardize(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """(x - mean) / (std + 1e-8)."""
    return (x - x.mean()) / (x.std() + 1e-8)


def value_loss(
    value: Float[Array, "*b"],
    old_value: Float[Array, "*b"],
    target: Float[Array, "*b"],
    clip_epsilon: Float[Array, ""] | float | None,
) -> Float[Array, ""]:
    """1/2 mean max[(V - R)^2, (V_old + clip(V - V_old, ±eps) - R)^2]; unclipped with None."""
    error = jnp.square(value - target)
    if clip_epsilon is not None:
        clipped = old_value + jnp.clip(value - old_value, -clip_epsilon, clip_epsilon)
        error = jnp.maximum(error, jnp.square(clipped - target))
    return 0.5 * error.mean()


def loss(
    out: Output, x: Sample, rule: Any, progress: Progress, ctx: Any, *, drift_: Drift, static: Any
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
    hp, advantage = ctx.hp, x.advantage
    if static.advantage_normalization == "minibatch":
        advantage = standardize(advantage)
    log_ratio = out.dist.log_prob(x.action) - x.log_prob
    seen = DriftInput(log_ratio, advantage, out.dist, x.dist, x.action, progress)
    policy = -drift.surrogate(drift_, rule, seen, ctx).mean()
    value = value_loss(out.value, x.value, x.target, hp.clip_epsilon if static.value_clip else None)
    entropy = out.dist.entropy().mean()
    ratio = drift.ratio(log_ratio)
    terms = Terms(
        policy=policy,
        value=value,
        entropy=entropy,
        kl=(ratio - 1 - log_ratio).mean(),
        clip_fraction=(jnp.abs(ratio - 1) > hp.clip_epsilon).mean(),
    )
    return policy + hp.value_coef * value - hp.entropy_coef * entropy, terms
