"""MuJoCo's C library on batches of states, numpy in and numpy out.

Rows are stepped one after another in a Python loop: setting and reading a state costs 1.4 us a
row, where the physics of one HalfCheetah action costs 34 us and one of Humanoid 300. MuJoCo's own
batched `rollout` is no faster on one thread, and returns neither the solver's warm start, without
which the next step differs in the last bits, nor the quantities that some tasks observe.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.envs.mujoco.library import mj, model_path
from rlsuite.envs.mujoco.specs import Spec
from rlsuite.envs.mujoco.task import Facts, Physics, Task

# Everything a step depends on, and the solver's starting point: without it results differ by the
# solver's tolerance.
STATE = int(mj.mjtState.mjSTATE_FULLPHYSICS) | int(mj.mjtState.mjSTATE_WARMSTART)


class Engine:
    """One task on MuJoCo's C library; a pure function of what it is given.

    A state is a row of float64: MuJoCo's physics state and warm start (`width` numbers), then what
    the task tracks. It travels as uint32 pairs, the raw bits.

    Args:
      spec: what to load.
      task: what to compute.
      options: all of the task's, by name.

    Raises:
      UsageError: the main body is none of the model's.
    """

    def __init__(self, spec: Spec, task: Task, options: dict[str, Any]) -> None:
        self.task = task
        self.model = load(spec)
        self._skip = int(options.get("frame_skip", spec.frame_skip))
        self.facts = gather(self.model, spec.version, self._skip, options)
        check_body(spec.id, self.facts)
        self._reads = task.reads(self.facts)
        self._post = "cfrc_ext" in self._reads
        self._spare: deque[Any] = deque()
        self.width = mj.mj_stateSize(self.model, STATE)
        with self._data() as data:
            blank = self._physics(np.zeros((0, self.width)), self._buffers(0, data))
        self.tracked = int(task.track(np, blank, self.facts).shape[-1])
        self.obs_size = int(task.observe(np, blank, self.facts).shape[-1])

    @property
    def bits(self) -> int:
        """uint32 numbers in a state."""
        return 2 * (self.width + self.tracked)

    def step(self, bits: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, ...]:
        """Advance states by one action each.

        Args:
          bits: uint32[b, bits].
          action: [b, nu], as it is: MuJoCo clips what the motors do, not what the task charges.

        Returns:
          bits uint32[b, bits], obs float64[b, obs], reward float64[b], terminated bool[b].
        """
        before = np.ascontiguousarray(bits).view(np.float64)
        state = np.empty((len(bits), self.width))
        with self._data() as data:
            ctrl, model, skip, width = data.ctrl, self.model, self._skip, self.width
            seen = self._buffers(len(bits), data)
            for i in range(len(bits)):
                mj.mj_setState(model, data, before[i, :width], STATE)
                ctrl[:] = action[i]
                mj.mj_step(model, data, skip)
                if self._post:
                    # Only this fills cfrc_ext; it changes nothing of the physics.
                    mj.mj_rnePostConstraint(model, data)
                mj.mj_getState(model, data, state[i], STATE)
                for target, source in seen:
                    target[i] = source
        s = self._physics(state, seen)
        reward = self.task.reward(np, before[:, width:], s, action, self.facts)
        return *self._pack(state, s), reward, self.task.terminated(np, s, self.facts)

    def reset(self, noise: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, ...]:
        """Initial states from what was drawn.

        Args:
          noise: float32[b, m].
          wanted: bool[b]; rows that are not are left zero.

        Returns:
          bits uint32[b, bits], obs float64[b, obs].
        """
        bits = np.zeros((len(noise), self.bits), np.uint32)
        obs = np.zeros((len(noise), self.obs_size))
        rows = np.flatnonzero(wanted)
        drawn = noise[rows].astype(np.float64)
        bits[rows], obs[rows] = self.start(*self.task.place(np, drawn, self.facts))
        return bits, obs

    def start(self, qpos: np.ndarray, qvel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """States at rest from nothing but positions [b, nq] and velocities [b, nv], and obs."""
        state = np.empty((len(qpos), self.width))
        with self._data() as data:
            seen = self._buffers(len(qpos), data)
            for i in range(len(qpos)):
                mj.mj_resetData(self.model, data)
                data.qpos[:], data.qvel[:] = qpos[i], qvel[i]
                mj.mj_forward(self.model, data)
                mj.mj_getState(self.model, data, state[i], STATE)
                for target, source in seen:
                    target[i] = source
        return self._pack(state, self._physics(state, seen))

    def _pack(self, state: np.ndarray, s: Physics) -> tuple[np.ndarray, np.ndarray]:
        track = self.task.track(np, s, self.facts)
        bits = np.concatenate([state, track], axis=-1).view(np.uint32)
        return bits, self.task.observe(np, s, self.facts)

    def _buffers(self, rows: int, data: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        sources = (getattr(data, name) for name in self._reads)
        return [(np.empty((rows, *source.shape)), source) for source in sources]

    def _physics(self, state: np.ndarray, seen: list[tuple[np.ndarray, np.ndarray]]) -> Physics:
        first, nq, nv = 1, self.model.nq, self.model.nv  # what comes first is the time
        qpos, qvel = state[:, first : first + nq], state[:, first + nq : first + nq + nv]
        fields = dict(zip(self._reads, (target for target, _ in seen), strict=True))
        return Physics(qpos, qvel, **fields)

    @contextlib.contextmanager
    def _data(self) -> Iterator[Any]:
        """A workspace of one's own: callbacks of two programs may run at once."""
        try:
            data = self._spare.pop()
        except IndexError:
            data = mj.MjData(self.model)
        try:
            yield data
        finally:
            self._spare.append(data)


def load(spec: Spec) -> Any:
    """The task's model, without the search for islands where there can be but one.

    MuJoCo sorts constraints into islands of bodies that touch and solves each alone. What is one
    kinematic tree is one island: the same sums either way, to the bit, for 5 to 11 % less time.
    """
    model = mj.MjModel.from_xml_path(str(model_path(spec.xml)))
    if model.ntree == 1:
        model.opt.disableflags |= int(getattr(mj.mjtDisableBit, "mjDSBL_ISLAND", 0))
    return model


def check_body(task_id: str, c: Facts) -> None:
    """Refuse a main body that is none of the model's.

    Raises:
      UsageError: with the nearest.
    """
    body = getattr(c.options, "main_body", 1)
    if body not in (c.bodies if isinstance(body, str) else c.bodies.values()):
        known = nearest(str(body), c.bodies)
        raise UsageError(f"{task_id}: main_body: the model has no body {body!r}: {known}")


def gather(model: Any, version: int, skip: int, options: dict[str, Any]) -> Facts:
    """What a task knows besides the state.

    Args:
      model: MuJoCo's.
      version: 4 or 5.
      skip: physics steps in an action.
      options: all of the task's, by name.
    """
    names = {model.body(i).name: i for i in range(model.nbody)}
    timestep = float(model.opt.timestep)
    return Facts(
        SimpleNamespace(**options), version, timestep, timestep * skip,
        np.array(model.qpos0), np.zeros(model.nv), names, np.array(model.body_mass),
    )  # fmt: skip
