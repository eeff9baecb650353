"""One case of `rlsuite bench accelerator`, in a process of its own. `python -m ... ORDER`.

Every row it finds is one event on standard output as soon as it is found, so that a case that dies
half way keeps what it had.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rlsuite.bench.children import walks
from rlsuite.bench.children.run_updates import Noise
from rlsuite.bench.children.serve import emit, versions
from rlsuite.contracts import registry
from rlsuite.contracts.types import Agent
from rlsuite.engine.plan.spec import Request, expand
from rlsuite.engine.run import tree
from rlsuite.engine.run.program import Program, context
from rlsuite.engine.run.runner import Runner
from rlsuite.engine.store import provenance
from rlsuite.engine.store.store import Store

Row = dict[str, Any]
DATA_SEED = 0


def main(argv: list[str]) -> None:
    """Run the case that the order names."""
    order = json.loads(argv[0])
    cases: dict[str, Callable[[dict[str, Any]], Iterator[Row]]] = {
        "ceilings": ceilings, "train": train, "exact": exact, "whole": whole,
    }  # fmt: skip
    for row in cases[order["kind"]](order):
        emit("row", **row)


# --- what the device can do ----------------------------------------------------------------------


def ceilings(order: dict[str, Any]) -> Iterator[Row]:
    """Matrix products at jax's default and at full precision, and a copy."""
    device, n = jax.devices()[0], order["size"]
    yield {
        "name": "device", "kind": device.device_kind, "platform": device.platform,
        "versions": versions(["jax", "jaxlib", "flax", "optax", "gymnax", "mujoco-mjx"]),
    }  # fmt: skip
    a, b = (jax.random.normal(jax.random.key(i), (n, n)) for i in range(2))
    for precision in ("default", "highest"):
        product = jax.jit(lambda x, y, p=precision: jnp.matmul(x, y, precision=p))
        seconds = _median_seconds(lambda f=product: jax.block_until_ready(f(a, b)))
        exactly = np.asarray(a[:8], np.float64) @ np.asarray(b, np.float64)
        error = np.linalg.norm(np.asarray(product(a, b))[:8] - exactly) / np.linalg.norm(exactly)
        row = {"name": f"matmul-{precision}", "tflops": 2e-12 * n**3 / seconds}
        yield row | {"relative_error": float(error)}
    add = jax.jit(lambda x: x + 1)
    seconds = _median_seconds(lambda: jax.block_until_ready(add(a)))
    yield {"name": "read-and-write", "gigabytes_per_second": 2e-9 * a.nbytes / seconds}


def _median_seconds(run: Callable[[], Any], repeats: int = 20) -> float:
    run()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


# --- training ------------------------------------------------------------------------------------


def build(order: dict[str, Any]) -> tuple[Agent, Any]:
    """The agent that an order names, and what it learns from."""
    row = registry.agent(order["agent"])
    env_id = order.get("env", "")
    preset, _ = registry.resolve_preset(row, order.get("preset"), env_id, "")
    config = row.load_config().from_mapping({**preset, **order["settings"]})
    env = registry.make_env(env_id) if env_id else Noise(order["obs"], order["action"])
    agent = row.load_make()(env, config)
    if not row.data:
        return agent, None
    data = walks.dataset(order["rows"], order["obs"], order["action"], DATA_SEED)
    return agent, agent.prepare(data)


def train(order: dict[str, Any]) -> Iterator[Row]:
    """Steps a second at each width, ascending: a device's peak of memory is never reset."""
    agent, data = build(order)
    for width in order["widths"]:
        yield _train(agent, data, width, order["seconds"], order["repeats"])


def _train(agent: Agent, data: Any, width: int, seconds: float, repeats: int) -> Row:
    program = Program(agent, episodes=1, mode=None, width=width)
    # So long a horizon that nothing is annealed away while the clock runs.
    ctx = program.stack([context(agent, agent.config, 1_000_000, data)] * width)
    state, running = program.init(program.roots(range(width)), ctx)

    def run(count: int) -> float:
        nonlocal state, running
        start = time.perf_counter()
        state, running, _ = program.chunk(state, running, ctx, count)
        jax.block_until_ready(running)
        return time.perf_counter() - start

    run(1)
    count = max(1, int(seconds / run(1)))
    taken = [run(count) for _ in range(repeats)]
    whole = agent.steps_per_iteration * count * width
    rates = [whole / t for t in taken]
    report = program.measured(running)[0]
    stats = jax.local_devices()[0].memory_stats() or {}
    return {
        "width": width,
        "steps_per_second": statistics.median(rates),
        "least": min(rates),
        "greatest": max(rates),
        "iteration_ms": 1e3 * statistics.median(taken) / count,
        "steps_per_iteration": agent.steps_per_iteration,
        "compile_seconds": program.compile_seconds,
        "program_bytes": program.memory,
        "peak_bytes": stats.get("peak_bytes_in_use", 0),
        "finite": all(np.isfinite(value) for value in report.values()),
    }


# --- bits ----------------------------------------------------------------------------------------


def exact(order: dict[str, Any]) -> Iterator[Row]:
    """Whether a seed's bits are the same when it is run again, and beside other seeds."""
    width = order["width"]
    for part in order["agents"]:
        agent, data = build(part)
        program = Program(agent, episodes=1, mode=None, width=width)
        ctx = program.stack([context(agent, agent.config, 1_000_000, data)] * width)

        def run(seeds: list[int], program: Any = program, ctx: Any = ctx) -> list[Any]:
            began = program.init(program.roots(seeds), ctx)
            at = program.chunk(*began, ctx, order["iterations"])[:2]
            return list(tree.rows_to_arrays(at, "", width))

        mine = list(range(width))
        first, again = run(mine), run(mine)
        others = run([0, *range(100, 100 + width - 1)])
        moved = run([*range(100, 100 + width - 1), 0])
        yield {
            "agent": agent.name,
            "deterministic": "deterministic_ops=true" in os.environ.get("XLA_FLAGS", ""),
            "repetition": all(_same(a, b) for a, b in zip(first, again, strict=True)),
            "companions": _same(first[0], others[0]),
            "slot": _same(first[0], moved[-1]),
            # Or the comparison would see nothing.
            "other_seeds_differ": not _same(first[0], first[1]),
        }


def _same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return all(a[name].tobytes() == b[name].tobytes() for name in a)


# --- from nothing to files on disk ---------------------------------------------------------------


def whole(order: dict[str, Any]) -> Iterator[Row]:
    """Every seed from its first step to its file, as a worker does it: evaluations, rows,
    checkpoints; it goes on from what an earlier process left in the folder."""
    request = Request(
        agent=order["agent"], envs=[order["env"]], preset=order["preset"],
        seeds=range(order["width"]), total_steps=order["total_steps"],
        settings=order["settings"],
    )  # fmt: skip
    store = Store(Path(order["folder"]))
    cells = store.prepare(expand([request]), ["rlsuite", "bench", "accelerator"])
    start = time.perf_counter()
    program = Program.for_cell(cells[0], order["width"])
    at = store.path(cells[0].id, "checkpoint")
    resumed = at.exists()
    Runner(cells, program, store, provenance.collect(), lambda *_: None, lambda: False).run()
    returns = [_last_return(store, cell.id) for cell in cells]
    yield {
        "width": len(cells),
        "steps": cells[0].total_steps,
        "seconds": time.perf_counter() - start,
        "compile_seconds": program.compile_seconds,
        "resumed": resumed,
        "median_return": statistics.median(returns),
    }


def _last_return(store: Store, cell_id: str) -> float:
    from rlsuite.engine.store.store import unpack_rows
    from rlsuite.io import files

    rows = unpack_rows(files.read_arrays(store.path(cell_id, "done"))[0])
    return rows["eval/return"][-1][2]


if __name__ == "__main__":
    main(sys.argv[1:])
