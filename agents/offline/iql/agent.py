"""IQL on a dataset: an expectile of Q, weighted cloning, Q toward V."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite.agents.cores import cloning, dataset_source, off_policy
from rlsuite.agents.cores.cloning import Cloned
from rlsuite.agents.cores.off_policy import Minibatch, bootstrapped, critic_loss
from rlsuite.agents.offline.iql.config import Config
from rlsuite.contracts import box, metrics
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Agent, Context, Environment
from rlsuite.data import transforms
from rlsuite.nn import mlp
from rlsuite.nn.mlp import Net
from rlsuite.ops import optim

Scalar = float | Float[Array, ""]


class Core(NamedTuple):
    """The static pieces."""

    static: Config
    policy: Net
    critics: Net
    value: Net


class Learner(Cloned):
    """With critics, their slow copy, V and their optimisers."""

    critics: PyTree
    critics_target: PyTree
    value: PyTree
    critic_opt: PyTree
    value_opt: PyTree


def make(env: Environment, config: Config) -> Agent:
    """IQL for a dataset of an environment with continuous actions.

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
        mlp.ensemble(mlp.critic(critic, obs, size), 2),
        mlp.critic(critic, obs, 0),
    )
    learner = cloning.algorithm("iql", core.policy, partial(init, core), partial(update, core))
    return off_policy.make(env, config, learner, dataset_source.make(config))


def expectile_loss(u: Float[Array, " b"], tau: Scalar) -> Float[Array, ""]:
    """mean |tau - 1[u < 0]| u^2, Kostrikov et al., 2022, eq. 3 and 5: tau = 0.5 is half the mean
    square.

    Args:
      u: Q(s, a) - V(s).
      tau: the expectile in (0, 1).
    """
    return (jnp.where(u < 0, 1 - tau, tau) * jnp.square(u)).mean()


def advantage_weight(
    advantage: Float[Array, " b"], beta: Scalar, bound: Scalar
) -> Float[Array, " b"]:
    """min(exp(beta A), bound), eq. 7 with the authors' bound.

    The exponent is bounded, not the power: where exp overflows its derivative in beta is no number.

    Args:
      advantage: A = Q(s, a) - V(s).
      beta: inverse temperature.
      bound: of the weight.
    """
    return jnp.exp(jnp.minimum(beta * advantage, jnp.log(bound)))


def init(core: Core, key: PRNGKeyArray, ctx: Context) -> Learner:
    """The target starts as a copy.

    Args:
      core: the static pieces.
      key: for policy, critics and V.
      ctx: adam_epsilon is read.
    """
    actor_key, critic_key, value_key = jax.random.split(key, 3)
    critics, value = core.critics.init(critic_key), core.value.init(value_key)
    return Learner(
        actor=cloning.start(core.policy, actor_key, ctx),
        critics=critics,
        critics_target=jax.tree.map(jnp.copy, critics),
        value=value,
        critic_opt=adam(ctx, 0.0).init(critics),
        value_opt=adam(ctx, 0.0).init(value),
        updates=jnp.int32(0),
    )


def adam(ctx: Context, rate: Scalar) -> optax.GradientTransformation:
    """No gradient is clipped."""
    return optim.adam(rate, eps=ctx.hp.adam_epsilon)


def update(
    core: Core, learner: Learner, batch: Minibatch, key: PRNGKeyArray, ctx: Context
) -> tuple[Learner, Metrics]:
    """V, policy, Q, target; the target critics that V and policy see have not yet moved.

    With `value_first` policy and Q see V after its step, with `simultaneous` before it.

    Args:
      core: its `order` says which V policy and Q see.
      learner: before the update.
      batch: the data's transitions.
      key: unused: nothing is drawn.
      ctx: the traced hyperparameters and the horizon.
    """
    if core.static.clip_actions:
        batch = batch._replace(action=transforms.clip_actions(batch.action))
    q = core.critics.apply(learner.critics_target, batch.obs, batch.action).min(0)
    moved, of_value = value_step(core, learner, batch, q, ctx)
    seen = moved.value if core.static.order == "value_first" else learner.value
    weight = advantage_weight(q - core.value.apply(seen, batch.obs), ctx.hp.beta, ctx.hp.max_weight)
    actor, of_policy = cloning.step(
        core.static, core.policy, learner.actor, batch, weight, learner.updates, ctx
    )
    y = bootstrapped(batch, core.value.apply(seen, batch.next_obs))
    moved, of_critics = critic_step(core, moved, batch, y, ctx)
    moved = moved.replace(
        actor=actor,
        critics_target=mlp.polyak(learner.critics_target, moved.critics, ctx.hp.tau),
        updates=learner.updates + 1,
    )
    clipped = weight >= 0.999 * ctx.hp.max_weight
    report: Metrics = {
        "policy/weight": metrics.mean(weight),
        "policy/clipped_weight": metrics.mean(clipped.astype(jnp.float32)),
    }
    return moved, {**of_value, **of_policy, **of_critics, **report}


def value_step(
    core: Core, learner: Learner, batch: Minibatch, q: Float[Array, " b"], ctx: Context
) -> tuple[Learner, Metrics]:
    """V(s) toward the expectile of min Q'(s, a) (eq. 5); `q` is constant.

    Args:
      core: with V's network.
      learner: its V moves.
      batch: of its observations.
      q: min Q'(s, a) of the target critics.
      ctx: expectile, value_learning_rate and adam_epsilon are read.
    """

    def objective(value: PyTree) -> tuple[Float[Array, ""], Array]:
        v = core.value.apply(value, batch.obs)
        chex.assert_equal_shape([q, v])
        return expectile_loss(q - v, ctx.hp.expectile), v

    (loss, v), grads = jax.value_and_grad(objective, has_aux=True)(learner.value)
    changes, opt = adam(ctx, ctx.hp.value_learning_rate).update(grads, learner.value_opt)
    value = optax.apply_updates(learner.value, changes)
    report: Metrics = {"loss/value": metrics.mean(loss), "value/v": metrics.mean(v)}
    return learner.replace(value=value, value_opt=opt), report


def critic_step(
    core: Core, learner: Learner, batch: Minibatch, y: Float[Array, " b"], ctx: Context
) -> tuple[Learner, Metrics]:
    """Q_i(s, a) toward y = r + discount V(s') (eq. 6), squares summed over critics; y constant.

    Args:
      core: with the critics' network.
      learner: its critics move; their target does not.
      batch: Q is of its actions.
      y: what Q regresses on; stop-gradiented.
      ctx: critic_learning_rate and adam_epsilon are read.
    """

    def objective(critics: PyTree) -> tuple[Float[Array, ""], Array]:
        q = core.critics.apply(critics, batch.obs, batch.action)
        return critic_loss(q, y), q

    (loss, q), grads = jax.value_and_grad(objective, has_aux=True)(learner.critics)
    changes, opt = adam(ctx, ctx.hp.critic_learning_rate).update(grads, learner.critic_opt)
    critics = optax.apply_updates(learner.critics, changes)
    report: Metrics = {"loss/critic": metrics.mean(loss), "value/q": metrics.mean(q)}
    return learner.replace(critics=critics, critic_opt=opt), report
