"""The MuJoCo tasks on MJX, MuJoCo's own port to jax: for accelerators, in float32.

The same `Task` as on the C library computes observations, rewards and ends; only the physics
differs, by what float32 and another solver's tolerance make of it (measured in `tests/envs/
test_mjx.py`). On a CPU the C library is hundreds of times faster and compiles nothing. A run on one
simulator is not continued on the other: the id says which.
"""

from __future__ import annotations

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnasium import spaces
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import EnvParams, EnvState, TimeStep
from rlsuite.envs.gymnax_adapter import strong
from rlsuite.envs.mujoco.engine import check_body, gather
from rlsuite.envs.mujoco.library import mj, model_path
from rlsuite.envs.mujoco.options import settle
from rlsuite.envs.mujoco.specs import MJX_PREFIX, PREFIX, SPECS
from rlsuite.envs.mujoco.task import Physics
from rlsuite.envs.mujoco.tasks import TASKS


class MjxState(struct.PyTreeNode):
    """What a step depends on: positions, velocities, the solver's starting point, and what the
    task remembers of this state for the next reward."""

    qpos: Float[Array, " nq"]
    qvel: Float[Array, " nv"]
    warm: Float[Array, " nv"]
    track: Float[Array, " k"]
    steps: Int[Array, ""]


class MjxEnv:
    """One of Gymnasium's MuJoCo tasks, compiled: no call to the host.

    Args:
      env_id: 'mjx:Hopper-v5'.
      options: see `rlsuite.envs.mujoco.specs`.

    Raises:
      UsageError: MJX is not installed or does not know something in the task's model; an option's
        value is of the wrong kind.
    """

    resumable = True

    def __init__(self, env_id: str, **options: Any) -> None:
        spec = SPECS[PREFIX + env_id.removeprefix(MJX_PREFIX)]
        self.id = env_id
        self.options = settle(spec, options)
        self.task = TASKS[spec.task, spec.version]
        model = mj.MjModel.from_xml_path(str(model_path(spec.xml)))
        self._skip = int(self.options.get("frame_skip", spec.frame_skip))
        self.facts = gather(model, spec.version, self._skip, self.options)
        check_body(env_id, self.facts)
        self._reads = self.task.reads(self.facts)
        self._mjx = load()
        try:
            self._model = self._mjx.put_model(model, impl="jax")
            self._blank = strong(self._mjx.make_data(model, impl="jax"))
        except NotImplementedError as error:
            raise UsageError(f"{env_id}: MJX lacks something ({error}): use {spec.id}") from None
        self.time_limit: int | None = self.options["time_limit"]
        self.default_params: EnvParams = ()
        obs = jax.eval_shape(self.reset, jax.random.key(0), ())[1]
        self.observation_space = spaces.Box(-np.inf, np.inf, obs.shape, np.float32)
        self.action_space = spaces.Box(-spec.bound, spec.bound, (spec.actions,), np.float32)

    def reset(self, key: PRNGKeyArray, params: EnvParams) -> tuple[EnvState, Array]:
        """See `rlsuite.contracts.types.Environment`."""
        noise = self.task.noise(key, self.facts)
        qpos, qvel = (jnp.float32(x) for x in self.task.place(jnp, noise, self.facts))
        data = self._blank.replace(qpos=qpos, qvel=qvel)
        if self._reads:
            data = self._alike(self._mjx.forward(self._model, data))
        s = self._physics(data)
        return self._state(data, s, jnp.int32(0)), self._observe(s)

    def step(
        self, key: PRNGKeyArray, state: EnvState, action: Array, params: EnvParams
    ) -> tuple[EnvState, TimeStep]:
        """See `rlsuite.contracts.types.Environment`; actions are taken as they are, as in
        Gymnasium.

        Args:
          key: not read: only resets are random.
          state: of `reset` or of the step before.
          action: [nu]; outside its bounds the motors' part is clipped by MJX, what the task charges
            is not.
          params: (), the tasks have none.
        """
        action = jnp.asarray(action, jnp.float32).reshape(self.action_space.shape)
        data = self._blank.replace(
            qpos=state.qpos, qvel=state.qvel, qacc_warmstart=state.warm, ctrl=action
        )

        def advance(_: Any, data: Any) -> Any:
            return self._alike(self._mjx.step(self._model, data))

        data = jax.lax.fori_loop(0, self._skip, advance, data)
        if "cfrc_ext" in self._reads:
            data = self._mjx.rne_postconstraint(self._model, data)
        s = self._physics(data)
        reward = jnp.float32(self.task.reward(jnp, state.track, s, action, self.facts))
        terminated = self.task.terminated(jnp, s, self.facts)
        steps = state.steps + 1
        truncated = (steps >= self.time_limit) & ~terminated
        out = TimeStep(self._observe(s), reward, terminated, truncated, {})
        return self._state(data, s, steps), out

    def _state(self, data: Any, s: Physics, steps: Int[Array, ""]) -> MjxState:
        track = jnp.float32(self.task.track(jnp, s, self.facts))
        return MjxState(data.qpos, data.qvel, data.qacc_warmstart, track, steps)

    def _observe(self, s: Physics) -> Float[Array, " obs"]:
        return jnp.float32(self.task.observe(jnp, s, self.facts))

    def _physics(self, data: Any) -> Physics:
        fields = {name: _field(data, name) for name in self._reads}
        return Physics(data.qpos, data.qvel, **fields)

    def _alike(self, data: Any) -> Any:
        # MJX gives back weaker types than it was given: a loop would not take them.
        return jax.tree.map(
            lambda new, old: jax.lax.convert_element_type(new, old.dtype), data, self._blank
        )


def _field(data: Any, name: str) -> Array:
    return getattr(data if name in type(data).__dataclass_fields__ else data._impl, name)


def load() -> Any:
    """MJX.

    Raises:
      UsageError: it is not installed.
    """
    try:
        # It prints that it has no warp.
        with contextlib.redirect_stdout(None):
            from mujoco import mjx
    except ImportError as error:
        raise UsageError(
            f"mjx: tasks need the extra 'brax', which brings MJX ({error}): "
            "pip install 'rlsuite[brax]', or use mujoco: ids"
        ) from None
    return mjx


def make(env_id: str, **options: Any) -> MjxEnv:
    """A MuJoCo task on MJX by `mjx:TASK-VERSION`."""
    return MjxEnv(env_id, **options)
