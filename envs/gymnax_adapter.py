"""gymnax's environments behind the suite's contract (gymnax >= 1.0)."""

from __future__ import annotations

from typing import Any

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, PRNGKeyArray

from rlsuite.types import EnvParams, EnvState, TimeStep


class GymnaxEnv:
    """A gymnax environment without its auto-reset: one instance, pure functions.

    `default_params` are gymnax's own; any field may be traced or batched.
    """

    resumable = True

    def __init__(self, env_id: str, **options: Any) -> None:
        self.id = env_id
        self._env, params = gymnax.make(env_id, **options)
        # Python numbers would be baked into the program as constants of the default values.
        self.default_params: EnvParams = jax.tree.map(jnp.asarray, params)
        self.observation_space = convert_space(self._env.observation_space(params))
        self.action_space = convert_space(self._env.action_space(params))
        self.time_limit: int | None = int(params.max_steps_in_episode)

    def reset(self, key: PRNGKeyArray, params: EnvParams) -> tuple[EnvState, Array]:
        """See `rlsuite.types.Environment`."""
        obs, state = self._env.reset_env(key, params)
        # gymnax mixes Python numbers and arrays in its states; a loop carry needs one dtype.
        return jax.tree.map(jnp.asarray, state), obs

    def step(
        self, key: PRNGKeyArray, state: EnvState, action: Array, params: EnvParams
    ) -> tuple[EnvState, TimeStep]:
        """See `rlsuite.types.Environment`."""
        obs, new, reward, terminated, _ = self._env.step_env(key, state, action, params)
        truncated = self._env.is_truncated(new, params) & ~terminated
        new = jax.tree.map(lambda a, b: jnp.asarray(a).astype(b.dtype), new, state)
        reward = jnp.asarray(reward, jnp.float32).reshape(())
        return new, TimeStep(obs, reward, jnp.asarray(terminated), jnp.asarray(truncated), {})


def convert_space(space: Any) -> spaces.Space:
    """gymnax's space as gymnasium's."""
    if hasattr(space, "n"):
        return spaces.Discrete(int(space.n))
    low = np.broadcast_to(np.asarray(space.low, np.float32), space.shape)
    high = np.broadcast_to(np.asarray(space.high, np.float32), space.shape)
    return spaces.Box(low, high, tuple(space.shape), np.float32)


def make(env_id: str, **options: Any) -> GymnaxEnv:
    """A gymnax environment by its id."""
    return GymnaxEnv(env_id, **options)
