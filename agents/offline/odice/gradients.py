"""The gradient of ODICE's value loss: what a divergence makes of a residual, forward, backward, and
what of the latter is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from rlsuite.agents.cores.off_policy import Minibatch

Function = Callable[[Float[Array, "*b"]], Float[Array, "*b"]]
Scalar = float | Float[Array, ""]
Value = Callable[[PyTree, Array], Float[Array, "n b"]]


@dataclass(frozen=True)
class Divergence:
    """f by its conjugate, each function elementwise in the residual y.

    Attributes:
      conjugate: f*(y) over densities x >= 0.
      slope: f*'(y), the density itself: theory's weight for cloning.
      repo_weight: the weight in the authors' code.
    """

    conjugate: Function
    slope: Function
    repo_weight: Function


def pearson_conjugate(y: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """max over x >= 0 of x y - (x - 1)^2: y + y^2/4 from y = -2 on, else -1."""
    return jnp.where(y > -2.0, y + jnp.square(y) / 4, -1.0)


def pearson_slope(y: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """max(0, 1 + y/2)."""
    return jnp.maximum(0.0, 1.0 + y / 2)


def positive(y: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """max(0, y): sparser than theory's, which is 1 at y = 0."""
    return jnp.maximum(0.0, y)


def kl_conjugate(y: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """exp(y - 1), of f(x) = x ln x; its own derivative."""
    return jnp.exp(y - 1.0)


DIVERGENCES = {
    "pearson": Divergence(pearson_conjugate, pearson_slope, positive),
    "reverse-kl": Divergence(kl_conjugate, kl_conjugate, kl_conjugate),
}


class Gradient(NamedTuple):
    """What one batch says of V.

    Attributes:
      total: the gradient Adam is given.
      residual: y[n, b] of each head, before any step; what weighs cloning.
      v: V(s)[n, b].
      coefficient: of the forward gradient that is taken out of the backward one.
      cosine: of the angle between the two; both 0 where only one is used.
    """

    total: PyTree
    residual: Float[Array, "n b"]
    v: Float[Array, "n b"]
    coefficient: Float[Array, ""]
    cosine: Float[Array, ""]


def semi(
    f: Divergence, value: Value, params: PyTree, target: PyTree, batch: Minibatch, lam: Scalar
) -> Gradient:
    """Of (1 - lambda) V(s) + lambda f*(y), y = r + discount min V'(s') - V(s); y through V(s)
    alone."""
    v, back = jax.vjp(lambda p: value(p, batch.obs), params)
    chex.assert_shape([batch.reward, batch.discount], v.shape[1:])
    y = batch.reward + batch.discount * value(target, batch.next_obs).min(0) - v
    (total,) = back(((1 - lam) - lam * f.slope(y)) / v.size)
    return Gradient(total, y, v, jnp.float32(0), jnp.float32(0))


def true(f: Divergence, value: Value, params: PyTree, batch: Minibatch, lam: Scalar) -> Gradient:
    """The same of y = r + discount V_i(s') - V_i(s), through both; no target, heads apart."""
    v, back = jax.vjp(lambda p: value(p, batch.obs), params)
    chex.assert_shape([batch.reward, batch.discount], v.shape[1:])
    v_next, back_next = jax.vjp(lambda p: value(p, batch.next_obs), params)
    y = batch.reward + batch.discount * v_next - v
    weight = lam * f.slope(y) / v.size
    (here,), (there,) = back((1 - lam) / v.size - weight), back_next(batch.discount * weight)
    return Gradient(
        jax.tree.map(jnp.add, here, there), y, v, jnp.float32(0), jnp.float32(0)
    )  # fmt: skip


def orthogonal(
    f: Divergence,
    value: Value,
    params: PyTree,
    target: PyTree,
    batch: Minibatch,
    lam: Scalar,
    eta: Scalar,
) -> Gradient:
    """g_V + g_F + (g_B - c g_F), c = <g_F, g_B> / max(|g_F|^2, 1e-10): Mao et al., 2024, sec. 3.

    g_V = grad (1 - lambda) mean V(s), g_F = grad lambda mean f*(r + discount min V'(s') - V(s)),
    g_B = grad lambda eta mean f*(r + discount V(s') - min V'(s)), means over heads and rows, V' the
    slow copy, constant. The products are over all parameters of all heads as one vector. Each of
    V(s) and V(s') is computed once.
    """
    v, back = jax.vjp(lambda p: value(p, batch.obs), params)
    chex.assert_shape([batch.reward, batch.discount], v.shape[1:])
    v_next, back_next = jax.vjp(lambda p: value(p, batch.next_obs), params)
    y = batch.reward + batch.discount * value(target, batch.next_obs).min(0) - v
    y_back = batch.reward + batch.discount * v_next - value(target, batch.obs).min(0)
    (mean,) = back(jnp.full_like(v, (1 - lam) / v.size))
    (forward,) = back(-lam * f.slope(y) / v.size)
    (backward,) = back_next(lam * eta * batch.discount * f.slope(y_back) / v.size)
    both, own = dot(forward, backward), dot(forward, forward)
    c = both / jnp.maximum(own, 1e-10)
    total = jax.tree.map(lambda m, g, b: m + (1 - c) * g + b, mean, forward, backward)
    norms = jnp.sqrt(jax.lax.stop_gradient(own * dot(backward, backward)))
    cosine = jax.lax.stop_gradient(both) / jnp.maximum(norms, 1e-20)
    return Gradient(total, y, v, c, cosine)


def dot(a: PyTree, b: PyTree) -> Float[Array, ""]:
    """The inner product of two trees as vectors."""
    products = jax.tree.map(lambda x, y: (x * y).sum(), a, b)
    return jnp.asarray(sum(jax.tree.leaves(products)))
