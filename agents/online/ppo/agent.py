"""PPO as an agent: see `acting` for how it collects, `learning` and `losses` for how it learns."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rlsuite import drift as drifts
from rlsuite import networks, normalize, vector
from rlsuite.agents.online.ppo.acting import act, collect
from rlsuite.agents.online.ppo.config import Config
from rlsuite.agents.online.ppo.learning import learn
from rlsuite.agents.online.ppo.state import Parts, State, optimizer, policy
from rlsuite.drift import Drift
from rlsuite.keys import Purpose, stream
from rlsuite.types import Agent, Context, Counters, Environment


def make(env: Environment, config: Config, drift: Drift | None = None) -> Agent:
    """PPO for an environment.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
      drift: replaces the one `config.drift` names, e.g. a learned one.
    """
    static: Any = config.static()
    spec = networks.Spec(
        static.network, static.hidden, static.critic_hidden, static.rnn_size,
        static.activation, static.init, static.action_distribution,
    )  # fmt: skip
    parts = Parts(
        static,
        vector.make(env, static.num_envs, static.reset, static.pool_size),
        networks.make(spec, env.observation_space, env.action_space),
        drift or named_drift(static.drift),
    )
    return Agent(
        name="ppo",
        env=env,
        config=config,
        steps_per_iteration=config.steps_per_iteration(),
        init=partial(init, parts, env.observation_space.shape),
        collect=partial(collect, parts),
        learn=partial(learn, parts),
        policy=policy,
        act=partial(act, parts),
        carry=parts.network.carry,
    )


def named_drift(name: str) -> Drift:
    """The drift a configuration names."""
    return {
        "clip": drifts.clip,
        "kl": drifts.kl,
        "kl_fixed": partial(drifts.kl, adaptive=False),
        "dpo": drifts.dpo,
        "none": drifts.none,
    }[name]()


def init(
    parts: Parts, obs_shape: tuple[int, ...], key: PRNGKeyArray, ctx: Context, warm: Any = None
) -> State:
    """The state before the first step. `warm` is a `Policy` to start from."""
    n = parts.static.num_envs
    warm = jax.tree.map(jnp.copy, warm)
    params = parts.network.init(stream(key, Purpose.INIT)) if warm is None else warm.params
    env, obs = parts.envs.reset(stream(key, Purpose.RESET), ctx.env_params)
    return State(
        params=params,
        opt_state=optimizer(parts, ctx, jnp.float32(0)).init(params),
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
