"""How much memory a program will take, asked before it is compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax

from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.run.inputs import Given
from rlsuite.engine.run.program import Program, context, tree_bytes
from rlsuite.engine.run.tree import rings
from rlsuite.io.machine import available_memory, round_down

# jax, its compiler and the imported simulators, before any array.
PROCESS_BYTES = 500 << 20


class Need(NamedTuple):
    """Bytes of one worker; `replay` of them grow with the rows of the replay."""

    total: int
    replay: int


def estimate(program: Program, cell: Cell, given: Given | None = None) -> Need:
    """What one worker needs: the process, the state, a rollout with its working copies, what the
    agent says it takes besides, the ring, and once for all runs what they are given.

    A ring is never copied while it trains; a checkpoint copies it and then makes a file's bytes of
    it, one run after the other.

    Args:
      program: nothing of it is compiled for this.
      cell: one of those that run together; the others are of its shapes.
      given: data and inputs; None: nothing.
    """
    given = given or Given()
    ctx = context(program.agent, cell.load_config(), cell.iterations, given.data, given.inputs)
    state, _ = program.shapes(ctx)
    batch: Any = jax.eval_shape(program.agent.collect, state, ctx)[1]
    ring = sum(tree_bytes(replay) for _, replay in rings(state))
    replay = (program.width + 2 + (program.width > 1)) * ring
    # The batch, its normalised and flattened form, and one shuffled copy.
    each = 2 * (tree_bytes(state) - ring) + 3 * tree_bytes(batch) + program.agent.scratch
    shared = tree_bytes(given.data) + tree_bytes(given.inputs) + tree_bytes(given.start)
    return Need(PROCESS_BYTES + program.width * each + replay + shared, replay)


def check_memory(program: Program, cell: Cell, workers: int, given: Given | None = None) -> int:
    """Refuse what cannot fit.

    Args:
      program: of a worker.
      cell: one of those that run together.
      workers: processes that need as much each.
      given: data and inputs; None: nothing.

    Returns:
      Bytes that one worker needs.

    Raises:
      UsageError: all workers together would need more than is available.
    """
    need = estimate(program, cell, given)
    if program.agent.env.resumable is False or jax.default_backend() != "cpu":
        return need.total
    have = available_memory()
    if have and need.total * workers > have:
        hint = advice(need, cell, workers, have)
        raise UsageError(
            f"{cell.agent} on {cell.env} needs about {need.total * workers / 2**30:.1f} GiB for "
            f"{workers} worker(s), {have / 2**30:.1f} GiB are free: {hint}"
        )
    return need.total


def advice(need: Need, cell: Cell, workers: int, have: int) -> str:
    """What would fit: a smaller replay where that is what takes the room.

    Args:
      need: bytes of one worker.
      cell: one of those that run together.
      workers: processes that need as much each.
      have: bytes that are free.
    """
    rows = cell.config.get("buffer_size", 0)
    if rows and need.replay:
        left = have / workers - (need.total - need.replay)
        fitting = round_down(int(rows * left / need.replay))
        if fitting > 0:
            taken = need.replay * workers / 2**30
            return f"{taken:.1f} GiB are the replay, try agent.buffer_size {fitting} or --workers 1"
    return "fewer environments or steps, or --workers 1"
