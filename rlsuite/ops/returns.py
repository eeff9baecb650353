# pyright: strict, reportUnknownMemberType=false, reportMissingTypeStubs=false
"""Advantages and returns from rollouts that may contain several episodes."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Scalar = float | Float[Array, ""]


def next_values(
    v_t: Float[Array, "t n"],
    v_last: Float[Array, " n"],
    v_final: Float[Array, "t n"],
    truncated_t: Bool[Array, "t n"],
) -> Float[Array, "t n"]:
    """V of what each step led to: V(s_{t+1}) inside an episode, V(final_obs) at a time limit.

    Args:
      v_t: values of the observations acted on.
      v_last: value of the observation after the last step.
      v_final: value of `final_obs`; read only where `truncated_t`.
      truncated_t: steps that hit a time limit.

    Raises:
      AssertionError: shapes that would be broadcast, named; while it is traced.
    """
    chex.assert_rank(v_t, 2)
    chex.assert_equal_shape([v_t, v_final, truncated_t])
    chex.assert_shape(v_last, v_t.shape[1:])
    shifted = jnp.concatenate([v_t[1:], v_last[None]])
    return jnp.where(truncated_t, v_final, shifted)


def gae(
    r_t: Float[Array, "t n"],
    discount_t: Float[Array, "t n"],
    v_tm1: Float[Array, "t n"],
    v_t: Float[Array, "t n"],
    continues_t: Bool[Array, "t n"],
    lambda_: Scalar,
) -> Float[Array, "t n"]:
    """Generalised advantage estimation (Schulman et al., 2016, eq. 16).

    A_t = delta_t + discount lambda A_{t+1} inside an episode, with
    delta_t = r_t + discount_t v_t - v_tm1. `lambda_` = 1 gives the discounted return minus V,
    `lambda_` = 0 the TD error. Nothing is stop-gradiented here.

    Args:
      r_t: rewards.
      discount_t: gamma (1 - terminated): 0 only where the future is worth nothing.
      v_tm1: value of the observation acted on.
      v_t: value of what the step led to (see `next_values`).
      continues_t: False where the episode ended for either reason: the trace is cut there.
      lambda_: trace decay.

    Raises:
      AssertionError: shapes that would be broadcast, named; while it is traced.
    """
    chex.assert_rank(r_t, 2)
    chex.assert_equal_shape([r_t, discount_t, v_tm1, v_t, continues_t])
    delta_t = r_t + discount_t * v_t - v_tm1
    decay_t = jnp.where(continues_t, discount_t * lambda_, 0.0)

    def body(
        acc: Float[Array, " n"], x: tuple[Float[Array, " n"], Float[Array, " n"]]
    ) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        delta, decay = x
        acc = delta + decay * acc
        return acc, acc

    _, advantages = jax.lax.scan(body, jnp.zeros_like(r_t[0]), (delta_t, decay_t), reverse=True)
    return advantages
