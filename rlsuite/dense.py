"""A dense layer whose gradients are in the form that XLA multiplies fast on a CPU.

Measured on one core, forward and backward of one network, layers of 256 unless said (jax 0.10.2):

- The kernel's gradient x^T g: XLA multiplies a transposed left side at two thirds of its usual
  speed, and at a thirtieth where g has few columns (a policy's head). Transposing first, or
  multiplying g^T x and transposing the small result, costs less, until x outgrows the cache.
- Whatever is cheap (ReLU, a norm's last step) XLA computes anew inside that transposition, read
  by column. Where `fence` is set, x is computed once: 1.04 to 1.12 times the speed.
- Sums of columns, the bias's gradient, XLA reads column by column: as a product with ones they
  make 1.02, 1.14 with CQL's 7,680 rows, which it would take as 30 x 256.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

# Heads of up to this many outputs are multiplied as g^T x: on 256 rows of 256 that takes 0.4 of the
# time for 12 outputs and 0.8 for 34 and 48; from 64 on it gains nothing.
THIN = 48
# From this many numbers in x on (6 MB) it is not transposed: 7,680 x 256 gain a sixth, 4,096 x 256
# and 256 x 1,024 would lose a twentieth. There thin g is padded to 8 columns: a seventh more; below
# that gains nothing.
LARGE = 3 * 2**19
# Inputs from this width on are worth a fence behind a ReLU: 1.18 times the speed at 32, 1.11 at 64;
# at 16 it costs a tenth.
WIDE = 32


class Dense(nn.Module):
    """x @ kernel + bias, parameters and their initial values as `flax.linen.Dense`'s.

    Attributes:
      features: outputs.
      kernel_init, bias_init: how they start.
      fence: whether x comes from something XLA would rather compute twice, see above.
    """

    features: int
    kernel_init: Any
    bias_init: Any = nn.initializers.zeros
    fence: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "*b i"]) -> Float[Array, "*b o"]:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        bias = self.param("bias", self.bias_init, (self.features,))
        return affine(x, kernel, bias, self.fence and x.shape[-1] >= WIDE)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def affine(
    x: Float[Array, "*b i"], kernel: Float[Array, "i o"], bias: Float[Array, " o"], fence: bool
) -> Float[Array, "*b o"]:
    """x @ kernel + bias, differentiable in both modes, any number of times."""
    return x @ kernel + bias


def _tangent(fence: bool, at: Sequence[Array], along: Sequence[Any]) -> tuple[Array, Array]:
    # What is linear here is written so that jax's own transpose of it, which is what reverse mode
    # runs, is the fast form; forward mode takes any form.
    (x, kernel, bias), (of_x, of_kernel, of_bias) = at, along
    if fence:
        x = jax.lax.platform_dependent(x, cpu=_computed_once, default=lambda x: x)
    y, moved = x @ kernel + bias, []
    if not isinstance(of_x, SymbolicZero):
        moved.append(of_x @ kernel)
    if not isinstance(of_kernel, SymbolicZero):
        rows = x.reshape(-1, x.shape[-1])
        product = jax.lax.platform_dependent(
            rows, of_kernel, cpu=_product_cpu, default=lambda x, kernel: x @ kernel
        )
        moved.append(product.reshape(y.shape))
    if not isinstance(of_bias, SymbolicZero):
        thin = y.shape[-1] <= THIN
        moved.append(jnp.broadcast_to(of_bias, y.shape) if thin else on_rows(of_bias, y.shape))
    return y, sum(moved[1:], moved[0]) if moved else jnp.zeros_like(y)


affine.defjvp(_tangent, symbolic_zeros=True)


def _computed_once(x: Float[Array, "*b i"]) -> Float[Array, "*b i"]:
    # x, bit for bit. XLA computes no division twice, if it is one: it must not see that the divisor
    # is 1, nor be able to multiply by the inverse of a scalar instead.
    return x / (1 + jax.lax.stop_gradient(jnp.minimum(jnp.abs(x), 0)))


def _product_cpu(x: Float[Array, "n i"], kernel: Float[Array, "i o"]) -> Float[Array, "n o"]:
    # Transposed: (g^T x)^T of a thin g, else x^T g. Without the barriers XLA folds the transpose
    # back into the product.
    outputs = kernel.shape[1]
    if outputs <= THIN:
        if x.size >= LARGE and outputs < 8:
            kernel = jnp.pad(kernel, ((0, 0), (0, 8 - outputs)))
        left = jax.lax.optimization_barrier(kernel.T)
        return jax.lax.dot_general(left, x, (((1,), (1,)), ((), ())))[:outputs].T
    left = x.T if x.size >= LARGE else jax.lax.optimization_barrier(x.T)
    return jax.lax.dot_general(left, kernel, (((0,), (0,)), ((), ())))


def on_rows(v: Float[Array, " d"], shape: tuple[int, ...]) -> Float[Array, "*b d"]:
    """v on every row, as a product with ones on a CPU: that makes its transpose, the sums of
    columns, one too. Elsewhere these would be rounded as products are."""
    rows = math.prod(shape[:-1])
    spread = jax.lax.platform_dependent(
        v,
        cpu=lambda v: jnp.ones((rows, 1), v.dtype) @ v[None],
        default=lambda v: jnp.broadcast_to(v, (rows, v.shape[0])),
    )
    return spread.reshape(shape)
