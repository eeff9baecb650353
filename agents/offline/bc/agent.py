"""Behaviour cloning as an agent on a dataset."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int, PRNGKeyArray

from rlsuite.agents.offline.base.agent import make as make_offline
from rlsuite.agents.offline.bc.config import Config
from rlsuite.agents.offline.bc.selection import best_trajectories
from rlsuite.agents.offline.cloning import learning as cloning
from rlsuite.agents.offline.cloning.learning import Actor
from rlsuite.agents.offline.cloning.policy import network
from rlsuite.agents.online.off_policy.state import Batch, actor_shape
from rlsuite.metrics import Metrics
from rlsuite.mlp import Net
from rlsuite.types import Agent, Context, Environment


class Learner(struct.PyTreeNode):
    """The policy, and gradient steps so far."""

    actor: Actor
    updates: Int[Array, ""]


def make(env: Environment, config: Config) -> Agent:
    """Behaviour cloning for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static: Any = config.static()
    obs, size = tuple(env.observation_space.shape), math.prod(env.action_space.shape)
    net = network(static, actor_shape(static), obs, size)
    algorithm = cloning.algorithm(
        "bc", net, partial(init, net), partial(update, static, net, 1.0 / size)
    )
    prepare = partial(best_trajectories, static.fraction, static.return_discount)
    return make_offline(env, config, algorithm, prepare)


def init(net: Net, key: PRNGKeyArray, ctx: Context) -> Learner:
    """Nothing learned yet."""
    return Learner(cloning.start(net, key, ctx), jnp.int32(0))


def update(
    static: Any,
    net: Net,
    share: float,
    learner: Learner,
    batch: Batch,
    key: PRNGKeyArray,
    ctx: Context,
) -> tuple[Learner, Metrics]:
    """Down mean (mu(s) - a)^2 over rows and the action's entries (`share` is one over their
    number), or down mean -ln pi(a|s)."""
    weight = share if static.policy == "deterministic" else 1.0
    actor, report = cloning.step(static, net, learner.actor, batch, weight, learner.updates, ctx)
    return Learner(actor, learner.updates + 1), report
