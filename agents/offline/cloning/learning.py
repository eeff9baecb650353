"""A step of weighted cloning, and the algorithm around it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int, PyTree

from rlsuite import metrics, optim
from rlsuite.agents.offline.cloning import policy
from rlsuite.agents.online.off_policy.state import Algorithm, Batch
from rlsuite.metrics import Metrics
from rlsuite.mlp import Net
from rlsuite.types import Context


class Actor(struct.PyTreeNode):
    """The policy's parameters and their optimiser."""

    params: PyTree
    opt: PyTree


def start(net: Net, key: Array, ctx: Context) -> Actor:
    """Fresh weights."""
    params = net.init(key)
    return Actor(params, optim.adam(0.0, eps=ctx.hp.adam_epsilon).init(params))


def algorithm(
    name: str, net: Net, init: Callable[..., Any], update: Callable[..., Any]
) -> Algorithm:
    """An algorithm whose learner has an `Actor` as `actor`; `init` and `update` as there."""
    return Algorithm(
        name=name,
        init=init,
        policy=lambda learner: learner.actor.params,
        act=partial(policy.act, net),
        update=update,
        warm=lambda learner, params: learner.replace(actor=learner.actor.replace(params=params)),
    )


def step(
    static: Any,
    net: Net,
    actor: Actor,
    batch: Batch,
    weight: Float[Array, "*n b"] | float,
    updates: Int[Array, ""],
    ctx: Context,
) -> tuple[Actor, Metrics]:
    """Down mean w(s, a) D(s, a), D = -ln pi(a|s) or |mu(s) - a|^2, see `policy.distance`.

    Args:
      static: of a `CloningConfig`.
      net: the policy's.
      actor: what moves.
      batch: observations and actions.
      weight: w; with a leading axis (of several critics), the mean over it. Constant in the policy.
      updates: steps taken before this one, for the decay.
      ctx: learning_rate, weight_decay and adam_epsilon are read.
    """

    def objective(params: PyTree) -> Float[Array, ""]:
        distance = policy.distance(net.apply(params, batch.obs), batch.action)
        if not isinstance(weight, float):
            chex.assert_rank([distance, weight], [1, {1, 2}])
            chex.assert_shape(weight, (..., *distance.shape))
        return (weight * distance).mean()

    loss, grads = jax.value_and_grad(objective)(actor.params)
    params, opt = move(
        grads, actor.params, actor.opt,
        ctx.hp.learning_rate * remaining(static, updates, ctx), ctx.hp.weight_decay, ctx,
    )  # fmt: skip
    return Actor(params, opt), {"loss/policy": metrics.mean(loss)}


def move(
    grads: PyTree, params: PyTree, opt: PyTree, rate: Any, l2: Any, ctx: Context
) -> tuple[PyTree, PyTree]:
    """Adam's step on grads + l2 params: L2 as torch's Adam has it, scaled with the gradient."""
    grads = jax.tree.map(lambda g, p: g + l2 * p, grads, params)
    changes, opt = optim.adam(rate, eps=ctx.hp.adam_epsilon).update(grads, opt)
    return optax.apply_updates(params, changes), opt


def remaining(static: Any, updates: Int[Array, ""], ctx: Context) -> Float[Array, ""] | float:
    """What is left of the step size: (1 + cos(pi t/T)) / 2 of the run's T updates, or 1."""
    if static.decay == "none":
        return 1.0
    # Rounded to whole iterations, as the run is; at least one, where a state is only initialised.
    total = jnp.maximum(ctx.horizon, 1) * static.updates
    return 0.5 * (1.0 + jnp.cos(math.pi * jnp.minimum(updates / total, 1.0)))
