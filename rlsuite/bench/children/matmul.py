"""The ceiling: float32 matrix product, as jax does it in this process."""

from __future__ import annotations

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

SIZES = (512, 1024, 2048)


def flops_meter(seconds: float) -> Callable[[], float]:
    """Choose the best of a few sizes; returns a function that multiplies for `seconds`.

    Returns:
      A function of nothing to GFLOP/s: the mean over the time, as training is not a best case
      either.
    """
    product = jax.jit(jnp.matmul)

    def rate(n: int, duration: float) -> float:
        a = jax.random.normal(jax.random.key(0), (n, n))
        product(a, a).block_until_ready()
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < duration:
            product(a, a).block_until_ready()
            count += 1
        return 2e-9 * n**3 * count / (time.perf_counter() - start)

    best = max(SIZES, key=lambda n: rate(n, 0.2))
    return lambda: rate(best, seconds)
