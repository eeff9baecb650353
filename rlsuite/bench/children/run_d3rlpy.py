"""d3rlpy's gradient steps on the same data. `python run_d3rlpy.py ORDER`.

The body of its training loop (sample, update) without its logging; sizes and step sizes are its
defaults, which are ours. PRDC's search is set up by its own `fit`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from serve import serve_rate
from walk import steps

NAMES = {"td3-bc": "TD3PlusBCConfig", "prdc": "PRDCConfig", "iql": "IQLConfig"}


def buffer(order: dict[str, Any], d3rlpy: Any) -> Any:
    """Its replay buffer, made of episodes."""
    found = steps(order)
    limit = found["timeouts"].astype(bool)
    limit[-1] |= not found["terminals"][-1]
    return d3rlpy.dataset.MDPDataset(
        observations=found["observations"],
        actions=found["actions"],
        rewards=found["rewards"][:, None],
        terminals=found["terminals"].astype(np.float32),
        timeouts=limit.astype(np.float32),
    )


def prepare(order: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """A function that takes two gradient steps, and how many.

    TD3's actor learns every second time, so that two are a whole.
    """
    d3rlpy = importlib.import_module("d3rlpy")
    if order["way"] == "per-core":
        importlib.import_module("torch").set_num_threads(1)
    d3rlpy.seed(order["seed"])
    scaler = {}
    if order["agent"] != "iql":
        scaler["observation_scaler"] = d3rlpy.preprocessing.StandardObservationScaler()
    algo = getattr(d3rlpy.algos, NAMES[order["agent"]])(**scaler).create(device="cpu")
    data = buffer(order, d3rlpy)
    silent = d3rlpy.logging.NoopAdapterFactory()
    algo.fit(data, n_steps=1, n_steps_per_epoch=1, show_progress=False, logger_adapter=silent)

    def run() -> None:
        for _ in range(2):
            algo.update(data.sample_transition_batch(algo.batch_size))

    run()
    return run, 2


if __name__ == "__main__":
    serve_rate(prepare, ["d3rlpy", "torch", "numpy", "scikit-learn"])
