"""Minibatches from a replay that acting fills: environments, a ring, n-step rewards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, Key, PRNGKeyArray

from rlsuite.acting import vector
from rlsuite.acting.check import obs_dtype
from rlsuite.acting.vector import Episodes, VectorEnv
from rlsuite.agents.cores import off_policy
from rlsuite.agents.cores.config import OffPolicyConfig
from rlsuite.agents.cores.off_policy import Minibatch, Parts, Policy, Source, State, seen
from rlsuite.contracts import box, metrics
from rlsuite.contracts.box import to_env
from rlsuite.contracts.keys import Purpose, stream
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Context, Environment
from rlsuite.data import replay
from rlsuite.data.replay import Replay
from rlsuite.ops import normalize
from rlsuite.ops.normalize import Moments

Choose = Callable[[Array, PRNGKeyArray], Array]


class Transition(NamedTuple):
    """A row of the replay. Actions are an agent's: in [-1, 1], or an index."""

    obs: Array
    action: Array
    reward: Float[Array, "*n"]
    terminated: Bool[Array, "*n"]
    truncated: Bool[Array, "*n"]
    next_obs: Array


class Collected(NamedTuple):
    """What `collect` hands to `learn`; the transitions are in the ring."""

    obs: Array
    episodes: Episodes


class Ring(NamedTuple):
    """The static pieces of the source; `example` is one row, for shapes and types."""

    static: OffPolicyConfig
    capacity: int
    prefill: int
    envs: VectorEnv
    action_space: spaces.Space
    example: Transition


def make(env: Environment, config: OffPolicyConfig) -> Source:
    """The source for an environment.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static = config.static()
    ring = Ring(
        static,
        config.capacity(),
        config.prefill_steps(),
        vector.make(env, static.num_envs, static.reset, static.pool_size),
        env.action_space,
        example(env),
    )
    return Source(
        start=partial(start, ring),
        collect=partial(collect, ring),
        observe=partial(observe, ring),
        deal=partial(deal, ring),
        minibatch=partial(minibatch, ring),
        report=report,
        running=static.normalize_observations,
    )


def example(env: Environment) -> Transition:
    """One row, for the ring's shapes; discrete actions are stored as int32."""
    space = env.observation_space
    obs = jnp.zeros(space.shape, obs_dtype(space))
    discrete = isinstance(env.action_space, spaces.Discrete)
    action = jnp.int32(0) if discrete else jnp.zeros(box.size(env.action_space))
    return Transition(obs, action, jnp.float32(0), jnp.bool_(False), jnp.bool_(False), obs)


def start(ring: Ring, parts: Parts, state: State, ctx: Context, warm: Policy | None) -> State:
    """`learning_starts` steps into an empty ring; they count, and the statistics see them.

    Args:
      ring: the source's static pieces.
      parts: the agent's, whose policy acts first with `prefill` 'policy'.
      state: new, with a learner; nothing is collected yet.
      ctx: env_params and observation_clip are read.
      warm: its observation statistics are taken over, and its scale unless the state has one.
    """
    env, obs = ring.envs.reset(stream(state.key, Purpose.RESET), ctx.env_params)
    moments = () if warm is None else warm.obs_moments
    state = state.replace(
        replay=replay.init(ring.example, ring.capacity),
        env=env,
        obs=obs,
        obs_moments=moments or normalize.init(ring.example.obs.shape),
        obs_clip=jnp.array(ctx.hp.observation_clip, jnp.float32),
        # An actor that learned from a dataset knows scaled observations only.
        scale=state.scale or (() if warm is None else warm.scale),
    )
    steps = ring.prefill // ring.envs.num_envs
    if not steps:
        return state
    key = stream(state.key, Purpose.DATA)
    if ring.static.prefill == "uniform":
        choose = uniform(ring)
    else:
        choose = explore(parts, off_policy.policy(parts, state))
    state, collected = run(ring, state, ctx, choose, key, steps)
    return observe(ring, state, collected)


def collect(ring: Ring, parts: Parts, state: State, ctx: Context) -> tuple[State, Collected]:
    """`num_steps` steps of N environments with the exploring policy, into the ring.

    Args:
      ring: the source's static pieces.
      parts: the agent's.
      state: its policy acts, stop-gradiented.
      ctx: env_params is read.
    """
    key = stream(state.key, Purpose.COLLECT, state.counters.collects)
    pool_key, key = jax.random.split(key)
    frozen = jax.lax.stop_gradient(off_policy.policy(parts, state))
    state = state.replace(env=ring.envs.refresh(pool_key, state.env, ctx.env_params))
    return run(ring, state, ctx, explore(parts, frozen), key, ring.static.num_steps)


def explore(parts: Parts, policy: Policy) -> Choose:
    """The agent's own exploration."""

    def choose(obs: Array, key: PRNGKeyArray) -> Array:
        return parts.algorithm.act(
            policy.params, seen(parts.source.running, policy, obs), key, "explore"
        )

    return choose


def uniform(ring: Ring) -> Choose:
    """Actions drawn from the whole space."""
    space, n = ring.action_space, ring.envs.num_envs

    def choose(obs: Array, key: PRNGKeyArray) -> Array:
        if isinstance(space, spaces.Discrete):
            return jax.random.randint(key, (n,), 0, int(space.n))
        return jax.random.uniform(key, (n, *ring.example.action.shape), minval=-1.0, maxval=1.0)

    return choose


def run(
    ring: Ring, state: State, ctx: Context, choose: Choose, key: PRNGKeyArray, steps: int
) -> tuple[State, Collected]:
    """`steps` steps of N environments with `choose`, every transition added to the ring.

    Args:
      ring: the source's static pieces.
      state: its ring, environments and counters move on.
      ctx: env_params is read.
      choose: (obs[n, ...], key) -> actions[n, ...] in [-1, 1], or indices[n].
      key: split over the steps.
      steps: of each environment.

    Returns:
      (the state, observations acted on [t, n, ...] and the episodes that ended).
    """
    body = partial(step, ring, ctx, choose)
    state, out = jax.lax.scan(body, state, jax.random.split(key, steps))
    counters = state.counters.replace(
        env_steps=state.counters.env_steps + steps * ring.envs.num_envs,
        collects=state.counters.collects + 1,
    )
    return state.replace(counters=counters), out


def step(
    ring: Ring, ctx: Context, choose: Choose, state: State, key: PRNGKeyArray
) -> tuple[State, Collected]:
    """One step of every environment; what it led to is stored, not where a reset put it.

    Args:
      ring, ctx, choose: as in `run`.
      state: its ring and environments move on.
      key: for the actions and for the environments.
    """
    act_key, env_key = jax.random.split(key)
    obs = cast(Array, state.obs)
    action = choose(obs, act_key)
    env, out = ring.envs.step(env_key, state.env, to_env(ring.action_space, action), ctx.env_params)
    cut = out.truncated & ~out.terminated
    rows = Transition(obs, action, out.reward, out.terminated, cut, out.final_obs)
    filled = replay.add(cast(Replay, state.replay), rows)
    return state.replace(env=env, obs=out.obs, replay=filled), Collected(obs, out.episodes)


def observe(ring: Ring, state: State, collected: Collected) -> State:
    """Observation statistics with what was just seen.

    Args:
      ring: normalize_observations is read.
      state: whose statistics take them in.
      collected: with the observations acted on, [t, n, ...].
    """
    if not ring.static.normalize_observations:
        return state
    return state.replace(
        obs_moments=normalize.update(cast(Moments, state.obs_moments), collected.obs)
    )


def deal(
    ring: Ring, collected: Collected, key: PRNGKeyArray
) -> tuple[Key[Array, " u"], Key[Array, " u"]]:
    """A key to draw each minibatch with, and one for its gradient step.

    Args:
      ring: updates is read.
      collected: unused: the transitions are in the ring.
      key: of the iteration.
    """
    # Split at once: on a CPU each split takes as long as two hundred random numbers.
    keys = jax.random.split(key, (ring.static.updates, 2))
    return keys[:, 0], keys[:, 1]


def minibatch(ring: Ring, state: State, key: PRNGKeyArray, ctx: Context) -> Minibatch:
    """A minibatch from the ring; in a branch of its own, see `replay.apart`.

    Args:
      ring, state, key, ctx: as in `draw`.

    Returns:
      The minibatch; zeros while the ring is empty.
    """
    read = partial(draw, ring, state, key, ctx)
    return replay.apart(cast(Replay, state.replay), read)


def draw(ring: Ring, state: State, key: PRNGKeyArray, ctx: Context) -> Minibatch:
    """Drawn uniformly, rewards scaled and summed over n steps, observations normalised.

    Args:
      ring: batch_size, n_step, time_limits and normalize_observations are read.
      state: with the ring, and how observations are normalised.
      key: of the draw.
      ctx: gamma and reward_scale are read.

    Returns:
      The minibatch; its discount is 0 where terminated, and at time limits where they count as
      terminal.
    """
    s, hp, stored = ring.static, ctx.hp, cast(Replay, state.replay)
    places = replay.draw(stored, key, (s.batch_size,))
    rows: Transition = replay.take(stored, places)
    reward, next_obs = rows.reward, rows.next_obs
    worthless = rows.terminated
    if s.time_limits == "terminal":
        worthless = worthless | rows.truncated
    discount = jnp.where(worthless, 0.0, hp.gamma)
    if s.n_step > 1:
        n, stride = s.n_step, ring.envs.num_envs
        reward, discount, last = replay.n_step(stored, places, n, stride, hp.gamma)
        final: Transition = replay.take(stored, last)
        next_obs = final.next_obs
        if s.time_limits == "terminal":
            discount = jnp.where(final.truncated, 0.0, discount)
    see = partial(seen, s.normalize_observations, state)
    return Minibatch(see(rows.obs), rows.action, reward * hp.reward_scale, discount, see(next_obs))


def report(collected: Collected) -> Metrics:
    """Returns and lengths of the episodes that ended."""
    ended = collected.episodes
    return {
        "train/return": metrics.mean(ended.returns, where=ended.finished),
        "train/length": metrics.mean(ended.lengths, where=ended.finished),
    }
