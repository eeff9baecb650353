"""ODICE on a dataset: V by an orthogonal gradient, then weighted cloning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite.agents.cores import cloning, dataset_source, off_policy
from rlsuite.agents.cores.cloning import Cloned
from rlsuite.agents.cores.off_policy import Minibatch, bootstrapped
from rlsuite.agents.offline.odice.config import Config
from rlsuite.contracts import box, metrics
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Agent, Context, Environment
from rlsuite.nn import mlp
from rlsuite.nn.mlp import Net
from rlsuite.ops import optim

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
    obs, size = tuple(env.observation_space.shape), box.size(env.action_space)
    core = Core(
        static,
        cloning.network(static, actor, obs, size),
        mlp.ensemble(mlp.critic(critic, obs, 0), 2 if static.twin else 1),
    )
    learner = cloning.algorithm("odice", core.policy, partial(init, core), partial(update, core))
    return off_policy.make(env, config, learner, dataset_source.make(config))


def init(core: Core, key: PRNGKeyArray, ctx: Context) -> Learner:
    """The target starts as a copy.

    Args:
      core: the static pieces.
      key: for policy and V.
      ctx: adam_epsilon is read.
    """
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
    """A step of V and its target, then of the policy with the residuals of before that step.

    Args:
      core: the static pieces.
      learner: before the update.
      batch: the data's transitions.
      key: unused: nothing is drawn.
      ctx: the traced hyperparameters and the horizon.
    """
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
    """Of the kind the configuration names.

    Args:
      core: with V's network, `gradient` and `divergence`.
      learner: V and its slow copy are read.
      batch: the data's transitions.
      ctx: odice_lambda and eta are read.
    """
    f, value = DIVERGENCES[core.static.divergence], core.value.apply
    here, there, lam = learner.value, learner.value_target, ctx.hp.odice_lambda
    if core.static.gradient == "semi":
        return semi(f, value, here, there, batch, lam)
    if core.static.gradient == "true":
        return true(f, value, here, batch, lam)
    return orthogonal(f, value, here, there, batch, lam, ctx.hp.eta)


def cloning_weight(static: Config, y: Float[Array, "n b"], ctx: Context) -> Float[Array, "n b"]:
    """min(max(0, y), bound) as in the authors' code, or theory's min(f*'(y), bound).

    Args:
      static: weight and divergence are read.
      y: the residual of each head.
      ctx: max_weight is the bound.
    """
    f = DIVERGENCES[static.divergence]
    weigh = f.repo_weight if static.weight == "repo" else f.slope
    return jnp.minimum(weigh(y), ctx.hp.max_weight)


def report(static: Config, found: Gradient, weight: Float[Array, "n b"], ctx: Context) -> Metrics:
    """`loss/value` is (1 - lambda) V(s) + lambda f*(y) with V's target in y, whatever the gradient.
    `value/stationarity` is mean f*'(y) less (1 - lambda)/lambda: 0 where a semi-gradient
    rests. `policy/nonzero_weight` is the share of the data that is cloned at all.

    Args:
      static: divergence and gradient are read.
      found: what the batch says of V before its step.
      weight: of `cloning_weight`.
      ctx: odice_lambda is read.
    """
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
    alone.

    Args:
      f: the divergence.
      value: (weights, obs) -> V of each head.
      params: V's weights, in which the gradient is.
      target: the slow copy's; constant.
      batch: r, discount, s and s'.
      lam: lambda, in (0, 1).
    """
    v, back = jax.vjp(lambda p: value(p, batch.obs), params)
    y = bootstrapped(batch, value(target, batch.next_obs).min(0)) - v
    (total,) = back(((1 - lam) - lam * f.slope(y)) / v.size)
    return Gradient(total, y, v, jnp.float32(0), jnp.float32(0))


def true(f: Divergence, value: Value, params: PyTree, batch: Minibatch, lam: Scalar) -> Gradient:
    """The same of y = r + discount V_i(s') - V_i(s), through both; no target, heads apart.

    Args:
      f, value, params, batch, lam: as in `semi`.
    """
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

    Args:
      f, value, params, target, batch, lam: as in `semi`.
      eta: weight of the backward gradient.
    """
    v, back = jax.vjp(lambda p: value(p, batch.obs), params)
    chex.assert_shape([batch.reward, batch.discount], v.shape[1:])
    v_next, back_next = jax.vjp(lambda p: value(p, batch.next_obs), params)
    y = bootstrapped(batch, value(target, batch.next_obs).min(0)) - v
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
