"""SAC as an agent: the soft core with a learned or fixed temperature."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

from gymnasium import spaces

from rlsuite.agents.cores import off_policy, replay_source, sac
from rlsuite.agents.cores.sac import Core, Regularizer, Scalar
from rlsuite.agents.online.sac.config import Config
from rlsuite.contracts.types import Agent, Context, Environment


def make(env: Environment, config: Config) -> Agent:
    """SAC for an environment with continuous or discrete actions.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static = config.static()
    heads = sac.make_heads(static, env.observation_space, env.action_space)
    discrete = isinstance(env.action_space, spaces.Discrete)

    def target_entropy(ctx: Context) -> Scalar:
        hp = ctx.hp
        return heads.entropy * (hp.target_entropy_ratio if discrete else hp.target_entropy_scale)

    learned = target_entropy if static.temperature == "learned" else None
    core = Core(static, heads, Regularizer(), learned, static.updates)
    learner = sac.algorithm("sac", core)
    return off_policy.make(env, config, learner, replay_source.make(env, config))


def make_replay(env: Environment, config: Config) -> Agent:
    """SAC whose product is what it recorded while it learned.

    Args:
      env: as in `make`.
      config: as in `make`.
    """
    agent = make(env, config)
    return replace(agent, name="sac-replay", policy=attrgetter("replay"))
