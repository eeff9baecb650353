"""sbx's training. `python run_replay_sbx.py ORDER`.

Its own loop, `learn`, with our settings: its defaults but for the prefill and the ring.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from serve import serve_rate


def prepare(order: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """A function that goes on for `steps` environment steps, and how many."""
    algorithm = getattr(importlib.import_module("sbx"), order["agent"].upper())
    model = algorithm(
        "MlpPolicy", order["env"], seed=order["seed"], batch_size=256,
        buffer_size=order["buffer"], learning_starts=order["prefill"],
        train_freq=1, gradient_steps=1, policy_kwargs={"net_arch": [256, 256]},
    )  # fmt: skip
    model.learn(order["prefill"] + order["steps"])
    return lambda: model.learn(order["steps"], reset_num_timesteps=False), order["steps"]


if __name__ == "__main__":
    serve_rate(prepare, ["sbx-rl", "stable-baselines3", "jax", "torch", "gymnasium"])
