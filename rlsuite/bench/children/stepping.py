"""Stepping a vector environment of somebody else's with random actions. No rlsuite in here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from serve import serve, versions

TABLE = 64  # batches of actions drawn beforehand: drawing them is not what is timed


def measure(envs: Any, step: Callable[[np.ndarray], Any], work: dict[str, Any]) -> None:
    """Reset, warm up, then serve `run`, whose value is CPU seconds of all threads.

    Args:
      envs: with `reset` and the action space of one copy in `single_action_space`.
      step: takes actions[num_envs, ...].
      work: num_envs, num_steps and seed.
    """
    space, rng = envs.single_action_space, np.random.default_rng(work["seed"])
    shape = (TABLE, work["num_envs"], *space.shape)
    actions = rng.uniform(space.low, space.high, shape).astype(space.dtype)
    envs.reset()

    def run(steps: int = work["num_steps"]) -> float:
        start = time.process_time()
        for t in range(steps):
            step(actions[t % TABLE])
        return time.process_time() - start

    run(min(10, work["num_steps"]))
    packages = ("gymnasium", "mujoco", "envpool", "numpy")
    serve({"run": run}, compile_seconds=0.0, versions=versions(packages))
