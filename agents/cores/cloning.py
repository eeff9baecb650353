"""Weighted behaviour cloning, as BC, IQL and ODICE share it: the policy, its distance from the
data's actions, a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

import chex
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from rlsuite.agents.cores.config import CloningConfig
from rlsuite.agents.cores.off_policy import Algorithm, Minibatch, Update
from rlsuite.contracts import metrics
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Context, Mode
from rlsuite.nn import mlp
from rlsuite.nn.distributions import Gaussian
from rlsuite.nn.mlp import Net
from rlsuite.ops import optim

Output = Gaussian | Float[Array, "*b d"]
Scalar = Float[Array, ""] | float


class Actor(struct.PyTreeNode):
    """The policy's parameters and their optimiser."""

    params: PyTree
    opt: PyTree


def start(net: Net, key: Array, ctx: Context) -> Actor:
    """Fresh weights.

    Args:
      net: the policy's.
      key: of the weights.
      ctx: adam_epsilon is read.
    """
    params = net.init(key)
    return Actor(params, optim.adam(0.0, eps=ctx.hp.adam_epsilon).init(params))


class Cloned(struct.PyTreeNode):
    """Base of learners whose policy is cloned: the policy, and gradient steps so far."""

    actor: Actor
    updates: Int[Array, ""]


LearnerT = TypeVar("LearnerT", bound=Cloned)


def algorithm(
    name: str,
    net: Net,
    init: Callable[[PRNGKeyArray, Context], LearnerT],
    update: Update[LearnerT],
) -> Algorithm[LearnerT]:
    """An algorithm whose learner has an `Actor` as `actor`.

    Args:
      name: the registry's.
      net: the policy's.
      init, update: as in `Algorithm`.
    """

    def warm(learner: LearnerT, params: PyTree) -> LearnerT:
        return learner.replace(actor=learner.actor.replace(params=params))

    return Algorithm(
        name=name,
        init=init,
        policy=lambda learner: learner.actor.params,
        act=partial(act, net),
        update=update,
        warm=warm,
    )


def step(
    static: CloningConfig,
    net: Net,
    actor: Actor,
    batch: Minibatch,
    weight: Float[Array, "*n b"] | float,
    updates: Int[Array, ""],
    ctx: Context,
) -> tuple[Actor, Metrics]:
    """Down mean w(s, a) D(s, a), D = -ln pi(a|s) or |mu(s) - a|^2, see `distance`.

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
        apart = distance(net.apply(params, batch.obs), batch.action)
        if not isinstance(weight, float):
            chex.assert_rank([apart, weight], [1, {1, 2}])
            chex.assert_shape(weight, (..., *apart.shape))
        return (weight * apart).mean()

    loss, grads = jax.value_and_grad(objective)(actor.params)
    params, opt = move(
        grads, actor.params, actor.opt,
        ctx.hp.learning_rate * remaining(static, updates, ctx), ctx.hp.weight_decay, ctx,
    )  # fmt: skip
    return Actor(params, opt), {"loss/policy": metrics.mean(loss)}


def move(
    grads: PyTree, params: PyTree, opt: PyTree, rate: Scalar, l2: Scalar, ctx: Context
) -> tuple[PyTree, PyTree]:
    """Adam's step on grads + l2 params: L2 as torch's Adam has it, scaled with the gradient.

    Args:
      grads: of the loss.
      params: what moves.
      opt: Adam's state.
      rate: the step size.
      l2: weight of the parameters in it; 0 leaves the gradient alone.
      ctx: adam_epsilon is read.

    Returns:
      (the parameters, Adam's state) after the step.
    """
    grads = jax.tree.map(lambda g, p: g + l2 * p, grads, params)
    changes, opt = optim.adam(rate, eps=ctx.hp.adam_epsilon).update(grads, opt)
    return optax.apply_updates(params, changes), opt


def remaining(static: CloningConfig, updates: Int[Array, ""], ctx: Context) -> Scalar:
    """What is left of the step size: (1 + cos(pi t/T)) / 2 of the run's T updates, or 1.

    Args:
      static: decay and updates, those of an iteration, are read.
      updates: t, steps taken before this one.
      ctx: the horizon, in iterations, is read.
    """
    if static.decay == "none":
        return 1.0
    # Rounded to whole iterations, as the run is; at least one, where a state is only initialised.
    total = jnp.maximum(ctx.horizon, 1) * static.updates
    return 0.5 * (1.0 + jnp.cos(math.pi * jnp.minimum(updates / total, 1.0)))


def network(static: CloningConfig, shape: mlp.Shape, obs_shape: tuple[int, ...], size: int) -> Net:
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
    """The mean when greedy, else a draw where there is a deviation; clipped to [-1, 1].

    Args:
      net: the policy's.
      params: its weights.
      obs: [*b, ...] as the network sees them.
      key: of the draw.
      mode: 'explore' is 'sample'.

    Returns:
      Actions in [-1, 1], stop-gradiented.
    """
    output = net.apply(params, obs)
    if isinstance(output, Gaussian):
        output = output.mode() if mode == "greedy" else output.sample(key)
    return jnp.clip(jax.lax.stop_gradient(output), -1.0, 1.0)
