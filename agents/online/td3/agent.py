"""TD3 as an agent: the core with twin critics, smoothed targets and a delayed actor."""

from __future__ import annotations

from rlsuite.agents.cores import dpg, off_policy, replay_source
from rlsuite.agents.online.td3.config import Config
from rlsuite.contracts.types import Agent, Environment


def make(env: Environment, config: Config) -> Agent:
    """TD3 for an environment with continuous actions.

    Args:
      env: any `Environment` with a Box of actions.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static = config.static()
    core = dpg.core(env, static, critics=2, policy_delay=static.policy_delay, smoothing=True)
    learner = dpg.algorithm("td3", core)
    return off_policy.make(env, config, learner, replay_source.make(env, config))
