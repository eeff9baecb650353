"""Conjugates of f-divergences and what they make of a residual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

Function = Callable[[Float[Array, "*b"]], Float[Array, "*b"]]


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
