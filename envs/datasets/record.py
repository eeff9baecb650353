"""The process that makes a dataset of a finished run's replay:
`python -m rlsuite.envs.datasets.record NAME RUN FILE`, started by `replay`."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from rlsuite.contracts import box, registry
from rlsuite.envs.datasets import npz
from rlsuite.envs.datasets.recording import Header, Recording
from rlsuite.io import files


def main(argv: list[str]) -> int:
    """Write what the replay of a run holds, episode after episode."""
    name, run, path = argv
    arrays, meta = files.read_arrays(Path(run))
    cell = meta["cell"]
    env = registry.make_env(cell["env"])
    columns = {k.removeprefix("policy.data."): v for k, v in arrays.items()}
    ring = SimpleNamespace(size=arrays["policy.size"], data=SimpleNamespace(**columns))
    score = registry.datasets()[name].score
    npz.write(Path(path), from_replay(ring, cell["config"]["num_envs"], env, score))
    return 0


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
