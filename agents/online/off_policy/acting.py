"""Acting of replay-based agents: the policy, and steps that go into the ring."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from gymnasium import spaces
from jaxtyping import Array, Bool, PRNGKeyArray

from rlsuite import box, replay
from rlsuite.agents.online.off_policy.state import (
    Collected,
    Parts,
    Policy,
    State,
    Transition,
    normalized,
    policy,
    to_env,
)
from rlsuite.check import obs_dtype
from rlsuite.keys import Purpose, stream
from rlsuite.types import Carry, Context, Mode

Choose = Callable[[Array, PRNGKeyArray], Array]


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
    seen = normalized(parts, policy.obs_moments, policy.obs_clip, obs)
    action = parts.algorithm.act(policy.params, seen, key, mode)
    return to_env(parts.action_space, action), carry


def collect(parts: Parts, state: State, ctx: Context) -> tuple[State, Collected]:
    """`num_steps` steps of N environments with the exploring policy, into the ring."""
    key = stream(state.key, Purpose.COLLECT, state.counters.collects)
    pool_key, key = jax.random.split(key)
    frozen = jax.lax.stop_gradient(policy(parts, state))
    state = state.replace(env=parts.envs.refresh(pool_key, state.env, ctx.env_params))
    return run(parts, state, ctx, explore(parts, frozen), key, parts.static.num_steps)


def explore(parts: Parts, policy: Policy) -> Choose:
    """The agent's own exploration."""

    def choose(obs: Array, key: PRNGKeyArray) -> Array:
        seen = normalized(parts, policy.obs_moments, policy.obs_clip, obs)
        return parts.algorithm.act(policy.params, seen, key, "explore")

    return choose


def uniform(parts: Parts) -> Choose:
    """Actions drawn from the whole space."""
    space, n = parts.action_space, parts.envs.num_envs

    def choose(obs: Array, key: PRNGKeyArray) -> Array:
        if isinstance(space, spaces.Discrete):
            return jax.random.randint(key, (n,), 0, int(space.n))
        return jax.random.uniform(key, (n, box.size(space)), minval=-1.0, maxval=1.0)

    return choose


def run(
    parts: Parts, state: State, ctx: Context, choose: Choose, key: PRNGKeyArray, steps: int
) -> tuple[State, Collected]:
    """`steps` steps of N environments with `choose`, every transition added to the ring."""
    body = partial(step, parts, ctx, choose)
    state, out = jax.lax.scan(body, state, jax.random.split(key, steps))
    counters = state.counters.replace(
        env_steps=state.counters.env_steps + steps * parts.envs.num_envs,
        collects=state.counters.collects + 1,
    )
    return state.replace(counters=counters), out


def step(
    parts: Parts, ctx: Context, choose: Choose, state: State, key: PRNGKeyArray
) -> tuple[State, Collected]:
    """One step of every environment; what it led to is stored, not where a reset put it."""
    act_key, env_key = jax.random.split(key)
    action = choose(state.obs, act_key)
    env, out = parts.envs.step(
        env_key, state.env, to_env(parts.action_space, action), ctx.env_params
    )
    rows = Transition(
        state.obs,
        action,
        out.reward,
        out.terminated,
        out.truncated & ~out.terminated,
        out.final_obs,
    )
    ring = replay.add(state.replay, rows)
    return state.replace(env=env, obs=out.obs, replay=ring), Collected(state.obs, out.episodes)


def example(parts: Parts) -> Transition:
    """One row, for the ring's shapes; discrete actions are stored as int32."""
    space = parts.observation_space
    obs = jnp.zeros(space.shape, obs_dtype(space))
    discrete = isinstance(parts.action_space, spaces.Discrete)
    action = jnp.int32(0) if discrete else jnp.zeros(box.size(parts.action_space))
    return Transition(obs, action, jnp.float32(0), jnp.bool_(False), jnp.bool_(False), obs)
