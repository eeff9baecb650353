"""TRPO as an agent: PPO's ground, no drift, and `learning` is what differs."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import PyTree

from rlsuite import drift
from rlsuite.agents.online.on_policy.agent import build
from rlsuite.agents.online.on_policy.apart import split, value_optimizer
from rlsuite.agents.online.on_policy.state import Parts
from rlsuite.agents.online.trpo.config import Config
from rlsuite.agents.online.trpo.learning import learn
from rlsuite.types import Agent, Context, Environment


def make(env: Environment, config: Config) -> Agent:
    """TRPO for an environment.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    return build("trpo", env, config, drift.none(), start, learn)


def start(parts: Parts, ctx: Context, params: PyTree) -> PyTree:
    """The first state of the value function's Adam; the policy has no optimiser."""
    return value_optimizer(parts, ctx, jnp.float32(0)).init(split(params)[1])
