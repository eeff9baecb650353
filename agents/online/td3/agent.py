"""TD3 as an agent: the core with twin critics, smoothed targets and a delayed actor."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from rlsuite import mlp
from rlsuite.agents.online.off_policy.agent import make as make_off_policy
from rlsuite.agents.online.off_policy.state import Algorithm, sizes
from rlsuite.agents.online.td3 import core as td3
from rlsuite.agents.online.td3.config import Config
from rlsuite.agents.online.td3.core import Core, Pull
from rlsuite.types import Agent, Environment


def make(env: Environment, config: Config) -> Agent:
    """TD3 for an environment with continuous actions.

    Args:
      env: any `Environment` with a Box of actions.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static: Any = config.static()
    core = networks(env, static, critics=2, policy_delay=static.policy_delay, smoothing=True)
    return make_off_policy(env, config, algorithm("td3", core))


def networks(
    env: Environment, static: Any, *, critics: int, policy_delay: int, smoothing: bool,
    pull: Pull | None = None,
) -> Core:  # fmt: skip
    """The core for an environment's spaces."""
    actor, critic = sizes(static)
    obs, size = tuple(env.observation_space.shape), math.prod(env.action_space.shape)
    return Core(
        mlp.deterministic_actor(actor, obs, size),
        mlp.ensemble(mlp.critic(critic, obs, size), critics),
        policy_delay,
        smoothing,
        pull or Pull(),
    )


def algorithm(name: str, core: Core) -> Algorithm:
    """The core as a replay-based algorithm."""
    return Algorithm(
        name=name,
        init=partial(td3.init, core),
        policy=td3.policy,
        act=partial(td3.act, core),
        update=partial(td3.update, core),
        warm=td3.warm,
    )
