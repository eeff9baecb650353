"""TD3+BC as an agent: TD3's core, its actor kept near the data's action."""

from __future__ import annotations

import chex
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite.agents.cores import dataset_source, dpg, off_policy
from rlsuite.agents.cores.dpg import Behaviour, Report, Scene, normalized
from rlsuite.agents.offline.td3_bc.config import Config
from rlsuite.contracts import metrics
from rlsuite.contracts.types import Agent, Context, Environment


def make(env: Environment, config: Config) -> Agent:
    """TD3+BC for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    near = Behaviour(actor_loss=actor_loss)
    learner = dpg.constrained("td3-bc", env, config.static(), near)
    return off_policy.make(env, config, learner, dataset_source.make(config))


def actor_loss(
    state: PyTree, action: Float[Array, "b d"], x: Scene, key: PRNGKeyArray, ctx: Context
) -> Report:
    """-lambda mean Q1(s, mu(s)) + cloning mean (mu(s) - a)^2, lambda = alpha / mean|Q1|: Fujimoto
    and Gu, 2021, eq. 3 and 5.

    Args:
      state, key: unused.
      action: mu(s); carries the gradient.
      x: with s, the data's a and Q1, whose parameters are constant.
      ctx: alpha and cloning are read.
    """
    loss = normalized(x.q1(x.batch.obs, action), ctx.hp.alpha)
    chex.assert_equal_shape([action, x.batch.action])
    distance = jnp.square(action - x.batch.action).mean()
    return loss + ctx.hp.cloning * distance, {"policy/distance": metrics.mean(distance)}
