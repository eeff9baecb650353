"""Stepping a vector environment of somebody else's with random actions. No rlsuite in here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from serve import serve, versions

TABLE = 64  # batches of actions drawn beforehand: drawing them is not what is timed


def measure(envs: Any, step: Callable[[np.ndarray], Any], work: dict[str, Any]) -> None:
    """Reset, warm up, then serve `run`: CPU seconds of all threads, and steps taken.

    EnvPool and Gymnasium reset a finished copy in a call of its own, which moves nothing. What is
    counted are steps of the physics, so these calls are not.

    Args:
      envs: with `reset` and the action space of one copy in `single_action_space`.
      step: takes actions[num_envs, ...], returns what Gymnasium's vector environments do.
      work: num_envs, num_steps and seed.
    """
    space, rng = envs.single_action_space, np.random.default_rng(work["seed"])
    shape = (TABLE, work["num_envs"], *space.shape)
    actions = rng.uniform(space.low, space.high, shape).astype(space.dtype)
    envs.reset()
    ended = np.zeros(work["num_envs"], bool)

    def run(calls: int = work["num_steps"]) -> tuple[float, int]:
        nonlocal ended
        start, resets = time.process_time(), 0
        for t in range(calls):
            resets += int(np.count_nonzero(ended))
            _, _, terminated, truncated, _ = step(actions[t % TABLE])
            ended = terminated | truncated
        return time.process_time() - start, calls * work["num_envs"] - resets

    run(min(10, work["num_steps"]))
    packages = ("gymnasium", "mujoco", "envpool", "numpy")
    serve({"run": run}, compile_seconds=0.0, versions=versions(packages))
