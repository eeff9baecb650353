"""The product of a dense layer, with gradients in the form that XLA multiplies fast on a CPU.

A quarter of a small network's update is the kernel's gradient x^T g: XLA multiplies a transposed
left side at two thirds of its usual speed, and at a thirtieth where g has few columns (a policy's
head). Transposing first, or multiplying g^T x and transposing the small result, costs less.
"""

from __future__ import annotations

from typing import Any

import jax
from jaxtyping import Array, Float

# Heads of up to this many outputs are multiplied as g^T x: on 256 rows of 256 that takes 0.4 of the
# time for 12 outputs and 0.8 for 34 and 48; from 64 on it gains nothing.
THIN = 48


def dot_general(
    x: Float[Array, "*b i"], kernel: Float[Array, "i o"], dimensions: Any, precision: Any = None
) -> Float[Array, "*b o"]:
    """x @ kernel for `flax.linen.Dense(dot_general=...)`. Reverse mode only, any number of times.

    Args:
      x: the layer's input.
      kernel: its weights.
      dimensions, precision: what Dense always passes; not used.
    """
    return _product(x, kernel)


@jax.custom_vjp
def _product(x: Float[Array, "*b i"], kernel: Float[Array, "i o"]) -> Float[Array, "*b o"]:
    return x @ kernel


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return x @ kernel, (x, kernel)


def _backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    rows, g_rows = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    gradient = jax.lax.platform_dependent(
        rows, g_rows, cpu=_kernel_gradient_cpu, default=lambda x, g: x.T @ g
    )
    return g @ kernel.T, gradient


def _kernel_gradient_cpu(x: Float[Array, "n i"], g: Float[Array, "n o"]) -> Float[Array, "i o"]:
    # Without the barriers XLA folds the transpose back into the product.
    if g.shape[1] <= THIN:
        return jax.lax.optimization_barrier(g.T @ x).T
    return jax.lax.optimization_barrier(x.T) @ g


_product.defvjp(_forward, _backward)
