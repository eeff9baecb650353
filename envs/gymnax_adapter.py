"""gymnax's environments behind the suite's contract (gymnax >= 1.0).

What the adapter evens out: states and rewards of unstable dtype (Python numbers in `reset`, arrays
in `step`), integer observations, a discrete observation (one-hot here), float32's largest number
where infinity is meant, and bounds that the observations do not keep to.

Left as gymnax has it: the end of a bandit's or of DiscountingChain's horizon counts as a time
limit (`truncated`), though their authors mean the end of the world.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, PRNGKeyArray, PyTree

from rlsuite.contracts.types import EnvParams, EnvState, TimeStep
from rlsuite.envs.deferred import deferred

# Only gymnax's drawing uses them: 1.7 s of the 2.1 s that it takes to import.
with deferred("seaborn", "matplotlib.pyplot"):
    import gymnax

# gymnax's declared bounds are wrong: rewards and cues among the observations leave them.
UNBOUNDED = {"GaussianBandit-misc", "MemoryChain-bsuite", "MetaMaze-misc"}


class GymnaxEnv:
    """A gymnax environment without its auto-reset: one instance, pure functions.

    `default_params` are gymnax's own; any field may be traced or batched.

    Args:
      env_id: gymnax's id.
      options: arguments of the environment's constructor, or fields of its default parameters.
    """

    resumable = True

    def __init__(self, env_id: str, **options: Any) -> None:
        self.id = env_id
        self._env, params = _make(env_id, options)
        # Python numbers would be baked into the program as constants of the default values.
        self.default_params: EnvParams = strong(params)
        observed = self._env.observation_space(params)
        self._one_hot = int(observed.n) if hasattr(observed, "n") else 0
        self.observation_space = self._convert_observation(observed)
        self.action_space = convert_space(self._env.action_space(params))
        self.time_limit: int | None = int(params.max_steps_in_episode)

    @property
    def simulator(self) -> Any:
        """gymnax's own object, for what the contract does not cover (maps, drawing)."""
        return self._env

    def reset(self, key: PRNGKeyArray, params: EnvParams) -> tuple[EnvState, Array]:
        """See `rlsuite.contracts.types.Environment`."""
        obs, state = self._env.reset_env(key, params)
        return strong(state), self._observe(obs)

    def step(
        self, key: PRNGKeyArray, state: EnvState, action: Array, params: EnvParams
    ) -> tuple[EnvState, TimeStep]:
        """See `rlsuite.contracts.types.Environment`.

        Args:
          key: of what is random in the step.
          state: of `reset` or of the step before.
          action: an index, or a box's entries in any shape of their number.
          params: gymnax's; any field may be traced or batched.
        """
        space = self.action_space
        action = jnp.asarray(action, space.dtype).reshape(space.shape or ())
        obs, new, reward, terminated, _ = self._env.step_env(key, state, action, params)
        terminated = jnp.asarray(terminated, bool).reshape(())
        # An episode that ends by itself in its last step has terminated, whatever the clock says.
        truncated = jnp.asarray(self._env.is_truncated(new, params), bool) & ~terminated
        new = jax.tree.map(lambda a, b: jax.lax.convert_element_type(a, b.dtype), new, state)
        reward = jnp.asarray(reward, jnp.float32).reshape(())
        return new, TimeStep(self._observe(obs), reward, terminated, truncated, {})

    def _observe(self, obs: Array) -> Array:
        if self._one_hot:
            return jax.nn.one_hot(obs, self._one_hot)
        return jnp.asarray(obs, jnp.float32)

    def _convert_observation(self, space: Any) -> spaces.Space:
        if self._one_hot:
            return spaces.Box(0.0, 1.0, (self._one_hot,), np.float32)
        if self.id in UNBOUNDED:
            return spaces.Box(-np.inf, np.inf, tuple(space.shape), np.float32)
        return convert_space(space)


def _make(env_id: str, options: dict[str, Any]) -> tuple[Any, Any]:
    if not options:
        return gymnax.make(env_id)
    fields = {field.name for field in dataclasses.fields(gymnax.make(env_id)[1])}
    env, params = gymnax.make(env_id, **{k: v for k, v in options.items() if k not in fields})
    return env, params.replace(**{k: v for k, v in options.items() if k in fields})


def strong(tree: PyTree) -> PyTree:
    """Leaves as arrays with a dtype of their own, as a loop's carry and a cached program need."""

    def convert(leaf: Any) -> Array:
        array = jnp.asarray(leaf)
        return jax.lax.convert_element_type(array, array.dtype)

    return jax.tree.map(convert, tree)


def convert_space(space: Any) -> spaces.Space:
    """gymnax's space as gymnasium's."""
    if hasattr(space, "n"):
        return spaces.Discrete(int(space.n), dtype=np.int32)
    shape = tuple(space.shape)
    low, high = (np.broadcast_to(_bound(b), shape) for b in (space.low, space.high))
    return spaces.Box(low, high, shape, np.float32)


def _bound(value: Any) -> np.ndarray:
    bound = np.asarray(value, np.float32)
    return np.where(np.abs(bound) >= np.finfo(np.float32).max, np.copysign(np.inf, bound), bound)


def make(env_id: str, **options: Any) -> GymnaxEnv:
    """A gymnax environment by its id."""
    return GymnaxEnv(env_id, **options)
