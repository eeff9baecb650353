"""SAC's losses as functions of what networks say. `q` and `log_prob` are those of `kinds.Soft`."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Scalar = float | Float[Array, ""]


def soft_value(q: Float[Array, " b"], charge: Float[Array, " b"]) -> Float[Array, " b"]:
    """V(s) = E[Q(s, a) - alpha ln pi(a|s)] (Haarnoja et al., 2018, eq. 3); constant.

    Args:
      q: min_i Q_i(s, a).
      charge: alpha ln pi(a|s), or what else the policy pays.
    """
    chex.assert_equal_shape([q, charge])
    return jax.lax.stop_gradient(q - charge)


def critic_loss(q: Float[Array, "n b"], target: Float[Array, " b"]) -> Float[Array, ""]:
    """sum_i mean (Q_i - y)^2 (eq. 5 without its 1/2: Adam's steps are the same); y constant."""
    chex.assert_rank(q, 2)
    chex.assert_shape(target, q.shape[1:])
    return jnp.square(q - jax.lax.stop_gradient(target)).mean(-1).sum()


def actor_loss(q: Float[Array, " b"], charge: Float[Array, " b"]) -> Float[Array, ""]:
    """mean(alpha ln pi(a|s) - Q(s, a)) (eq. 7); the gradient goes through a."""
    chex.assert_equal_shape([charge, q])
    return (charge - q).mean()


def temperature_loss(
    log_alpha: Float[Array, ""], log_prob: Float[Array, " b"], target_entropy: Scalar, kind: str
) -> Float[Array, ""]:
    """mean(-alpha (ln pi(a|s) + H)) (eq. 18); ln pi constant. Entropy below H raises alpha.

    Args:
      log_alpha: carries the gradient.
      log_prob: ln pi at fresh actions.
      target_entropy: H.
      kind: 'alpha' as written, or 'log_alpha': ln alpha in its place (SB3).
    """
    weight = jnp.exp(log_alpha) if kind == "alpha" else log_alpha
    return -weight * jax.lax.stop_gradient(log_prob + target_entropy).mean()
