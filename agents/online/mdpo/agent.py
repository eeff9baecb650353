"""MDPO as an agent: PPO's ground, `drift.mdpo`, and `learning` is what differs."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import PyTree

from rlsuite import drift
from rlsuite.agents.online.mdpo.config import Config
from rlsuite.agents.online.mdpo.learning import learn, policy_optimizer
from rlsuite.agents.online.on_policy.agent import build
from rlsuite.agents.online.on_policy.apart import split, value_optimizer
from rlsuite.agents.online.on_policy.state import Parts
from rlsuite.types import Agent, Context, Environment


def make(env: Environment, config: Config) -> Agent:
    """On-policy MDPO for an environment.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    proximity = drift.mdpo(config.mirror_schedule, config.divergence)
    return build("mdpo", env, config, proximity, start, learn)


def start(parts: Parts, ctx: Context, params: PyTree) -> PyTree:
    """The first states of (the policy's Adam, the value function's)."""
    policy, value = split(params)
    at = jnp.float32(0)
    return (
        policy_optimizer(parts, ctx, at).init(policy),
        value_optimizer(parts, ctx, at).init(value),
    )
