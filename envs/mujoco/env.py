"""A MuJoCo task behind the suite's contract: MuJoCo's whole state travels in the pytree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnasium import spaces
from jaxtyping import Array, Bool, Int, Key, PRNGKeyArray, UInt32

from rlsuite.contracts.types import EnvParams, EnvState, TimeStep
from rlsuite.envs import host
from rlsuite.envs.mujoco.engine import Engine
from rlsuite.envs.mujoco.options import settle
from rlsuite.envs.mujoco.specs import SPECS
from rlsuite.envs.mujoco.tasks import TASKS


class MujocoState(struct.PyTreeNode):
    """Physics in double precision as raw bits (jax's x64 stays off), and steps taken so far."""

    physics: UInt32[Array, " bits"]
    steps: Int[Array, ""]


class MujocoEnv:
    """One of Gymnasium's MuJoCo tasks; steps and resets are pure calls of the C library.

    Args:
      env_id: 'mujoco:Hopper-v5'.
      options: see `rlsuite.envs.mujoco.specs`.

    Raises:
      UsageError: an option's value is of the wrong kind.
    """

    resumable = True
    callback = True

    def __init__(self, env_id: str, **options: Any) -> None:
        spec = SPECS[env_id]
        self.id = env_id
        self.options = settle(spec, options)
        self.engine = Engine(spec, TASKS[spec.task, spec.version], self.options)
        self.time_limit: int | None = self.options["time_limit"]
        self.default_params: EnvParams = ()
        obs, bound = self.engine.obs_size, spec.bound
        self.observation_space = spaces.Box(-np.inf, np.inf, (obs,), np.float32)
        self.action_space = spaces.Box(-bound, bound, (spec.actions,), np.float32)
        bits = jax.ShapeDtypeStruct((self.engine.bits,), jnp.uint32)
        seen = jax.ShapeDtypeStruct((obs,), jnp.float32)
        reward = jax.ShapeDtypeStruct((), jnp.float32)
        self._reset_types = (bits, seen)
        self._step_types = (bits, seen, reward, jax.ShapeDtypeStruct((), jnp.bool_))

    def reset(self, key: PRNGKeyArray, params: EnvParams) -> tuple[EnvState, Array]:
        """See `rlsuite.contracts.types.Environment`."""
        return self._reset(key, jnp.array(True))

    def reset_rows(
        self, keys: Key[Array, " n"], wanted: Bool[Array, " n"], params: EnvParams
    ) -> tuple[EnvState, Array]:
        """`reset` of the wanted rows; the others hold zeros. See `rlsuite.acting.vector`.

        Args:
          keys: one a row.
          wanted: rows that are reset.
          params: (), the tasks have none.

        Returns:
          Leaves [n, ...] and observations float32[n, obs].
        """
        return jax.vmap(self._reset)(keys, wanted)

    def _reset(self, key: PRNGKeyArray, wanted: Bool[Array, ""]) -> tuple[EnvState, Array]:
        noise = self.engine.task.noise(key, self.engine.facts)
        bits, obs = host.pure_call(self.engine.reset, self._reset_types, noise, wanted)
        return MujocoState(bits, jnp.int32(0)), obs

    def step(
        self, key: PRNGKeyArray, state: EnvState, action: Array, params: EnvParams
    ) -> tuple[EnvState, TimeStep]:
        """See `rlsuite.contracts.types.Environment`; actions are taken as they are, as in
        Gymnasium.

        Args:
          key: not read: only resets are random.
          state: of `reset` or of the step before.
          action: [nu]; outside its bounds the motors' part is clipped by MuJoCo, what the task
            charges is not.
          params: not read.
        """
        action = jnp.asarray(action, jnp.float32).reshape(self.action_space.shape)
        bits, obs, reward, terminated = host.pure_call(
            self.engine.step, self._step_types, state.physics, action
        )
        steps = state.steps + 1
        truncated = (steps >= self.time_limit) & ~terminated
        return MujocoState(bits, steps), TimeStep(obs, reward, terminated, truncated, {})

    def drawer(self) -> Callable[[EnvState, np.ndarray], np.ndarray]:
        """How to draw a state; see `rlsuite.envs.drawing`."""
        # Here, not above: a run that draws nothing should not look for a way to.
        from rlsuite.envs.mujoco import draw

        return draw.drawer(self.id, self.engine)


def make(env_id: str, **options: Any) -> MujocoEnv:
    """A MuJoCo task by its id."""
    return MujocoEnv(env_id, **options)
