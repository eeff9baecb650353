"""How a rival's `train(key)` is run: its documented way, or our way. No rlsuite in here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from serve import serve, versions


def measure(train: Callable[[Any], Any], work: dict[str, Any], **facts: Any) -> None:
    """Compile, then serve `run`.

    Args:
      train: key -> results, the rival's whole training.
      work: `way` is 'documented' (all seeds vmapped in one program, in the one process there is)
        or 'per-core' (this process's seeds, one after the other on one compiled function).
      facts: sent with 'ready'.
    """
    import jax

    seeds = work["seeds"]
    keys = jax.vmap(jax.random.PRNGKey)(jax.numpy.array(seeds))
    start = time.perf_counter()
    if work["way"] == "documented":
        batches, function = [keys], jax.jit(jax.vmap(train))
    else:
        batches, function = list(keys), jax.jit(train)
    program = function.lower(batches[0]).compile()
    compiled = time.perf_counter() - start

    def run() -> None:
        for batch in batches:
            jax.block_until_ready(program(batch))

    if work["way"] != "documented":
        # The first call touches memory for the first time. (All seeds at once would take as long
        # as a measurement; there the median of the repeats takes care of it.)
        jax.block_until_ready(program(batches[0]))
    packages = ("jax", "jaxlib", "gymnax", "rejax", "flax", "optax", "distrax")
    serve({"run": run}, compile_seconds=compiled, versions=versions(packages), **facts)
