"""How far MJX is from the C library on a task: one step from copied states, and free-running.

`python tests/envs/mjx_errors.py Hopper-v4 ...` prints what the tests' tolerances are taken from.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rlsuite.contracts import keys, registry
from rlsuite.envs.mujoco.mjx_env import MjxState

STATES = 8


class Errors(NamedTuple):
    """Largest absolute differences.

    Attributes:
      obs, reward: after one step from the same state, over `STATES` episodes of `steps` steps.
      ends: steps on which only one of the two terminated.
      apart: the observations' after `steps` steps without copying.
    """

    obs: float
    reward: float
    ends: int
    apart: float


def measure(task: str, steps: int) -> Errors:
    """Compare on random actions from the same initial states."""
    ours, mjx = registry.make_env(f"mujoco:{task}"), registry.make_env(f"mjx:{task}")
    rng = np.random.default_rng(0)
    shape = (steps, STATES, *ours.action_space.shape)
    actions = rng.uniform(ours.action_space.low, ours.action_space.high, shape).astype(np.float32)
    roots = jax.random.split(keys.root(0), STATES)
    state, _ = jax.vmap(lambda k: ours.reset(k, ()))(roots)
    step = jax.jit(jax.vmap(lambda s, a: mjx.step(roots[0], s, a, ())))
    free = copied(ours, state)
    worst = {"obs": 0.0, "reward": 0.0, "ends": 0}
    apart = np.zeros(1)
    for action in actions:
        _, there = step(copied(ours, state), action)
        free, away = step(free, action)
        state, here = jax.vmap(lambda s, a: ours.step(roots[0], s, a, ()))(state, action)
        worst["obs"] = max(worst["obs"], float(jnp.abs(here.obs - there.obs).max()))
        worst["reward"] = max(worst["reward"], float(jnp.abs(here.reward - there.reward).max()))
        worst["ends"] += int((here.terminated != there.terminated).sum())
        apart = np.abs(np.asarray(here.obs - away.obs))
    return Errors(worst["obs"], worst["reward"], worst["ends"], float(apart.max()))


def copied(ours: Any, state: Any) -> MjxState:
    """The C library's states as MJX's."""
    engine = ours.engine
    full = np.ascontiguousarray(np.asarray(state.physics)).view(np.float64)
    nq, nv = engine.model.nq, engine.model.nv
    warm = full[:, engine.width - nv : engine.width]
    return MjxState(
        qpos=jnp.float32(full[:, 1 : 1 + nq]),
        qvel=jnp.float32(full[:, 1 + nq : 1 + nq + nv]),
        warm=jnp.float32(warm),
        track=jnp.float32(full[:, engine.width :]),
        steps=state.steps,
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, measure(name, 10), flush=True)
