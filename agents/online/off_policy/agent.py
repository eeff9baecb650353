"""A replay-based agent from its algorithm: see `acting` and `learning`."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rlsuite import normalize, replay, vector
from rlsuite.agents.online.off_policy import acting
from rlsuite.agents.online.off_policy.config import OffPolicyConfig
from rlsuite.agents.online.off_policy.learning import learn, merged
from rlsuite.agents.online.off_policy.state import Algorithm, Parts, State, policy
from rlsuite.check import check_bounded
from rlsuite.keys import Purpose, stream
from rlsuite.types import Agent, Context, Counters, Environment


def make(env: Environment, config: OffPolicyConfig, algorithm: Algorithm) -> Agent:
    """The agent that acts, stores and learns as `algorithm` says.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
      algorithm: what it learns.
    """
    static: Any = config.static()
    check_bounded(algorithm.name, env)
    envs = vector.make(env, static.num_envs, static.reset, static.pool_size)
    prefill = config.prefill_steps()
    parts = Parts(
        static, config.capacity(), prefill, envs,
        env.observation_space, env.action_space, algorithm,
    )  # fmt: skip
    return Agent(
        name=algorithm.name,
        env=env,
        config=config,
        steps_per_iteration=config.steps_per_iteration(),
        init=partial(init, parts),
        collect=partial(acting.collect, parts),
        learn=partial(learn, parts),
        policy=partial(policy, parts),
        act=partial(acting.act, parts),
        carry=lambda batch: (),
        evaluation_mode=algorithm.evaluation_mode,
        prefill=prefill,
    )


def init(parts: Parts, key: PRNGKeyArray, ctx: Context, warm: Any = None) -> State:
    """The state before the first update, its replay filled. `warm` is a `Policy` to start from."""
    warm = jax.tree.map(jnp.copy, warm)
    learner = parts.algorithm.init(stream(key, Purpose.INIT), ctx)
    if warm is not None:
        learner = parts.algorithm.warm(learner, warm.params)
    env, obs = parts.envs.reset(stream(key, Purpose.RESET), ctx.env_params)
    shape = parts.observation_space.shape
    state = State(
        learner=learner,
        replay=replay.init(acting.example(parts), parts.capacity),
        env=env,
        obs=obs,
        obs_moments=normalize.init(shape) if warm is None else warm.obs_moments,
        obs_clip=jnp.array(ctx.hp.observation_clip, jnp.float32),
        counters=Counters.zero(),
        # A copy: a caller who donates the state keeps its own key.
        key=jnp.copy(key),
    )
    return fill(parts, state, ctx)


def fill(parts: Parts, state: State, ctx: Context) -> State:
    """`learning_starts` steps into the ring; they count, and the statistics see them."""
    steps = parts.prefill // parts.envs.num_envs
    if not steps:
        return state
    key = stream(state.key, Purpose.DATA)
    if parts.static.prefill == "uniform":
        choose = acting.uniform(parts)
    else:
        choose = acting.explore(parts, policy(parts, state))
    state, seen = acting.run(parts, state, ctx, choose, key, steps)
    return state.replace(obs_moments=merged(parts, state, seen))
