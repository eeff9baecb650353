"""A tiny PPO on CartPole for the engine's tests."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from rlsuite.engine.plan.cells import Cadence, Cell
from rlsuite.engine.plan.spec import Request, expand

TINY = {"num_envs": 4, "num_steps": 8, "minibatches": 2, "epochs": 1, "hidden": [8, 8]}


def tiny_cells(seeds: int = 1, iterations: int = 12, **cadence: int) -> list[Cell]:
    """PPO cells of a few iterations."""
    merged: dict[str, Any] = {"evaluations": 3, "episodes": 2, "logs": 4, **cadence}
    chosen = Cadence(**merged)
    request = Request(
        "ppo", ["CartPole-v1"], range(seeds), settings=TINY,
        total_steps=iterations * 32, cadence=chosen,
    )  # fmt: skip
    return expand([request])


def same_bits(a: dict[str, np.ndarray], b: dict[str, np.ndarray], only: str = "") -> bool:
    """Whether two results agree in every array but the wall-clock columns."""
    names = [n for n in a if n.startswith(only) and not n.endswith("/seconds")]
    assert names
    return all(a[n].tobytes() == b[n].tobytes() for n in names)


def assert_close(a: Any, b: Any, rtol: float, atol: float) -> None:
    """That two trees agree leaf by leaf."""
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


TINY_TD3 = {
    "num_envs": 2, "num_steps": 2, "updates": 3, "learning_starts": 16, "buffer_size": 64,
    "batch_size": 8, "hidden": [8, 8], "n_step": 2, "normalize_observations": True,
}  # fmt: skip


def tiny_td3_cells(seeds: int = 1, iterations: int = 40, **cadence: int) -> list[Cell]:
    """TD3 cells on Pendulum whose small replay fills and wraps around."""
    merged: dict[str, Any] = {"evaluations": 2, "episodes": 1, "logs": 8, **cadence}
    chosen = Cadence(**merged)
    request = Request(
        "td3", ["Pendulum-v1"], range(seeds), settings=TINY_TD3,
        total_steps=16 + iterations * 4, cadence=chosen,
    )  # fmt: skip
    return expand([request])
