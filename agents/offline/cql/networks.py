"""CQL's networks: those of the soft core, whose last layers start small."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite import mlp
from rlsuite.agents.online.soft.kinds import Kind, draw
from rlsuite.mlp import Net
from rlsuite.types import Environment


def make(static: Any, env: Environment) -> Kind:
    """A tanh-normal actor and two critics for an environment with continuous actions.

    As in CORL ln sigma's output starts at `log_std_start`, where CORL adds a number (and learns it,
    and a factor).
    """
    obs, size = tuple(env.observation_space.shape), math.prod(env.action_space.shape)
    shape = mlp.Shape(static.hidden, static.activation, static.actor_init)
    hidden = static.critic_hidden or static.hidden
    of_critics = mlp.Shape(hidden, static.activation, static.init, static.critic_layer_norm)
    bounds = (static.log_std_min, static.log_std_max)
    bias = jnp.repeat(jnp.array([0.0, static.log_std_start]), size, total_repeat_length=2 * size)
    actor = headed(
        mlp.gaussian_actor(shape, obs, size, static.log_std, bounds),
        len(static.hidden),
        nn.initializers.variance_scaling(static.head_gain**2, "fan_avg", "uniform"),
        bias,
    )
    orthogonal = nn.initializers.orthogonal(static.head_gain)
    one = headed(mlp.critic(of_critics, obs, size), len(hidden), orthogonal, jnp.zeros(1))
    critics = mlp.ensemble(one, 2)
    value = mlp.critic(of_critics, obs, 0)
    return Kind(actor, critics, value, -float(size), partial(draw, actor, critics), critics.apply)


def headed(net: Net, layer: int, kernel: Any, bias: Float[Array, " o"]) -> Net:
    """The net, its last layer drawn anew.

    Args:
      net: an `mlp.MLP`.
      layer: how many layers are below the last.
      kernel: what draws its weights: (key, shape) -> array.
      bias: where its biases start.
    """

    def init(key: PRNGKeyArray) -> PyTree:
        below, head = jax.random.split(key)
        layers = dict(net.init(below)["params"])
        last = layers[f"Linear_{layer}"]["Dense_0"]["kernel"]
        fresh = {"kernel": kernel(head, last.shape), "bias": jnp.array(bias, jnp.float32)}
        return {"params": {**layers, f"Linear_{layer}": {"Dense_0": fresh}}}

    return Net(init, net.apply)
