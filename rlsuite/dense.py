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

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
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


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def affine(
    x: Float[Array, "*b i"], kernel: Float[Array, "i o"], bias: Float[Array, " o"], fence: bool
) -> Float[Array, "*b o"]:
    """x @ kernel + bias. Reverse mode only, any number of times."""
    return x @ kernel + bias


def _forward(x: Array, kernel: Array, bias: Array, fence: bool) -> tuple[Array, Any]:
    if fence:
        x = jax.lax.platform_dependent(x, cpu=_computed_once, default=lambda x: x)
    return x @ kernel + bias, (x, kernel)


def _computed_once(x: Float[Array, "*b i"]) -> Float[Array, "*b i"]:
    # x, bit for bit. XLA computes no division twice, if it is one: it must not see that the divisor
    # is 1, nor be able to multiply by the inverse of a scalar instead.
    return x / (1 + jax.lax.stop_gradient(jnp.minimum(jnp.abs(x), 0)))


def _backward(fence: bool, saved: tuple[Array, Array], g: Array) -> tuple[Array, Array, Array]:
    x, kernel = saved
    rows, g_rows = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    of_kernel, of_bias = jax.lax.platform_dependent(
        rows, g_rows, cpu=_gradients_cpu, default=lambda x, g: (x.T @ g, g.sum(0))
    )
    return g @ kernel.T, of_kernel, of_bias


def _gradients_cpu(
    x: Float[Array, "n i"], g: Float[Array, "n o"]
) -> tuple[Float[Array, "i o"], Float[Array, " o"]]:
    # Without the barriers XLA folds the transpose back into the product.
    if g.shape[1] <= THIN:
        wide = g if x.size < LARGE else jnp.pad(g, ((0, 0), (0, max(0, 8 - g.shape[1]))))
        of_kernel = jax.lax.optimization_barrier(wide.T @ x)[: g.shape[1]].T
        return of_kernel, g.sum(0)
    left = x.T if x.size >= LARGE else jax.lax.optimization_barrier(x.T)
    return left @ g, column_sums(g)


def column_sums(g: Float[Array, "n o"]) -> Float[Array, " o"]:
    """g.sum(0) as a product: fast on a CPU; elsewhere it would be rounded as products are."""
    return (jnp.ones((1, g.shape[0]), g.dtype) @ g)[0]


affine.defvjp(_forward, _backward)
