"""What the on-policy agents' factories share: the static pieces, the first state, the container."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, PyTree

from rlsuite import networks, normalize, vector
from rlsuite.agents.online.on_policy.acting import act, collect
from rlsuite.agents.online.on_policy.state import Parts, Rollout, State, policy
from rlsuite.check import check_bounded
from rlsuite.drift import Drift
from rlsuite.keys import Purpose, stream
from rlsuite.metrics import Metrics
from rlsuite.types import Agent, Context, Counters, Environment

Start = Callable[[Parts, Context, PyTree], PyTree]
Learn = Callable[[Parts, State, Rollout, Context], tuple[State, Metrics]]


def build(
    name: str, env: Environment, config: Any, drift: Drift, start: Start, learn: Learn
) -> Agent:
    """An on-policy agent for an environment.

    Args:
      name: the registry's.
      env: any `Environment`.
      config: an `OnPolicy`; traced fields are read from `ctx.hp`, not from here.
      drift: what holds the new policy near the old.
      start: (parts, ctx, params) -> the optimisers' first state.
      learn: (parts, state, rollout, ctx) -> (state, metrics).
    """
    static: Any = config.static()
    if static.action_distribution != "gaussian":
        check_bounded(f"action_distribution {static.action_distribution!r}", env)
    spec = networks.Spec(
        static.network, static.hidden, static.critic_hidden, static.rnn_size,
        static.activation, static.init, static.action_distribution,
    )  # fmt: skip
    parts = Parts(
        static,
        vector.make(env, static.num_envs, static.reset, static.pool_size),
        networks.make(spec, env.observation_space, env.action_space),
        drift,
    )
    return Agent(
        name=name,
        env=env,
        config=config,
        steps_per_iteration=config.steps_per_iteration(),
        init=partial(init, parts, start, env.observation_space.shape),
        collect=partial(collect, parts),
        learn=partial(learn, parts),
        policy=policy,
        act=partial(act, parts),
        carry=parts.network.carry,
    )


def init(
    parts: Parts,
    start: Start,
    obs_shape: tuple[int, ...],
    key: PRNGKeyArray,
    ctx: Context,
    warm: Any = None,
) -> State:
    """The state before the first step. `warm` is a `Policy` to start from."""
    n = parts.static.num_envs
    warm = jax.tree.map(jnp.copy, warm)
    params = parts.network.init(stream(key, Purpose.INIT)) if warm is None else warm.params
    env, obs = parts.envs.reset(stream(key, Purpose.RESET), ctx.env_params)
    return State(
        params=params,
        opt_state=start(parts, ctx, params),
        obs_moments=normalize.init(obs_shape) if warm is None else warm.obs_moments,
        reward_moments=normalize.init(()),
        reward_sum=jnp.zeros(n),
        rule=parts.drift.init(stream(key, Purpose.RULE), ctx),
        env=env,
        obs=obs,
        is_first=jnp.ones(n, bool),
        carry=parts.network.carry((n,)),
        obs_clip=jnp.array(ctx.hp.observation_clip, jnp.float32),
        counters=Counters.zero(),
        # Copies: a caller who donates the state keeps its own key and warm start.
        key=jnp.copy(key),
    )
