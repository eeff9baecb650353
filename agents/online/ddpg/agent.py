"""DDPG as an agent: the core with one critic and plain targets."""

from __future__ import annotations

from typing import Any

from rlsuite.agents.online.ddpg.config import Config
from rlsuite.agents.online.dpg.agent import algorithm, networks
from rlsuite.agents.online.off_policy.agent import make as make_off_policy
from rlsuite.types import Agent, Environment


def make(env: Environment, config: Config) -> Agent:
    """DDPG for an environment with continuous actions.

    Args:
      env: any `Environment` with a Box of actions.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static: Any = config.static()
    core = networks(env, static, critics=1, policy_delay=static.policy_delay, smoothing=False)
    return make_off_policy(env, config, algorithm("ddpg", core))
