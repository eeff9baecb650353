"""Acting of the on-policy agents: the policy, and a rollout of N environments for T steps."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from rlsuite.agents.online.on_policy.state import (
    Parts,
    Policy,
    Rollout,
    State,
    Transition,
    normalized,
    policy,
)
from rlsuite.keys import Purpose, stream
from rlsuite.types import Carry, Context, Mode


def act(
    parts: Parts,
    policy: Policy,
    carry: Carry,
    obs: Array,
    is_first: Bool[Array, "*b"],
    key: PRNGKeyArray,
    mode: Mode,
) -> tuple[Array, Carry]:
    """The environment's action for each observation; 'explore' is 'sample'."""
    out, carry = parts.network.apply(policy.params, carry, normalized(parts, policy, obs), is_first)
    raw = out.dist.mode() if mode == "greedy" else out.dist.sample(key)
    return out.dist.to_env(raw), carry


def collect(parts: Parts, state: State, ctx: Context) -> tuple[State, Rollout]:
    """T steps of N environments with the current policy; statistics stay frozen."""
    key = stream(state.key, Purpose.COLLECT, state.counters.collects)
    pool_key, key = jax.random.split(key)
    first_carry = state.carry
    frozen = jax.lax.stop_gradient(policy(state))
    start = state.replace(env=parts.envs.refresh(pool_key, state.env, ctx.env_params))
    body = partial(act_and_step, parts, ctx, frozen)
    state, steps = jax.lax.scan(body, start, jax.random.split(key, parts.static.num_steps))
    out, _ = parts.network.apply(
        frozen.params, state.carry, normalized(parts, frozen, state.obs), state.is_first
    )
    taken = state.counters.env_steps + parts.static.num_steps * parts.static.num_envs
    counters = state.counters.replace(env_steps=taken, collects=state.counters.collects + 1)
    return state.replace(counters=counters), Rollout(steps, out.value, first_carry)


def act_and_step(
    parts: Parts, ctx: Context, frozen: Policy, state: State, key: PRNGKeyArray
) -> tuple[State, Transition]:
    """Select actions, step, and value the true final observation of truncated episodes."""
    act_key, env_key = jax.random.split(key)
    apply = partial(parts.network.apply, frozen.params)
    out, carry = apply(state.carry, normalized(parts, frozen, state.obs), state.is_first)
    action = out.dist.sample(act_key)
    env, step = parts.envs.step(env_key, state.env, out.dist.to_env(action), ctx.env_params)
    done = step.terminated | step.truncated

    def value_of_final() -> Array:
        seen = normalized(parts, frozen, step.final_obs)
        return apply(carry, seen, jnp.zeros_like(done))[0].value

    # Without a time limit in this step (most steps) the second critic pass is skipped.
    final_value = jax.lax.cond(
        step.truncated.any(), value_of_final, lambda: jnp.zeros_like(out.value)
    )
    transition = Transition(
        state.obs, state.is_first, action, out.dist.log_prob(action), out.value, out.dist,
        step.reward, step.terminated, step.truncated, final_value, step.episodes,
    )  # fmt: skip
    return state.replace(env=env, obs=step.obs, is_first=done, carry=carry), transition
