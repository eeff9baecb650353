"""brax's tasks behind the suite's contract, without brax's wrappers.

brax's own auto-reset returns every finished copy to its *first* state, loses what the episode ended
in and counts a time limit as an end; here resets draw anew (`rlsuite.acting.vector`), and the time
limit is the adapter's. Who wants brax's behaviour for comparison sets `reset = "cached"`.
"""

from __future__ import annotations

import contextlib
import warnings
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Int, PRNGKeyArray

from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import EnvParams, EnvState, TimeStep
from rlsuite.envs.brax_rows import PREFIX, TIME_LIMIT
from rlsuite.envs.gymnax_adapter import strong
from rlsuite.envs.mujoco import library

# brax loads MuJoCo's models too: their warnings go where the suite's own do.
assert library.mj is not None


class State(NamedTuple):
    """brax's state and the steps since the reset."""

    brax: Any
    time: Int[Array, ""]


class BraxEnv:
    """A brax task: one instance, pure functions. Actions are in [-1, 1] as brax has them.

    Args:
      env_id: `brax:TASK-BACKEND`.
      time_limit: steps after which an episode is truncated.
      options: arguments of the task's constructor.
    """

    resumable = True

    def __init__(self, env_id: str, time_limit: int = TIME_LIMIT, **options: Any) -> None:
        self.id = env_id
        task, _, backend = env_id.removeprefix(PREFIX).rpartition("-")
        self._env = build(task, backend, **options)
        # brax's own `observation_size` runs a whole reset, operation by operation.
        shapes = jax.eval_shape(self.reset, jax.random.key(0), ())
        self.observation_space = spaces.Box(-np.inf, np.inf, shapes[1].shape, np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (int(self._env.action_size),), np.float32)
        self.default_params: EnvParams = ()
        self.time_limit: int | None = time_limit

    def reset(self, key: PRNGKeyArray, params: EnvParams) -> tuple[EnvState, Array]:
        """See `rlsuite.contracts.types.Environment`."""
        with quiet():
            state = strong(self._env.reset(jax.random.key_data(key)))
        return State(state, jnp.int32(0)), jnp.asarray(state.obs, jnp.float32)

    def step(
        self, key: PRNGKeyArray, state: EnvState, action: Array, params: EnvParams
    ) -> tuple[EnvState, TimeStep]:
        """See `rlsuite.contracts.types.Environment`.

        Args:
          key: not read: brax's steps are deterministic.
          state: of `reset` or of the step before; not changed.
          action: [nu] in [-1, 1].
          params: (), brax's tasks have none.
        """
        # A copy: brax updates the dicts in the state it is given.
        given = jax.tree.map(lambda leaf: leaf, state.brax)
        with quiet():
            new = self._env.step(given, action)
        new = jax.tree.map(lambda a, b: jax.lax.convert_element_type(a, b.dtype), new, state.brax)
        time = state.time + 1
        terminated = new.done.astype(bool)
        truncated = (time >= self.time_limit) & ~terminated
        reward, obs = jnp.asarray(new.reward, jnp.float32), jnp.asarray(new.obs, jnp.float32)
        return State(new, time), TimeStep(obs, reward, terminated, truncated, {})


def quiet() -> warnings.catch_warnings:
    """Without what brax says of its own maintenance and of MuJoCo's renamed fields."""
    return warnings.catch_warnings(action="ignore")


def build(task: str, backend: str, **options: Any) -> Any:
    """brax's own environment.

    Raises:
      UsageError: brax is not installed.
    """
    try:
        # mjx prints that it has no warp.
        with quiet(), contextlib.redirect_stdout(None):
            from brax import envs, fluid

            fluid.jp = cast(Any, SimpleNamespace(**{**vars(jnp), "clip": clip}))
            return envs.get_environment(task, backend=backend, **options)
    except ImportError as e:
        raise UsageError(
            f"brax tasks need the extra 'brax' ({e}): pip install 'rlsuite[brax]'"
        ) from None


def clip(x: Array, a_min: float) -> Array:
    """`jnp.clip` under the name that jax has dropped and brax 0.14's fluid forces (swimmer) use."""
    return jnp.clip(x, min=a_min)


def make(env_id: str, **options: Any) -> BraxEnv:
    """A brax task by `brax:TASK-BACKEND`."""
    return BraxEnv(env_id, **options)
