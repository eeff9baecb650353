"""What the PPO tests share: contexts, seeds trained side by side, and rollouts to look at."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rlsuite.agents.online.ppo import Config, make
from rlsuite.contracts import registry
from rlsuite.contracts.types import Agent, Context, Hyper


def setup(env: Any, horizon: int = 10, **settings: Any) -> tuple[Agent, Context]:
    """An agent and its context; `env` is an environment or an id."""
    env = registry.make_env(env) if isinstance(env, str) else env
    config = Config.from_mapping(settings)
    return make(env, config), context(config, env, horizon)


def context(config: Any, env: Any, horizon: int = 10) -> Context:
    """The context of a run with the environment's default parameters."""
    hp = Hyper({name: jnp.asarray(value) for name, value in config.hyper().items()})
    return Context(hp, env.default_params, jnp.int32(horizon))


def first_rollout(agent: Agent, ctx: Context, seed: int = 0) -> tuple[Any, Any]:
    """The state after the first rollout, and the rollout."""
    return jax.jit(lambda key: agent.collect(agent.init(key, ctx), ctx))(jax.random.key(seed))


def train(agent: Agent, ctx: Context, seeds: int) -> tuple[Any, Any]:
    """Train seeds side by side over the whole horizon: (last states, a last rollout of each)."""

    def run(key: jax.Array) -> tuple[Any, Any]:
        state = agent.init(key, ctx)
        body = partial(agent.step, ctx=ctx)
        state, _ = jax.lax.scan(lambda s, _: (body(s)[0], None), state, None, int(ctx.horizon))
        return state, agent.collect(state, ctx)[1]

    return jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), seeds))
