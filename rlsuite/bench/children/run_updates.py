"""An agent's gradient steps on random transitions, as a worker runs them. `python -m ... ORDER`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float, PRNGKeyArray

from rlsuite.bench.children import walks
from rlsuite.bench.children.matmul import flops_meter
from rlsuite.bench.children.serve import per_second, serve, versions
from rlsuite.contracts import keys, metrics, registry
from rlsuite.contracts import refs as engine_data
from rlsuite.contracts.types import TimeStep
from rlsuite.data.dataset import Dataset
from rlsuite.engine.run.program import context
from rlsuite.nn import mlp

# Of the data, which all seeds share.
DATA_SEED = 0


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
        """The reward is the first action.

        Args:
          key: of the next observation.
          state: (), there is none.
          action: [a].
          params: not read.
        """
        obs = jax.random.normal(key, self.observation_space.shape)
        never = jnp.bool_(False)
        return state, TimeStep(obs, action[0], never, never, {})


def data_of(order: dict[str, Any]) -> Dataset:
    """The dataset that an order names, or the random walk."""
    if spec := order.get("dataset"):
        ref = engine_data.resolve("dataset", spec)
        return engine_data.load(ref, registry.make_env(ref.env))
    return walks.dataset(order["rows"], order["obs"], order["action"], DATA_SEED)


def prepare(order: dict[str, Any]) -> Any:
    """A function that takes `updates` gradient steps, compiled."""
    row = registry.agent(order["agent"])
    config = row.load_config().from_mapping(order["settings"])
    agent = row.load_make()(Noise(order["obs"], order["action"]), config)
    data = agent.prepare(data_of(order)) if row.data else None
    ctx = context(agent, config, 1, data)
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


@contextmanager
def layers_of(kind: str) -> Iterator[None]:
    """Networks traced inside have flax's LayerNorm where `kind` says so, see `updates.LAYERS`."""
    theirs = partial(nn.LayerNorm, epsilon=1e-5)
    with mock.patch.object(mlp, "LayerNorm", theirs if kind == "flax" else mlp.LayerNorm):
        yield


def prepare_layers(order: dict[str, Any]) -> dict[str, Callable[[], float]]:
    """kind of layers -> a function that takes at least `steps` gradient steps and returns how many
    in a second of this process's CPU time, which other processes on the machine disturb less."""
    config: Any = registry.agent(order["agent"]).load_config().from_mapping(order["settings"])
    each = getattr(config, "updates", 0) or config.epochs * config.minibatches
    calls = -(-order["steps"] // each)

    def timed(run: Callable[[], None]) -> float:
        start = time.process_time()
        for _ in range(calls):
            run()
        return calls * each / (time.process_time() - start)

    found = {}
    for kind in order["layers"]:
        with layers_of(kind):
            run = prepare(order)
        found[kind] = partial(timed, run)
    return found


def main(argv: list[str]) -> None:
    """Compile, then serve `run`, `rate` and `matmul`; or each of the `layers` of the order."""
    order = json.loads(argv[0])
    start = time.perf_counter()
    if order.get("layers"):
        serve(prepare_layers(order), versions=versions(["jax", "jaxlib", "flax"]))
        return
    run = prepare(order)
    facts = {
        "compile_seconds": time.perf_counter() - start, "versions": versions(["jax", "jaxlib"])
    }  # fmt: skip
    rate = per_second(run, order["updates"], order.get("seconds", 1.0))
    serve({"run": run, "rate": rate, "matmul": flops_meter(order["matmul_seconds"])}, **facts)


if __name__ == "__main__":
    main(sys.argv[1:])
