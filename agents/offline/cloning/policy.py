"""The policy that is cloned: networks, distance from the data's actions, acting."""

from __future__ import annotations

import math
from typing import Any, cast

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite import mlp
from rlsuite.distributions import Gaussian
from rlsuite.mlp import Net
from rlsuite.types import Mode

Output = Gaussian | Float[Array, "*b d"]


def network(static: Any, shape: mlp.Shape, obs_shape: tuple[int, ...], size: int) -> Net:
    """N(mu(s), sigma) with one learned sigma for all states, or mu(s) alone.

    Args:
      static: of a `CloningConfig`.
      shape: the layers of mu.
      obs_shape: of an observation.
      size: d, entries of an action.

    Returns:
      apply: (params, obs[*b, ...]) -> `Gaussian` or [*b, d]; ln sigma starts at 0 and is clipped.
    """
    module = shape.mlp(size)
    squash = jnp.tanh if static.mean == "tanh" else lambda x: x
    low, high = (-1.0,) * size, (1.0,) * size

    def init(key: PRNGKeyArray) -> PyTree:
        net = module.init(key, jnp.zeros(math.prod(obs_shape)))
        return {"net": net, "log_std": jnp.zeros(size)} if gaussian else {"net": net}

    def apply(params: PyTree, obs: Array) -> Output:
        out = squash(cast(Array, module.apply(params["net"], mlp.flat(obs, len(obs_shape)))))
        if not gaussian:
            return out
        log_std = jnp.clip(params["log_std"], static.log_std_min, static.log_std_max)
        return Gaussian(out, jnp.broadcast_to(log_std, out.shape), low, high)

    gaussian = static.policy == "gaussian"
    return Net(init, apply)


def distance(output: Output, action: Float[Array, "b d"]) -> Float[Array, " b"]:
    """What cloning brings down: -ln pi(a|s), or of a deterministic policy |mu(s) - a|^2.

    Both are sums over the action's entries, as in official IQL and in CORL's deterministic one.
    """
    chex.assert_equal_shape([output.loc if isinstance(output, Gaussian) else output, action])
    if isinstance(output, Gaussian):
        return -output.log_prob(action)
    return jnp.square(output - action).sum(-1)


def act(
    net: Net, params: PyTree, obs: Array, key: PRNGKeyArray, mode: Mode
) -> Float[Array, "*b d"]:
    """The mean when greedy, else a draw where there is a deviation; clipped to [-1, 1]."""
    output = net.apply(params, obs)
    if isinstance(output, Gaussian):
        output = output.mode() if mode == "greedy" else output.sample(key)
    return jnp.clip(jax.lax.stop_gradient(output), -1.0, 1.0)
