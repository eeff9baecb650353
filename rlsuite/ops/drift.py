"""Drifts: what keeps a new policy near the old one, as values that PPO takes.

A policy-optimisation step maximises E[r A - drift], r = pi_new/pi_old (mirror learning, Kuba et
al., 2022). PPO's clip, a KL penalty and DPO differ only in the drift; a learned one (LPO) fits the
same slot. A drift is three functions:

    init(key, ctx) -> rule                     # its own state: a network, an adaptive coefficient
    penalty(rule, x, ctx) -> [B]               # >= 0, with value and slope 0 at r = 1
    adapt(rule, kl, ctx) -> rule               # after an iteration, from the measured KL

A learned drift reads its parameters from `ctx.data`; the closed forms here read `ctx.hp`. Advantage
and old distribution arrive as constants of the parameters, but not of `ctx`: `learn` can be
differentiated through them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rlsuite.nn.distributions import Distribution

# exp() of a larger log-ratio overflows float32 in the backward pass (inf * 0).
LOG_RATIO_LIMIT = 20.0


class Progress(NamedTuple):
    """How far a run is: `fraction` of its `horizon` iterations are done."""

    fraction: Float[Array, ""]
    horizon: Float[Array, ""]


class DriftInput(NamedTuple):
    """What a drift may look at, one row per sample; only `new` and `log_ratio` carry gradients."""

    log_ratio: Float[Array, "*b"]
    advantage: Float[Array, "*b"]
    new: Distribution
    old: Distribution
    action: Array
    progress: Progress


@dataclass(frozen=True)
class Drift:
    """A drift functional as a value."""

    name: str
    penalty: Callable[[Any, DriftInput, Any], Float[Array, "*b"]]
    init: Callable[[Any, Any], Any] = lambda key, ctx: ()
    adapt: Callable[[Any, Float[Array, ""], Any], Any] = lambda rule, kl, ctx: rule


def ratio(log_ratio: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """exp(log_ratio), clamped so that neither it nor its gradient overflows."""
    return jnp.exp(jnp.clip(log_ratio, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT))


def surrogate(drift: Drift, rule: Any, x: DriftInput, ctx: Any) -> Float[Array, "*b"]:
    """r A - drift: what is maximised, per sample. Nothing is stop-gradiented.

    Args:
      drift: any.
      rule: the drift's own state, from `init` or `adapt`.
      x: one row a sample.
      ctx: the run's `Context`, for the drift.

    Raises:
      AssertionError: a penalty, a ratio or an advantage of another shape; while it is traced.
    """
    penalty = drift.penalty(rule, x, ctx)
    chex.assert_equal_shape([x.log_ratio, x.advantage, penalty])
    return ratio(x.log_ratio) * x.advantage - penalty


def none() -> Drift:
    """No drift: the plain importance-weighted surrogate."""
    return Drift("none", lambda rule, x, ctx: jnp.zeros_like(x.advantage))


def clip() -> Drift:
    """PPO's clip (Schulman et al., 2017, eq. 7): relu((r - clip(r, 1-eps, 1+eps)) A).

    r A minus this equals min(r A, clip(r) A). Reads hp.clip_epsilon.
    """

    def penalty(rule: Any, x: DriftInput, ctx: Any) -> Float[Array, "*b"]:
        r = ratio(x.log_ratio)
        clipped = jnp.clip(r, 1 - ctx.hp.clip_epsilon, 1 + ctx.hp.clip_epsilon)
        return jax.nn.relu((r - clipped) * x.advantage)

    return Drift("clip", penalty)


def kl(adaptive: bool = True) -> Drift:
    """PPO's KL penalty (Schulman et al., 2017, eq. 8): beta KL(old || new).

    With `adaptive`, beta doubles after an iteration whose KL exceeds 1.5 hp.kl_target and halves
    below hp.kl_target / 1.5; it starts at hp.kl_coef. Fixed beta reads hp.kl_coef each time.
    """

    def penalty(rule: Any, x: DriftInput, ctx: Any) -> Float[Array, "*b"]:
        beta = rule if adaptive else ctx.hp.kl_coef
        return beta * x.old.kl(x.new)  # pyright: ignore[reportArgumentType]

    def adapt(rule: Any, measured: Float[Array, ""], ctx: Any) -> Any:
        if not adaptive:
            return rule
        factor = jnp.where(measured > 1.5 * ctx.hp.kl_target, 2.0, 1.0)
        factor = jnp.where(measured < ctx.hp.kl_target / 1.5, 0.5, factor)
        return jnp.clip(rule * factor, 1e-4, 1e4)

    def init(key: Any, ctx: Any) -> Any:
        return jnp.array(ctx.hp.kl_coef, jnp.float32) if adaptive else ()

    return Drift("kl", penalty, init, adapt)


def mdpo(
    schedule: Literal["linear", "constant"] = "linear",
    divergence: Literal["kl", "tsallis"] = "kl",
) -> Drift:
    """Mirror descent policy optimisation (Tomar et al., 2022, sec. 4.1): KL(new || old) / t_k.

    Note the direction: the KL of TRPO and of PPO's penalty is KL(old || new). With 'linear', t_k is
    hp.mirror_step (1 - (k-1)/K) in iteration k = 0..K-1, as the released code counts: from 1 + 1/K
    down to 2/K. 'tsallis' takes the Bregman divergence of Tsallis' negative entropy with q' =
    hp.tsallis_q (see `distributions.Categorical.tsallis`; q' = 1 is the KL). The released code has
    the mean of ln_q pi(a) - ln_q pi_old(a) at old actions there, which is no divergence: at q' = 1
    it is -KL(old || new) in expectation and rewards going far.
    """

    def penalty(rule: Any, x: DriftInput, ctx: Any) -> Float[Array, "*b"]:
        t = ctx.hp.mirror_step
        if schedule == "linear":
            t = t * mirror_schedule(x.progress)
        if divergence == "tsallis":
            return x.new.tsallis(x.old, ctx.hp.tsallis_q) / t  # pyright: ignore
        return x.new.kl(x.old) / t  # pyright: ignore[reportArgumentType]

    return Drift("mdpo_tsallis" if divergence == "tsallis" else "mdpo", penalty)


def mirror_schedule(progress: Progress) -> Float[Array, ""]:
    """t_k = 1 - (k - 1)/K in iteration k of K; a run beyond its horizon keeps the last, 2/K."""
    unit = 1 / progress.horizon
    return jnp.maximum(1 - progress.fraction + unit, 2 * unit)


def dpo() -> Drift:
    """Discovered Policy Optimisation (Lu et al., 2022): the closed form distilled from LPO.

    A >= 0: relu(u - alpha tanh(u/alpha)), u = (r - 1) A;  A < 0: relu(v - beta tanh(v/beta)),
    v = A ln r. Reads hp.dpo_alpha (2) and hp.dpo_beta (0.6). Nothing to do with Direct Preference
    Optimization. The second branch works on the log-ratio itself: ln(r) of an underflown r would
    put NaN into the gradient even where it is not selected.
    """

    def penalty(rule: Any, x: DriftInput, ctx: Any) -> Float[Array, "*b"]:
        log_r = jnp.clip(x.log_ratio, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
        u = (ratio(log_r) - 1) * x.advantage
        v = log_r * x.advantage
        up = jax.nn.relu(u - ctx.hp.dpo_alpha * jnp.tanh(u / ctx.hp.dpo_alpha))
        down = jax.nn.relu(v - ctx.hp.dpo_beta * jnp.tanh(v / ctx.hp.dpo_beta))
        return jnp.where(x.advantage >= 0, up, down)

    return Drift("dpo", penalty)
