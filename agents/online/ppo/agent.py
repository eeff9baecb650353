"""PPO as an agent: `on_policy` is how it collects, `learning` and `losses` are how it learns."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
from jaxtyping import PyTree

from rlsuite import drift as drifts
from rlsuite.agents.online.on_policy.agent import build
from rlsuite.agents.online.on_policy.state import Parts, optimizer
from rlsuite.agents.online.ppo.config import Config
from rlsuite.agents.online.ppo.learning import learn
from rlsuite.drift import Drift
from rlsuite.types import Agent, Context, Environment


def make(env: Environment, config: Config, drift: Drift | None = None) -> Agent:
    """PPO for an environment.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
      drift: replaces the one `config.drift` names, e.g. a learned one.
    """
    return build("ppo", env, config, drift or named_drift(config.drift), start, learn)


def start(parts: Parts, ctx: Context, params: PyTree) -> PyTree:
    """Adam's first state."""
    return optimizer(parts, ctx, ctx.hp.learning_rate, jnp.float32(0)).init(params)


def named_drift(name: str) -> Drift:
    """The drift a configuration names."""
    return {
        "clip": drifts.clip,
        "kl": drifts.kl,
        "kl_fixed": partial(drifts.kl, adaptive=False),
        "dpo": drifts.dpo,
        "mdpo": drifts.mdpo,
        "mdpo_fixed": partial(drifts.mdpo, "constant"),
        "mdpo_tsallis": partial(drifts.mdpo, divergence="tsallis"),
        "none": drifts.none,
    }[name]()
