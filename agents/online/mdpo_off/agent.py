"""MDPO off-policy as an agent: SAC's core with MDPO's charges."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxtyping import Array, PRNGKeyArray, PyTree

from rlsuite.agents.online.mdpo_off.config import Config
from rlsuite.agents.online.mdpo_off.mirror import regularizer
from rlsuite.agents.online.off_policy.agent import make as make_off_policy
from rlsuite.agents.online.soft import kinds
from rlsuite.agents.online.soft.agent import algorithm
from rlsuite.agents.online.soft.core import Core
from rlsuite.types import Agent, Environment, Mode


def make(env: Environment, config: Config) -> Agent:
    """MDPO off-policy for an environment with continuous actions.

    Args:
      env: any `Environment` with a Box of actions.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static: Any = config.static()
    kind = kinds.make(static, env.observation_space, env.action_space)
    core = Core(static, kind, regularizer(kind.actor, static.refresh_period), None)
    made = algorithm("mdpo-off", core)

    def act(actor: PyTree, obs: Array, key: PRNGKeyArray, mode: Mode) -> Array:
        if mode == "explore" and static.exploration == "greedy":
            mode = "greedy"
        return made.act(actor, obs, key, mode)

    return make_off_policy(env, config, dataclasses.replace(made, act=act))
