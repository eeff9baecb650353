"""Optimisers rebuilt from traced hyperparameters: the state is data, the numbers are arguments.

optax's schedule constructors take Python numbers; annealing here is a factor the caller multiplies
into the learning rate, a function of how far the run is.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

Scalar = float | Float[Array, ""]
GradientClip = Literal["global_norm", "element", "none"]


def adam(
    learning_rate: Scalar,
    *,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    clip: GradientClip = "none",
    max_grad: Scalar = 0.0,
) -> optax.GradientTransformation:
    """Adam behind gradient clipping; every number may be traced.

    Args:
      learning_rate: step size, annealing included.
      b1, b2, eps: Adam's.
      clip: by global norm, element-wise (what rejax's `max_grad_norm` does), or not at all.
      max_grad: the clipping bound.
    """
    clips = {
        "none": optax.identity,
        "element": lambda: _clip_elements(max_grad),
        "global_norm": lambda: _clip_global_norm(max_grad),
    }
    # A gradient that is exactly 0 (a dead relu) leaves sqrt(0), whose derivative is infinite:
    # without eps_root every gradient *through* an update is NaN. 1e-30 is below what float32 keeps
    # of nu.
    root = 1e-30
    scale = optax.scale_by_adam(b1=b1, b2=b2, eps=eps, eps_root=root)  # pyright: ignore
    return optax.chain(clips[clip](), scale, optax.scale(-learning_rate))  # pyright: ignore


def _clip_elements(bound: Scalar) -> optax.GradientTransformation:
    return optax.stateless(
        lambda updates, _: jax.tree.map(lambda g: jnp.clip(g, -bound, bound), updates)
    )


def _clip_global_norm(bound: Scalar) -> optax.GradientTransformation:
    def update(updates: optax.Updates, _: optax.Params | None) -> optax.Updates:
        factor = jnp.minimum(1.0, bound / jnp.maximum(optax.tree.norm(updates), 1e-16))
        return jax.tree.map(lambda g: g * factor, updates)

    return optax.stateless(update)
