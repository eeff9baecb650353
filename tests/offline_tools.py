"""The tests' offline agent as an installed one, and tiny datasets."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rlsuite.contracts import registry
from rlsuite.data.dataset import Dataset
from rlsuite.envs.datasets import npz, view
from rlsuite.envs.datasets.recording import Header, Recording

SHARED = Path(os.environ.get("RLSUITE_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
PENDULUM = SHARED / "recorded" / "pendulum" / "replay.npz"
DERIVED = SHARED / "derived"


@contextmanager
def installed(folder: Path, rows: str = "offline_bc.registry:ROWS") -> Iterator[dict[str, str]]:
    """Agents of the tests (`test-bc`) found by entry point here, and in processes started with
    these variables."""
    info = folder / "offline_bc_tests-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: offline-bc-tests\nVersion: 0\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(f"[rlsuite.agents]\ntests = {rows}\n", encoding="utf-8")
    sys.path.insert(0, str(folder))
    registry._entries.cache_clear()
    paths = os.pathsep.join([str(folder), str(Path(__file__).parent)])
    try:
        yield {**os.environ, "PYTHONPATH": paths}
    finally:
        sys.path.remove(str(folder))
        registry._entries.cache_clear()


def pendulum_like(steps: int = 60, length: int = 20, seed: int = 0) -> Recording:
    """Episodes of random numbers that end at a time limit, all but the second, which terminates."""
    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(steps + 1, 3)).astype(np.float32)
    ends = np.arange(steps) % length == length - 1
    terminated = np.zeros(steps, bool)
    terminated[2 * length - 1] = True
    after = obs[1:].copy()
    after[ends] += 1.0
    return Recording(
        header=Header("npz", steps, (3,), (1,), False, "Pendulum-v1", (-1000.0, 0.0)),
        obs=obs[:-1],
        action=rng.uniform(-2, 2, (steps, 1)).astype(np.float32),
        reward=rng.normal(size=steps).astype(np.float32),
        terminated=terminated,
        truncated=ends & ~terminated,
        next_obs=after,
        next_known=np.ones(steps, bool),
    )


def dataset_for(env: Any, rows: int = 64, seed: int = 0) -> Dataset:
    """Random transitions for an environment's spaces: episodes of 10 rows, one of which dies."""
    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(rows + 1, *env.observation_space.shape)).astype(np.float32)
    ends = np.arange(rows) % 10 == 9
    terminated = ends & (np.arange(rows) // 10 == 1)
    shape = env.action_space.shape
    rec = Recording(
        header=Header("npz", rows, obs.shape[1:], shape, False),
        obs=obs[:-1],
        action=rng.uniform(-1, 1, (rows, *shape)).astype(np.float32),
        reward=rng.normal(size=rows).astype(np.float32),
        terminated=terminated,
        truncated=ends & ~terminated,
        next_obs=obs[1:],
        next_known=np.ones(rows, bool),
    )
    return jax.tree.map(jax.numpy.asarray, view.dataset(rec, 10))


def tiny(folder: Path, name: str = "tiny", seed: int = 0) -> Path:
    """A file of 60 steps on Pendulum-v1."""
    path = folder / f"{name}.npz"
    npz.write(path, pendulum_like(seed=seed))
    return path
