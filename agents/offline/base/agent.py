"""An agent on a dataset from its algorithm: see `learning`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from rlsuite.agents.offline.base.config import DatasetConfig
from rlsuite.agents.offline.base.learning import collect, learn
from rlsuite.agents.offline.base.state import Parts, Policy, Scale, State, policy, scaled
from rlsuite.agents.online.off_policy.state import Algorithm, to_env
from rlsuite.check import check_bounded
from rlsuite.dataset import Dataset
from rlsuite.keys import Purpose, stream
from rlsuite.types import Agent, Carry, Context, Counters, Environment, Mode

Prepare = Callable[[Dataset], Dataset]


def make(
    env: Environment,
    config: DatasetConfig,
    algorithm: Algorithm,
    prepare: Prepare = lambda data: data,
) -> Agent:
    """The agent that learns from `ctx.data` as `algorithm` says.

    Args:
      env: what the data belongs to; it is stepped only to evaluate.
      config: settings; traced fields are read from `ctx.hp`, not from here.
      algorithm: what it learns; in `update` the batch's `extra` is an `Extra`.
      prepare: what it derives from the data once, see `Agent`.
    """
    static: Any = config.static()
    check_bounded(algorithm.name, env)
    parts = Parts(static, env.action_space, algorithm)
    return Agent(
        name=algorithm.name,
        env=env,
        config=config,
        steps_per_iteration=config.steps_per_iteration(),
        init=partial(init, parts),
        collect=partial(collect, parts),
        learn=partial(learn, parts),
        policy=partial(policy, parts),
        act=partial(act, parts),
        carry=lambda batch: (),
        evaluation_mode=algorithm.evaluation_mode,
        prepare=prepare,
    )


def init(parts: Parts, key: PRNGKeyArray, ctx: Context, warm: Any = None) -> State:
    """The state before the first update. `warm` is a `Policy` to start from; the scale is the
    dataset's all the same."""
    learner = parts.algorithm.init(stream(key, Purpose.INIT), ctx)
    if warm is not None:
        learner = parts.algorithm.warm(learner, jax.tree.map(jnp.copy, warm.params))
    scale: Scale | tuple[()] = ()
    if parts.static.standardize:
        stats = ctx.data.stats
        # Copies: the state is donated, the data is not.
        scale = Scale(jnp.copy(stats.obs_mean), stats.obs_std + ctx.hp.standardize_epsilon)
    return State(learner, scale, Counters.zero(), jnp.copy(key))


def act(
    parts: Parts,
    policy: Policy,
    carry: Carry,
    obs: Array,
    is_first: Bool[Array, "*b"],
    key: PRNGKeyArray,
    mode: Mode,
) -> tuple[Array, Carry]:
    """The environment's action for each observation."""
    action = parts.algorithm.act(policy.params, scaled(policy.scale, obs), key, mode)
    return to_env(parts.action_space, action), carry
