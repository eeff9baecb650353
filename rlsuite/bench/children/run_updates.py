"""An agent's gradient steps on random transitions, as a worker runs them. `python -m ... ORDER`."""

from __future__ import annotations

import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float, PRNGKeyArray

from rlsuite import keys, metrics, registry
from rlsuite.bench.children.matmul import flops_meter
from rlsuite.bench.children.serve import serve
from rlsuite.engine.program import context
from rlsuite.types import TimeStep


class Noise:
    """A world of given sizes in which everything is noise and nothing ends."""

    id = "Noise"
    resumable = True
    time_limit = None
    default_params = ()

    def __init__(self, obs: int, action: int) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (obs,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (action,), np.float32)

    def reset(self, key: PRNGKeyArray, params: Any) -> tuple[Any, Float[Array, " o"]]:
        """No state."""
        return (), jax.random.normal(key, self.observation_space.shape)

    def step(
        self, key: PRNGKeyArray, state: Any, action: Array, params: Any
    ) -> tuple[Any, TimeStep]:
        """The reward is the first action."""
        obs = jax.random.normal(key, self.observation_space.shape)
        never = jnp.bool_(False)
        return state, TimeStep(obs, action[0], never, never, {})


def prepare(order: dict[str, Any]) -> Any:
    """A function that takes `updates` gradient steps, compiled."""
    row = registry.agent(order["agent"])
    config = row.load_config().from_mapping(order["settings"])
    agent = row.load_make()(Noise(order["obs"], order["action"]), config)
    ctx = context(agent, config, 1)
    state = jax.jit(agent.init)(keys.root(order["seed"]), ctx)
    state, batch = jax.jit(agent.collect)(state, ctx)
    learn = jax.jit(agent.learn, donate_argnums=0).lower(state, batch, ctx).compile()
    held = [state]

    def run() -> None:
        held[0], report = learn(held[0], batch, ctx)
        # Numbers that turned to NaN would be timed for nothing.
        assert all(np.isfinite(v) for v in metrics.to_host(report).values())

    run()
    return run


def main(argv: list[str]) -> None:
    """Compile, then serve `run` and `matmul`."""
    order = json.loads(argv[0])
    serve({"run": prepare(order), "matmul": flops_meter(order["matmul_seconds"])})


if __name__ == "__main__":
    main(sys.argv[1:])
