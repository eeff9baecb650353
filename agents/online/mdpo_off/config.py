"""MDPO off-policy's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.agents.cores.config import SoftConfig
from rlsuite.contracts.config import Traced, knob


@dataclass(frozen=True)
class Config(SoftConfig):
    """Mirror Descent Policy Optimization, off-policy (Tomar, Shani, Efroni, Ghavamzadeh, 2022,
    arXiv 2005.09814).

    The policy approaches pi_k^(1 - lambda t) exp(t Q)/Z, pi_k being its own copy of every
    `refresh_period`-th gradient step; the KL may be a Tsallis divergence. With 1/t = lambda and
    q' = 1 pi_k drops out and this is SAC. Defaults are the released code's: a value network with
    a target, Q1 in the actor's loss, except that it acts by drawing.
    """

    order: Literal["critic_first", "actor_first", "simultaneous"] = knob(
        "simultaneous", "which step sees the other's result; simultaneous: neither"
    )
    value: Literal["q", "v"] = knob(
        "v", "what bootstraps: target critics, or a value network and its target"
    )
    actor_critic: Literal["min", "q1"] = knob("q1", "what the actor climbs: min(Q1, Q2) or Q1")
    log_std: Literal["tanh", "clip", "softplus"] = knob(
        "clip", "ln sigma: squashed or clipped to its bounds, or ln(softplus + e^minimum)"
    )
    log_std_min: float = knob(-20.0, "lower bound of ln sigma")
    alpha: Traced[float] = knob(0.2, "lambda, the weight of the entropy in the return", ge=0)
    kl_coef: Traced[float] = knob(1.0, "1/t, the weight of the divergence from pi_k", gt=0)
    tsallis: Traced[float] = knob(
        1.0, "q': ln_q with q = 2 - q' per action dimension; 1 is the logarithm", ge=1, le=2
    )
    refresh_period: int = knob(1000, "m, gradient steps between copies of the policy", ge=1)
    regularization: Traced[float] = knob(
        1e-3, "weight of mean mu^2 + mean (ln sigma)^2 in the actor's loss", ge=0
    )
    exploration: Literal["sample", "greedy"] = knob(
        "sample", "how it acts while it learns; the released code takes the mean"
    )
