"""LayerNorm with its sums as products, which is faster on a CPU.

XLA adds up a row number by number, each addition waiting for the one before: as a product with ones
the sums of 1,024 rows of 256 take about a third of the time. An update's network of three 256-wide
layers with LayerNorm on 1,024 rows (ReBRAC's critics) is a tenth faster so (jax 0.10.2, one core).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rlsuite.dense import column_sums


class LayerNorm(nn.Module):
    """`layer_norm` with its scale and bias, named and started as `flax.linen.LayerNorm`'s."""

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        return layer_norm(x, scale, bias, self.epsilon)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def layer_norm(
    x: Float[Array, "*b d"], scale: Float[Array, " d"], bias: Float[Array, " d"], epsilon: float
) -> Float[Array, "*b d"]:
    """(x - mean) / sqrt(var + epsilon) * scale + bias over the last axis (Ba et al., 2016, eq. 4).

    The variance is max(0, mean x^2 - mean^2). Reverse mode only, any number of times.
    """
    return _forward(x, scale, bias, epsilon)[0]


def _forward(x: Array, scale: Array, bias: Array, epsilon: float) -> tuple[Array, Any]:
    mean = row_means(x)
    inverse = jax.lax.rsqrt(jnp.maximum(row_means(x * x) - mean * mean, 0) + epsilon)
    return (x - mean) * inverse * scale + bias, (x, mean, inverse, scale)


def _backward(epsilon: float, saved: Any, g: Array) -> tuple[Array, Array, Array]:
    x, mean, inverse, scale = saved
    normal, scaled = (x - mean) * inverse, g * scale
    of_x = inverse * (scaled - row_means(scaled) - normal * row_means(scaled * normal))
    return of_x, _sum(g * normal), _sum(g)


def _sum(g: Float[Array, "*b d"]) -> Float[Array, " d"]:
    rows = g.reshape(-1, g.shape[-1])
    return jax.lax.platform_dependent(rows, cpu=column_sums, default=lambda r: r.sum(0))


def row_means(x: Float[Array, "*b d"]) -> Float[Array, "*b 1"]:
    """x.mean(-1, keepdims=True)."""
    return jax.lax.platform_dependent(
        x, cpu=_row_means_cpu, default=lambda x: x.mean(-1, keepdims=True)
    )


def _row_means_cpu(x: Float[Array, "*b d"]) -> Float[Array, "*b 1"]:
    return x @ jnp.full((x.shape[-1], 1), 1 / x.shape[-1], x.dtype)


layer_norm.defvjp(_forward, _backward)
