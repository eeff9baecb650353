"""How much memory a program will take, asked before it is compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from rlsuite.engine.cells import Cell
from rlsuite.engine.program import Program, context, tree_bytes
from rlsuite.errors import UsageError

# jax, its compiler and the imported simulators, before any array.
PROCESS_BYTES = 500 << 20


def estimate(program: Program, cell: Cell, data: Any = None) -> int:
    """Bytes one worker will need: the process, the state, a rollout with its working copies, and
    once for all runs the data they learn from."""
    ctx = context(program.agent, cell.load_config(), cell.iterations, data)
    state, _ = program.shapes(ctx)
    batch: Any = jax.eval_shape(program.agent.collect, state, ctx)[1]
    # The batch, its normalised and flattened form, and one shuffled copy.
    runs = program.width * (2 * tree_bytes(state) + 3 * tree_bytes(batch))
    return PROCESS_BYTES + runs + tree_bytes(data)


def available() -> int:
    """Memory that can be had without swapping, in bytes; 0 where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


def check_memory(program: Program, cell: Cell, workers: int, data: Any = None) -> int:
    """Refuse what cannot fit.

    Raises:
      UsageError: all workers together would need more than is available.
    """
    needed = estimate(program, cell, data)
    if program.agent.env.resumable is False or jax.default_backend() != "cpu":
        return needed
    have = available()
    if have and needed * workers > have:
        raise UsageError(
            f"{cell.agent} on {cell.env} needs about {needed * workers / 2**30:.1f} GiB for "
            f"{workers} worker(s), {have / 2**30:.1f} GiB are free: fewer environments or steps, "
            "or --workers 1"
        )
    return needed
