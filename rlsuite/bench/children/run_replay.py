"""Our training with a replay. `python -m rlsuite.bench.children.run_replay ORDER`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from rlsuite.bench.children.serve import serve_rate
from rlsuite.contracts import keys, metrics, registry
from rlsuite.engine.run.program import context


def prepare(order: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """A function that takes `steps` environment steps with a gradient step each, and how many."""
    row = registry.agent(order["agent"])
    settings = {"buffer_size": order["buffer"], "learning_starts": order["prefill"]}
    config: Any = row.load_config().from_mapping(settings)
    agent = row.load_make()(registry.make_env(order["env"]), config)
    ctx = context(agent, config, 10**9)

    def several(state: Any, ctx: Any) -> Any:
        return jax.lax.scan(lambda s, _: agent.step(s, ctx), state, None, order["steps"])

    assert agent.steps_per_iteration == config.updates == 1
    state = jax.jit(agent.init)(keys.root(order["seed"]), ctx)
    program = jax.jit(several, donate_argnums=0).lower(state, ctx).compile()
    held = [state]

    def run() -> None:
        held[0], report = program(held[0], ctx)
        last = jax.tree.map(lambda leaf: leaf[-1], report)
        # Numbers that turned to NaN would be timed for nothing.
        assert all(np.isfinite(v) for v in metrics.to_host(last).values())

    run()
    return run, order["steps"]


if __name__ == "__main__":
    serve_rate(prepare, ["jax", "jaxlib"])
