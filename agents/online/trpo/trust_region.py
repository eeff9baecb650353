"""The natural gradient and its line search, on flat vectors. Knows no policy and no rollout."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

Vector = Float[Array, " d"]
Scalar = Float[Array, ""] | float
Carry = tuple[Vector, Vector, Vector, Scalar]
TINY = 1e-30


class Search(NamedTuple):
    """What a line search found: where to go, whether it goes at all, and what holds there."""

    theta: Vector
    accepted: Bool[Array, ""]
    scale: Float[Array, ""]
    surrogate: Float[Array, ""]
    kl: Float[Array, ""]


def conjugate_gradient(
    product: Callable[[Vector], Vector], b: Vector, iterations: int, tolerance: Scalar
) -> Vector:
    """x with F x = b, for a symmetric positive definite F known by its products.

    Args:
      product: v -> F v.
      b: the right side.
      iterations: always as many (so that gradients can flow back); once the squared residual is
        below `tolerance`, or a direction has no curvature, they change nothing.
      tolerance: of the squared residual.
    """

    def body(carry: Carry, _: None) -> tuple[Carry, None]:
        x, residual, direction, size = carry
        image = product(direction)
        curvature = direction @ image
        going = (size > tolerance) & (curvature > TINY)
        alpha = jnp.where(going, size / jnp.where(going, curvature, 1.0), 0.0)
        smaller = residual - alpha * image
        new_size = smaller @ smaller
        beta = new_size / jnp.where(going, size, 1.0)
        moved = (x + alpha * direction, smaller, smaller + beta * direction, new_size)
        return jax.tree.map(lambda new, old: jnp.where(going, new, old), moved, carry), None

    start = (jnp.zeros_like(b), b, b, b @ b)
    return jax.lax.scan(body, start, None, iterations)[0][0]


def fisher_product(
    outputs: Callable[[Vector], PyTree], kl: Callable[[PyTree, PyTree], Array], theta: Vector
) -> Callable[[Vector], Vector]:
    """v -> F v, where F is the Hessian at `theta` of t -> kl(outputs(theta), outputs(t)).

    There the divergence has no slope, so that its Hessian is J^T M J with the Jacobian J of the
    outputs and the Hessian M in the outputs: two passes through the network and none through its
    second derivatives. J v is taken as the transpose of u -> J^T u.

    Args:
      outputs: t -> the parameters of the distributions of every sample.
      kl: (old outputs, new outputs) -> mean divergence.
      theta: where.
    """
    at, transposed = jax.vjp(outputs, theta)
    _, forward = jax.vjp(lambda u: transposed(u)[0], jax.tree.map(jnp.zeros_like, at))
    slope = jax.grad(lambda new: kl(at, new))

    def product(v: Vector) -> Vector:
        (moved,) = forward(v)
        bent = jax.jvp(slope, (at,), (moved,))[1]
        return transposed(bent)[0]

    return product


def natural_step(
    product: Callable[[Vector], Vector], slope: Vector, max_kl: Scalar, iterations: int,
    tolerance: Scalar,
) -> Vector:  # fmt: skip
    """sqrt(2 max_kl / x^T F x) x with F x = slope (Schulman et al., 2015, appendix C).

    The step s has s^T F s = 2 max_kl whether or not the iterations have converged; 0 for a slope
    of 0.

    Args:
      product: v -> F v.
      slope: the surrogate's gradient.
      max_kl: the bound, which the step meets where the divergence is quadratic.
      iterations, tolerance: of `conjugate_gradient`.
    """
    x = conjugate_gradient(product, slope, iterations, tolerance)
    length = x @ product(x)
    bent = length > TINY
    return jnp.where(bent, jnp.sqrt(2 * max_kl / jnp.where(bent, length, 1.0)), 0.0) * x


def line_search(
    measure: Callable[[Vector], tuple[Array, Array]],
    theta: Vector,
    step: Vector,
    max_kl: Scalar,
    factor: Scalar,
    steps: int,
) -> Search:
    """The longest of theta + factor^j step, j < steps, that keeps the bound and loses nothing.

    If none does, `theta` itself, bit for bit. (Ports that apply the last trial all the same break
    the trust region.)

    Args:
      measure: theta -> (surrogate, mean KL from the old policy).
      theta: the old parameters.
      step: the full step.
      max_kl: the bound.
      factor: each length over the one before.
      steps: lengths tried.
    """
    base, _ = measure(theta)

    def attempt(scale: Array) -> Search:
        there = theta + scale * step
        surrogate, kl = measure(there)
        # Comparisons with NaN are false: what overflows is not taken.
        return Search(there, (kl <= max_kl) & (surrogate >= base), scale, surrogate, kl)

    def body(best: Search, scale: Array) -> tuple[Search, None]:
        def shorter() -> Search:
            trial = attempt(scale)
            return jax.tree.map(lambda a, b: jnp.where(trial.accepted, a, b), trial, best)

        return jax.lax.cond(best.accepted, lambda: best, shorter), None

    stay = Search(theta, jnp.bool_(False), jnp.float32(0), base, jnp.float32(0))
    scales = jnp.asarray(factor, jnp.float32) ** jnp.arange(steps)
    return jax.lax.scan(body, stay, scales)[0]
