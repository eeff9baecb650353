"""The process that records: `python -m rlsuite.envs.datasets.record RECIPE FILE`.

Started by `replay` with the environment of a worker. Prints how many steps are done, one number a
line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite import box, keys, registry
from rlsuite.engine.cells import executed_budget
from rlsuite.engine.program import Program, context
from rlsuite.envs.datasets import npz
from rlsuite.envs.datasets.recording import Header, Recording

CHUNK = 500


def main(argv: list[str]) -> int:
    """Train, then write what the replay holds."""
    recipe, path = json.loads(argv[0]), Path(argv[1])
    npz.write(path, record(recipe))
    return 0


def record(recipe: dict[str, Any]) -> Recording:
    """The replay of one training run, episode after episode."""
    row = registry.agent(recipe["agent"])
    config = row.load_config().from_mapping(recipe["settings"])
    env = registry.make_env(recipe["env"])
    agent = row.load_make()(env, config)
    iterations, _ = executed_budget(config, recipe["total_steps"])
    program = Program(agent, 1, None)
    ctx = context(agent, config, iterations)
    state, running = program.init(keys.root(recipe["seed"]), ctx)
    for start in range(0, iterations, CHUNK):
        state, running = program.chunk(state, running, ctx, min(CHUNK, iterations - start))
        print(int(state.counters.env_steps), flush=True)
    score = registry.datasets()[recipe["name"]].score
    return from_replay(state.replay, recipe["settings"]["num_envs"], env, score)


def from_replay(ring: Any, num_envs: int, env: Any, score: tuple[float, float] | None) -> Recording:
    """A ring that never wrapped around: the rows of each environment one after the other.

    Args:
      ring: of `Transition`s, `num_envs` of them with every step.
      num_envs: environments stepped together.
      env: whose box the actions are scaled to.
      score: returns that count as 0 and 100.
    """
    size = int(ring.size)

    def column(leaf: Any) -> np.ndarray:
        rows = np.asarray(leaf)[:size]
        return np.ascontiguousarray(rows.reshape(-1, num_envs, *rows.shape[1:]).swapaxes(0, 1)) \
            .reshape(size, *rows.shape[1:])  # fmt: skip

    data = ring.data
    terminated, truncated = column(data.terminated), column(data.truncated)
    # Where the recording of an environment stops, another's begins.
    truncated[size // num_envs - 1 :: size // num_envs] = True
    action = box.to_env(env.action_space, column(data.action))
    header = Header(
        "npz", size, env.observation_space.shape, env.action_space.shape, False,
        env=env.id, score=score, family="own",
    )  # fmt: skip
    return Recording(
        header, column(data.obs), action.astype(np.float32), column(data.reward),
        terminated, truncated & ~terminated, column(data.next_obs), np.ones(size, bool),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
