"""ODICE as an agent on a dataset."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from rlsuite import mlp
from rlsuite.agents.offline.base.agent import make as make_offline
from rlsuite.agents.offline.cloning.learning import algorithm
from rlsuite.agents.offline.cloning.policy import network
from rlsuite.agents.offline.odice.config import Config
from rlsuite.agents.offline.odice.learning import Core, init, update
from rlsuite.agents.online.off_policy.state import sizes
from rlsuite.types import Agent, Environment


def make(env: Environment, config: Config) -> Agent:
    """ODICE for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static: Any = config.static()
    actor, critic = sizes(static)
    obs, size = tuple(env.observation_space.shape), math.prod(env.action_space.shape)
    core = Core(
        static,
        network(static, actor, obs, size),
        mlp.ensemble(mlp.critic(critic, obs, 0), 2 if static.twin else 1),
    )
    return make_offline(
        env, config, algorithm("odice", core.policy, partial(init, core), partial(update, core))
    )
