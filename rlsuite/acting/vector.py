"""The vector layer every agent sees: N copies, same-step auto-reset, the true final observation.

A step returns both `obs`, from which the agent acts next, and `final_obs`, what the step led to;
they differ exactly where an episode ended. Time limits are `truncated`, never `terminated`: agents
bootstrap gamma (1 - terminated) V(final_obs) and cut traces on either.

How a finished copy gets its next initial state is named and recorded with every result:
  full    a fresh reset, drawn for the copies that ended (the default);
  pool    one of K reset states drawn at the start of the rollout, for simulators with dear resets;
  cached  the copy's own first state, again and again: what brax does, kept for comparison.

Where resets are dear, an environment may bring `reset_rows(keys[n], wanted[n], params)`: its own
`reset` under `vmap`, but rows that are not wanted may hold anything of the right shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from rlsuite.acting import check
from rlsuite.contracts.types import Environment, EnvParams, EnvState, TimeStep

ResetStrategy = Literal["full", "pool", "cached"]


class Episodes(NamedTuple):
    """Statistics of the episodes that ended in a step; meaningful where `finished`."""

    finished: Bool[Array, "*n"]
    returns: Float[Array, "*n"]
    lengths: Int[Array, "*n"]


class VectorStep(NamedTuple):
    """What one step of N environments returns; `info` is the simulator's own, row by row."""

    obs: Array
    final_obs: Array
    reward: Float[Array, "*n"]
    terminated: Bool[Array, "*n"]
    truncated: Bool[Array, "*n"]
    episodes: Episodes
    info: dict[str, Array]


class VectorState(struct.PyTreeNode):
    """N environments under way. `pool` holds reset (states, observations) or nothing."""

    env: EnvState
    episode_return: Float[Array, " n"]
    episode_length: Int[Array, " n"]
    pool: PyTree


@dataclass(frozen=True)
class VectorEnv:
    """N copies of an environment as pure functions.

    Attributes:
      reset: (key, params) -> (state, obs[n, ...]).
      step: (key, state, actions[n, ...], params) -> (state, VectorStep).
      refresh: (key, state, params) -> state; draws a new pool, called at the start of a rollout.
    """

    num_envs: int
    strategy: ResetStrategy
    reset: Callable[[PRNGKeyArray, EnvParams], tuple[VectorState, Array]]
    step: Callable[[PRNGKeyArray, VectorState, Array, EnvParams], tuple[VectorState, VectorStep]]
    refresh: Callable[[PRNGKeyArray, VectorState, EnvParams], VectorState]


def make(
    env: Environment, num_envs: int, strategy: ResetStrategy = "full", pool_size: int = 0
) -> VectorEnv:
    """Vectorise an environment.

    Args:
      env: any `Environment`; one with a `vectorize(num_envs)` method (host simulators) brings its
        own vector form.
      num_envs: copies stepped together.
      strategy: where a finished copy's next state comes from.
      pool_size: reset states kept by `pool`; 0 means `num_envs`.

    Raises:
      UsageError: the environment lacks something or has spaces that no agent can use; when its
        functions are traced, also what they return, see `rlsuite.acting.check`.
    """
    check.check_spaces(env)
    if hasattr(env, "vectorize"):
        return env.vectorize(num_envs)  # pyright: ignore[reportAttributeAccessIssue]
    size = pool_size or num_envs

    def reset(key: PRNGKeyArray, params: EnvParams) -> tuple[VectorState, Array]:
        return _reset(env, num_envs, strategy, size, key, params)

    def step(
        key: PRNGKeyArray, state: VectorState, actions: Array, params: EnvParams
    ) -> tuple[VectorState, VectorStep]:
        return _step(env, num_envs, strategy, key, state, actions, params)

    def refresh(key: PRNGKeyArray, state: VectorState, params: EnvParams) -> VectorState:
        if strategy != "pool":
            return state
        return state.replace(pool=_draw(env, size, key, params))

    return VectorEnv(num_envs, strategy, reset, step, refresh)


def check_env(env: Environment) -> None:
    """Refuse an environment that does not keep to the contract; traces it and runs nothing.

    Raises:
      UsageError: naming the field, what it is and what it should be.
    """
    envs, key, space = make(env, 2), jax.random.key(0), env.action_space
    action = jnp.zeros((2, *(space.shape or ())), jax.dtypes.canonicalize_dtype(space.dtype))

    def play(params: EnvParams) -> tuple[VectorState, VectorStep]:
        state, _ = envs.reset(key, params)
        return envs.step(key, state, action, params)

    jax.eval_shape(play, jax.tree.map(jnp.asarray, env.default_params))


def _draw(
    env: Environment,
    n: int,
    key: PRNGKeyArray,
    params: EnvParams,
    wanted: Bool[Array, " n"] | None = None,
) -> tuple[EnvState, Array]:
    keys = jax.random.split(key, n)
    if wanted is not None and hasattr(env, "reset_rows"):
        out = env.reset_rows(keys, wanted, params)  # pyright: ignore[reportAttributeAccessIssue]
    else:
        out = jax.vmap(env.reset, in_axes=(0, None))(keys, params)
    return check.drawn(env, n, out)


def _reset(
    env: Environment,
    num_envs: int,
    strategy: ResetStrategy,
    pool_size: int,
    key: PRNGKeyArray,
    params: EnvParams,
) -> tuple[VectorState, Array]:
    first_key, pool_key = jax.random.split(key)
    states, obs = _draw(env, num_envs, first_key, params)
    pool: PyTree = None
    if strategy == "pool":
        pool = _draw(env, pool_size, pool_key, params)
    elif strategy == "cached":
        # Copies: a state that is also its own cache would be donated twice.
        pool = jax.tree.map(jnp.copy, (states, obs))
    zeros = jnp.zeros(num_envs)
    return VectorState(states, zeros, zeros.astype(jnp.int32), pool), obs


def _step(
    env: Environment,
    num_envs: int,
    strategy: ResetStrategy,
    key: PRNGKeyArray,
    state: VectorState,
    actions: Array,
    params: EnvParams,
) -> tuple[VectorState, VectorStep]:
    step_key, reset_key = jax.random.split(key)
    keys = jax.random.split(step_key, num_envs)
    actions = check.actions(env, num_envs, actions)
    both = jax.vmap(env.step, in_axes=(0, 0, 0, None))(keys, state.env, actions, params)
    stepped, out = check.stepped(env, num_envs, state.env, both)
    done = out.terminated | out.truncated
    env_state, obs = _auto_reset(env, strategy, reset_key, state.pool, stepped, out, done, params)
    returns = state.episode_return + out.reward
    lengths = state.episode_length + 1
    new_state = state.replace(
        env=env_state,
        episode_return=jnp.where(done, 0.0, returns),
        episode_length=jnp.where(done, 0, lengths),
    )
    episodes = Episodes(done, returns, lengths)
    return new_state, VectorStep(
        obs, out.obs, out.reward, out.terminated, out.truncated, episodes, out.info
    )


def _auto_reset(
    env: Environment,
    strategy: ResetStrategy,
    key: PRNGKeyArray,
    pool: PyTree,
    stepped: EnvState,
    out: TimeStep,
    done: Bool[Array, " n"],
    params: EnvParams,
) -> tuple[EnvState, Array]:
    n = done.shape[0]

    def fresh() -> tuple[EnvState, Array]:
        if strategy == "full":
            new = _draw(env, n, key, params, done)
        elif strategy == "pool":
            rows = jax.random.randint(key, (n,), 0, jax.tree.leaves(pool)[0].shape[0])
            new = jax.tree.map(lambda x: x[rows], pool)
        else:
            new = pool
        return jax.tree.map(lambda a, b: select(done, a, b), new, (stepped, out.obs))

    # At width 1 this skips the draw on most steps; under vmap both branches run, same values.
    return jax.lax.cond(done.any(), fresh, lambda: (stepped, out.obs))


def select(mask: Bool[Array, " n"], a: Any, b: Any) -> Any:
    """Row-wise choice between two arrays (or typed keys) with leading axis n.

    Args:
      mask: rows that are taken from `a`.
      a: [n, ...].
      b: [n, ...], of the type of `a`.
    """
    if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
        data = select(mask, jax.random.key_data(a), jax.random.key_data(b))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(a))
    return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - 1)), a, b)
