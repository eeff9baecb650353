"""rejax's training. `python run_replay_rejax.py ORDER`.

Its whole training is one program: a call is its prefill and then `STEPS` steps of training. The
prefill's time is in it and its steps are not counted: rejax's rate comes out too low and our
ratio too high, by what was not measured. No evaluation, through its callback.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from serve import serve_rate

STEPS = 2000


def widths(state: Any, jax: Any) -> set[int]:
    """Of all matrices: what has 256 columns has hidden layers of 256."""
    return {leaf.shape[-1] for leaf in jax.tree.leaves(state) if getattr(leaf, "ndim", 0) >= 2}


def prepare(order: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """A function that trains anew for the prefill and `STEPS` steps, and how many."""
    jax = importlib.import_module("jax")
    total = order["prefill"] + STEPS
    algorithm = (
        importlib.import_module("rejax")
        .get_algo(order["agent"])
        .create(
            env=order["env"], total_timesteps=total, eval_freq=total,
            skip_initial_evaluation=True, num_envs=1, num_epochs=1, batch_size=256,
            buffer_size=order["buffer"], fill_buffer=order["prefill"],
            hidden_layer_sizes=(256, 256),
        )
    )  # fmt: skip
    algorithm = algorithm.replace(eval_callback=lambda algorithm, state, key: ())
    program = jax.jit(algorithm.train)
    key = jax.random.PRNGKey(order["seed"])

    def run() -> None:
        jax.block_until_ready(program(key))

    state = jax.eval_shape(program, key)[0]
    assert 256 in widths((state.actor_ts.params, state.critic_ts.params), jax)
    run()
    return run, STEPS


if __name__ == "__main__":
    serve_rate(prepare, ["rejax", "jax", "gymnax"])
