"""TD3 as an agent: the core with twin critics, smoothed targets and a delayed actor."""

from __future__ import annotations

from typing import Any

from rlsuite.agents.online.dpg.agent import algorithm, networks
from rlsuite.agents.online.off_policy.agent import make as make_off_policy
from rlsuite.agents.online.td3.config import Config
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
