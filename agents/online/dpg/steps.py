"""The steps of deterministic policy gradients: target, critics, actor."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite import metrics, mlp
from rlsuite.agents.online.dpg.pull import Scene
from rlsuite.agents.online.dpg.state import Core, Learner, optimizers
from rlsuite.agents.online.off_policy.state import Batch
from rlsuite.agents.online.soft import losses
from rlsuite.types import Context

Keys = tuple[PRNGKeyArray, PRNGKeyArray]


def target(
    core: Core, learner: Learner, batch: Batch, keys: Keys, ctx: Context
) -> tuple[Float[Array, " b"], Float[Array, "b d"]]:
    """(y, a'): y = r + discount (min_i Q'_i(s', a') - term), Fujimoto et al., 2018, eq. 14.

    a' = clip(mu'(s') + clip(N(0, policy_noise), ±noise_clip), ±1); y is stop-gradiented. `keys`
    are the noise's and the term's.
    """
    noise_key, term_key = keys
    action = core.actor.apply(learner.actor_target, batch.next_obs)
    if core.smoothing:
        noise = ctx.hp.policy_noise * jax.random.normal(noise_key, action.shape)
        noise = jnp.clip(noise, -ctx.hp.noise_clip, ctx.hp.noise_clip)
        action = jnp.clip(action + noise, -1.0, 1.0)
    value = core.critics.apply(learner.critics_target, batch.next_obs, action).min(0)
    term = core.pull.critic_term(learner.pull, action, batch, term_key, ctx)
    chex.assert_equal_shape([batch.reward, batch.discount, value, term])
    value = value - term
    return jax.lax.stop_gradient(batch.reward + batch.discount * value), action


def critic_step(
    core: Core, learner: Learner, batch: Batch, keys: Keys, ctx: Context
) -> tuple[Learner, Float[Array, "b d"], Float[Array, "n b"], Float[Array, ""]]:
    """Down sum_i mean (Q_i(s, a) - y)^2.

    Returns:
      (learner, the target's action, Q before the step, the loss).
    """
    y, next_action = target(core, learner, batch, keys, ctx)

    def objective(critics: PyTree) -> tuple[Float[Array, ""], Array]:
        q = core.critics.apply(critics, batch.obs, batch.action)
        return losses.critic_loss(q, y), q

    (loss, q), grads = jax.value_and_grad(objective, has_aux=True)(learner.critics)
    _, tx = optimizers(ctx)
    updates, opt = tx.update(grads, learner.critic_opt)
    critics = optax.apply_updates(learner.critics, updates)
    return learner.replace(critics=critics, critic_opt=opt), next_action, q, loss


def scene(core: Core, learner: Learner, batch: Batch, next_action: Array) -> Scene:
    """What a pull sees of this learner."""

    def q1(obs: Array, action: Array) -> Float[Array, " b"]:
        # Q1 alone: a gradient through the first of a stack would pass through all of them.
        return core.critics.apply(learner.critics[:1], obs, action)[0]

    return Scene(
        batch,
        next_action,
        q1,
        partial(core.critics.apply, learner.critics),
        partial(core.critics.apply, learner.critics_target),
    )


class Moved(NamedTuple):
    """What an actor step changes of a learner; all of it, so that nothing else is copied."""

    actor: PyTree
    actor_opt: PyTree
    actor_target: PyTree
    critics_target: PyTree


def actor_step(
    core: Core, learner: Learner, x: Scene, key: PRNGKeyArray, ctx: Context
) -> tuple[Moved, metrics.Metrics]:
    """Down the pull's loss in the actor; then both targets follow by tau."""

    def objective(actor: PyTree) -> tuple[Float[Array, ""], metrics.Metrics]:
        action = core.actor.apply(actor, x.batch.obs)
        return core.pull.actor_loss(learner.pull, action, x, key, ctx)

    (loss, report), grads = jax.value_and_grad(objective, has_aux=True)(learner.actor)
    tx, _ = optimizers(ctx)
    updates, opt = tx.update(grads, learner.actor_opt)
    actor = optax.apply_updates(learner.actor, updates)
    follow = partial(mlp.polyak, tau=ctx.hp.tau)
    moved = Moved(
        actor,
        opt,
        follow(learner.actor_target, learner.actor if core.pull.lagged else actor),
        follow(learner.critics_target, learner.critics),
    )
    return moved, {"loss/policy": metrics.mean(loss), **report}


def actor_rests(learner: Learner, report: metrics.Metrics) -> tuple[Moved, metrics.Metrics]:
    """Nothing moves; of what `report` would hold, nothing is reported."""
    still = Moved(
        learner.actor, learner.actor_opt, learner.actor_target, learner.critics_target
    )  # fmt: skip
    return still, metrics.empty(report)
