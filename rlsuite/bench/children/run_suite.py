"""Our own seeds of the workload, as a worker runs them. `python -m ... WORK-AS-JSON`."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import jax

from rlsuite.bench.children.matmul import flops_meter
from rlsuite.bench.children.serve import serve
from rlsuite.contracts import keys, metrics, registry
from rlsuite.engine.run.program import Program, context
from rlsuite.engine.store import provenance


def prepare(work: dict[str, Any]) -> tuple[Program, Any]:
    """The program a training worker would use, compiled, and a function that runs the seeds."""
    row = registry.agent(work["agent"])
    config = row.load_config().from_mapping(work["config"])
    agent = row.load_make()(registry.make_env(work["env"]), config)
    program = Program(agent, episodes=1, mode=None)
    iterations = (work["total_steps"] - agent.prefill) // agent.steps_per_iteration
    ctx = context(agent, config, iterations)

    def train(seed: int, count: int) -> float:
        state, running = program.init(keys.root(seed), ctx)
        _, running, _ = program.chunk(state, running, ctx, count)
        return metrics.to_host(jax.block_until_ready(running))["loss/value"]

    def run() -> None:
        # A run that turned to NaN would be timed for nothing.
        assert all(math.isfinite(train(seed, iterations)) for seed in work["seeds"])

    train(work["seeds"][0], 1)
    return program, run


def main(argv: list[str]) -> None:
    """Compile, then serve `run` and `matmul`."""
    work = json.loads(argv[0])
    program, run = prepare(work)
    serve(
        {"run": run, "matmul": flops_meter(work["matmul_seconds"])},
        compile_seconds=program.compile_seconds,
        versions=provenance.collect(),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
