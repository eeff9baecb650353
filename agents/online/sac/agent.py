"""SAC as an agent: the soft core with a learned or fixed temperature."""

from __future__ import annotations

from functools import partial
from typing import Any

from gymnasium import spaces

from rlsuite.agents.online.off_policy.agent import make as make_off_policy
from rlsuite.agents.online.off_policy.state import Algorithm
from rlsuite.agents.online.sac import core as soft
from rlsuite.agents.online.sac import kinds
from rlsuite.agents.online.sac.config import Config
from rlsuite.agents.online.sac.core import Core, Regularizer
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


def algorithm(name: str, core: Core) -> Algorithm:
    """The core as a replay-based algorithm."""
    return Algorithm(
        name=name,
        init=partial(soft.init, core),
        policy=lambda learner: learner.policy.actor,
        act=partial(soft.act, core),
        update=partial(soft.update, core),
        warm=partial(soft.warm, core),
    )
