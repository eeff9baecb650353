"""A conditional variational autoencoder of actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite import mlp

# The authors' bounds; within them exp does not overflow.
LOG_STD = (-4.0, 15.0)


class Reconstruction(NamedTuple):
    """An action encoded and decoded.

    Attributes:
      action: [b, d] in [-1, 1].
      mean, log_std: [b, z], of the latent's normal distribution.
    """

    action: Float[Array, "b d"]
    mean: Float[Array, "b z"]
    log_std: Float[Array, "b z"]


@dataclass(frozen=True)
class Vae:
    """init: key -> params; apply: (params, obs[b, ...], action[b, d], key) -> Reconstruction."""

    init: Callable[[PRNGKeyArray], PyTree]
    apply: Callable[[PyTree, Array, Array, PRNGKeyArray], Reconstruction]


def make(shape: mlp.Shape, obs_shape: tuple[int, ...], action_size: int, latent: int) -> Vae:
    """q(z | s, a) = N(mu, sigma) and a' = tanh(f(s, z)), z = mu + sigma N(0, I).

    Args:
      shape: of encoder and decoder.
      obs_shape, action_size: of what is encoded.
      latent: entries of z.
    """
    encoder = mlp.critic(shape, obs_shape, action_size, out=2 * latent)
    decoder = mlp.critic(shape, obs_shape, latent, out=action_size)

    def init(key: PRNGKeyArray) -> PyTree:
        encoder_key, decoder_key = jax.random.split(key)
        return {"encoder": encoder.init(encoder_key), "decoder": decoder.init(decoder_key)}

    def apply(params: PyTree, obs: Array, action: Array, key: PRNGKeyArray) -> Reconstruction:
        mean, log_std = jnp.split(encoder.apply(params["encoder"], obs, action), 2, -1)
        log_std = jnp.clip(log_std, *LOG_STD)
        z = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
        return Reconstruction(jnp.tanh(decoder.apply(params["decoder"], obs, z)), mean, log_std)

    return Vae(init, apply)


def divergence(mean: Float[Array, "*s"], log_std: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """KL(N(mean, exp(log_std)) || N(0, 1)), entry by entry."""
    return 0.5 * (jnp.square(mean) + jnp.exp(2 * log_std) - 1 - 2 * log_std)
