"""ODICE on a dataset: V by `gradients`, then weighted cloning."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite import metrics, mlp, optim
from rlsuite.agents.cores import cloning, dataset_source, off_policy
from rlsuite.agents.cores.cloning import Cloned
from rlsuite.agents.cores.off_policy import Minibatch
from rlsuite.agents.offline.odice import gradients
from rlsuite.agents.offline.odice.config import Config
from rlsuite.agents.offline.odice.gradients import DIVERGENCES, Gradient
from rlsuite.metrics import Metrics
from rlsuite.mlp import Net
from rlsuite.types import Agent, Context, Environment


class Core(NamedTuple):
    """The static pieces; `value` is an ensemble of one or two."""

    static: Config
    policy: Net
    value: Net


class Learner(Cloned):
    """With V, its slow copy and optimiser."""

    value: PyTree
    value_target: PyTree
    value_opt: PyTree


def make(env: Environment, config: Config) -> Agent:
    """ODICE for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static = config.static()
    actor, critic = off_policy.shapes(static)
    obs, size = tuple(env.observation_space.shape), math.prod(env.action_space.shape)
    core = Core(
        static,
        cloning.network(static, actor, obs, size),
        mlp.ensemble(mlp.critic(critic, obs, 0), 2 if static.twin else 1),
    )
    learner = cloning.algorithm("odice", core.policy, partial(init, core), partial(update, core))
    return off_policy.make(env, config, learner, dataset_source.make(config))


def init(core: Core, key: PRNGKeyArray, ctx: Context) -> Learner:
    """The target starts as a copy."""
    actor_key, value_key = jax.random.split(key)
    value = core.value.init(value_key)
    return Learner(
        actor=cloning.start(core.policy, actor_key, ctx),
        value=value,
        value_target=jax.tree.map(jnp.copy, value),
        value_opt=optim.adam(0.0, eps=ctx.hp.adam_epsilon).init(value),
        updates=jnp.int32(0),
    )


def update(
    core: Core, learner: Learner, batch: Minibatch, key: PRNGKeyArray, ctx: Context
) -> tuple[Learner, Metrics]:
    """A step of V and its target, then of the policy with the residuals of before that step."""
    found = gradient(core, learner, batch, ctx)
    value, opt = cloning.move(
        found.total, learner.value, learner.value_opt, ctx.hp.value_learning_rate, 0.0, ctx
    )
    weight = cloning_weight(core.static, found.residual, ctx)
    actor, of_policy = cloning.step(
        core.static, core.policy, learner.actor, batch, weight, learner.updates, ctx
    )
    learner = Learner(
        actor=actor,
        value=value,
        value_target=mlp.polyak(learner.value_target, value, ctx.hp.tau),
        value_opt=opt,
        updates=learner.updates + 1,
    )
    return learner, {**report(core.static, found, weight, ctx), **of_policy}


def gradient(core: Core, learner: Learner, batch: Minibatch, ctx: Context) -> Gradient:
    """Of the kind the configuration names."""
    f, value = DIVERGENCES[core.static.divergence], core.value.apply
    here, there, lam = learner.value, learner.value_target, ctx.hp.odice_lambda
    if core.static.gradient == "semi":
        return gradients.semi(f, value, here, there, batch, lam)
    if core.static.gradient == "true":
        return gradients.true(f, value, here, batch, lam)
    return gradients.orthogonal(f, value, here, there, batch, lam, ctx.hp.eta)


def cloning_weight(static: Config, y: Float[Array, "n b"], ctx: Context) -> Float[Array, "n b"]:
    """min(max(0, y), bound) as in the authors' code, or theory's min(f*'(y), bound)."""
    f = DIVERGENCES[static.divergence]
    weigh = f.repo_weight if static.weight == "repo" else f.slope
    return jnp.minimum(weigh(y), ctx.hp.max_weight)


def report(static: Config, found: Gradient, weight: Float[Array, "n b"], ctx: Context) -> Metrics:
    """`loss/value` is (1 - lambda) V(s) + lambda f*(y) with V's target in y, whatever the gradient.
    `value/stationarity` is mean f*'(y) less (1 - lambda)/lambda: 0 where a semi-gradient
    rests. `policy/nonzero_weight` is the share of the data that is cloned at all."""
    f, lam = DIVERGENCES[static.divergence], ctx.hp.odice_lambda
    slope = f.slope(found.residual)
    out: Metrics = {
        "loss/value": metrics.mean((1 - lam) * found.v + lam * f.conjugate(found.residual)),
        "value/v": metrics.mean(found.v),
        "value/residual": metrics.mean(found.residual),
        "value/stationarity": metrics.mean(slope.mean() - (1 - lam) / lam),
        "policy/weight": metrics.mean(weight),
        "policy/nonzero_weight": metrics.mean((weight > 0).astype(jnp.float32)),
    }
    if static.gradient == "orthogonal":
        out["value/projection"] = metrics.mean(found.coefficient)
        out["value/gradient_cosine"] = metrics.mean(found.cosine)
    return out
