"""PPO's loss, term by term."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from rlsuite import drift
from rlsuite.agents.online.on_policy.losses import Sample, policy_terms, standardize, value_loss
from rlsuite.drift import Drift, Progress
from rlsuite.networks import Output


class Terms(NamedTuple):
    """The parts of the loss, and the monitors."""

    policy: Float[Array, ""]
    value: Float[Array, ""]
    entropy: Float[Array, ""]
    kl: Float[Array, ""]
    clip_fraction: Float[Array, ""]


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
    hp = ctx.hp
    if static.advantage_normalization == "minibatch":
        x = x._replace(advantage=standardize(x.advantage))
    policy, entropy, log_ratio = policy_terms(out.dist, x, rule, progress, ctx, drift_)
    value = value_loss(out.value, x.value, x.target, hp.clip_epsilon if static.value_clip else None)
    ratio = drift.ratio(log_ratio)
    terms = Terms(
        policy=policy,
        value=value,
        entropy=entropy,
        kl=(ratio - 1 - log_ratio).mean(),
        clip_fraction=(jnp.abs(ratio - 1) > hp.clip_epsilon).mean(),
    )
    return policy + hp.value_coef * value - hp.entropy_coef * entropy, terms
