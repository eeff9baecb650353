"""A tiny PPO on CartPole for the engine's tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlsuite.engine.cells import Cadence, Cell
from rlsuite.engine.spec import Request, expand

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
