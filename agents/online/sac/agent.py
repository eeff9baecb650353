"""SAC as an agent: the soft core with a learned or fixed temperature."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from rlsuite.agents.online.off_policy.agent import make as make_off_policy
from rlsuite.agents.online.sac.config import Config
from rlsuite.agents.online.soft import kinds
from rlsuite.agents.online.soft.agent import algorithm
from rlsuite.agents.online.soft.core import Core, Regularizer
from rlsuite.types import Agent, Context, Environment


def make(env: Environment, config: Config) -> Agent:
    """SAC for an environment with continuous or discrete actions.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static: Any = config.static()
    kind = kinds.make(static, env.observation_space, env.action_space)
    discrete = isinstance(env.action_space, spaces.Discrete)

    def target_entropy(ctx: Context) -> Any:
        hp = ctx.hp
        return kind.entropy * (hp.target_entropy_ratio if discrete else hp.target_entropy_scale)

    learned = target_entropy if static.temperature == "learned" else None
    core = Core(static, kind, Regularizer(), learned)
    return make_off_policy(env, config, algorithm("sac", core))
