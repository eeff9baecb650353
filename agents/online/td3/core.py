"""Deterministic actor, n critics: what DDPG, TD3 and the offline agents around TD3 share.

Offline agents differ in what the actor is pulled toward (the data's action, its nearest neighbour,
a generative model's draw) and in what the target is charged for leaving the data. That is a `Pull`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from rlsuite import metrics, mlp, optim
from rlsuite.agents.online.off_policy.state import Batch
from rlsuite.metrics import Metrics
from rlsuite.types import Context, Mode


class Learner(struct.PyTreeNode):
    """Networks, their targets and optimisers. `critics` is a tuple: critics[0] is Q1."""

    actor: PyTree
    actor_target: PyTree
    critics: PyTree
    critics_target: PyTree
    actor_opt: PyTree
    critic_opt: PyTree
    pull: PyTree
    noise: Float[Array, ""]
    updates: Int[Array, ""]


class Policy(NamedTuple):
    """The actor and the deviation of its exploration noise."""

    actor: PyTree
    noise: Float[Array, ""]


@dataclass(frozen=True)
class Pull:
    """What an actor is pulled toward, as a value. The default pulls nowhere.

    Attributes:
      init: (key, ctx) -> state of its own.
      update: (state, batch, key, ctx) -> state: its own gradient step, if it learns.
      actor_loss: (state, q[b], action[b, d], batch, key, ctx) -> loss; `q` is Q1(s, mu(s)) and
        both carry the gradient.
      critic_term: (state, next_action[b, d], batch, key, ctx) -> [b], subtracted from the target's
        next value.
    """

    init: Callable[[PRNGKeyArray, Context], PyTree] = lambda key, ctx: ()
    update: Callable[..., PyTree] = lambda state, batch, key, ctx: state
    actor_loss: Callable[..., Float[Array, ""]] = lambda state, q, action, batch, key, ctx: (
        -q.mean()
    )
    critic_term: Callable[..., Any] = lambda state, action, batch, key, ctx: 0.0


class Core(NamedTuple):
    """The static pieces. Without `smoothing` the target's action carries no noise."""

    actor: mlp.Net
    critics: mlp.Net
    policy_delay: int
    smoothing: bool
    pull: Pull


def init(core: Core, key: PRNGKeyArray, ctx: Context) -> Learner:
    """Targets start as copies."""
    actor_key, critic_key, pull_key = jax.random.split(key, 3)
    actor, critics = core.actor.init(actor_key), core.critics.init(critic_key)
    actor_tx, critic_tx = optimizers(ctx)
    return Learner(
        actor=actor,
        actor_target=jax.tree.map(jnp.copy, actor),
        critics=critics,
        critics_target=jax.tree.map(jnp.copy, critics),
        actor_opt=actor_tx.init(actor),
        critic_opt=critic_tx.init(critics),
        pull=core.pull.init(pull_key, ctx),
        noise=jnp.array(ctx.hp.exploration_noise, jnp.float32),
        updates=jnp.int32(0),
    )


def optimizers(ctx: Context) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """(the actor's, the critics')."""
    hp = ctx.hp
    return (
        optim.adam(hp.learning_rate, eps=hp.adam_epsilon),
        optim.adam(hp.critic_learning_rate, eps=hp.adam_epsilon),
    )


def policy(learner: Learner) -> Policy:
    """What `act` needs."""
    return Policy(learner.actor, learner.noise)


def warm(learner: Learner, params: Policy) -> Learner:
    """A learner whose actor and its target are these."""
    return learner.replace(actor=params.actor, actor_target=jax.tree.map(jnp.copy, params.actor))


def act(
    core: Core, params: Policy, obs: Array, key: PRNGKeyArray, mode: Mode
) -> Float[Array, "*b d"]:
    """mu(s), with clipped normal noise when exploring; 'sample' explores too."""
    action = core.actor.apply(params.actor, obs)
    if mode == "greedy":
        return action
    noise = params.noise * jax.random.normal(key, action.shape)
    return jnp.clip(action + noise, -1.0, 1.0)


def update(
    core: Core, learner: Learner, batch: Batch, key: PRNGKeyArray, ctx: Context
) -> tuple[Learner, Metrics]:
    """A critic step; after every `policy_delay`-th an actor step and the targets' Polyak step."""
    target_key, pull_key, actor_key = jax.random.split(key, 3)
    pull = core.pull.update(learner.pull, batch, pull_key, ctx)
    learner = learner.replace(pull=pull, updates=learner.updates + 1)
    learner, q, loss = critic_step(core, learner, batch, target_key, ctx)
    follow = partial(actor_step, core, batch=batch, key=actor_key, ctx=ctx)
    if core.policy_delay == 1:
        learner, actor_loss = follow(learner)
    else:
        due = learner.updates % core.policy_delay == 0
        learner, actor_loss = jax.lax.cond(
            due, follow, lambda learner: (learner, metrics.Mean(jnp.float32(0), jnp.float32(0))),
            learner,
        )  # fmt: skip
    return learner, {
        "loss/critic": metrics.mean(loss),
        "loss/policy": actor_loss,
        "value/q": metrics.mean(q),
    }


def target(
    core: Core, learner: Learner, batch: Batch, key: PRNGKeyArray, ctx: Context
) -> Float[Array, " b"]:
    """r + discount (min_i Q'_i(s', mu'(s') + noise) - term): Fujimoto et al., 2018, eq. 14.

    The noise is clip(N(0, policy_noise), ±noise_clip), the noisy action clipped to [-1, 1].
    """
    noise_key, term_key = jax.random.split(key)
    action = core.actor.apply(learner.actor_target, batch.next_obs)
    if core.smoothing:
        noise = ctx.hp.policy_noise * jax.random.normal(noise_key, action.shape)
        noise = jnp.clip(noise, -ctx.hp.noise_clip, ctx.hp.noise_clip)
        action = jnp.clip(action + noise, -1.0, 1.0)
    value = core.critics.apply(learner.critics_target, batch.next_obs, action).min(0)
    value = value - core.pull.critic_term(learner.pull, action, batch, term_key, ctx)
    return batch.reward + batch.discount * value


def critic_step(
    core: Core, learner: Learner, batch: Batch, key: PRNGKeyArray, ctx: Context
) -> tuple[Learner, Float[Array, "n b"], Float[Array, ""]]:
    """sum_i mean (Q_i(s, a) - y)^2, y constant."""
    y = jax.lax.stop_gradient(target(core, learner, batch, key, ctx))

    def objective(critics: PyTree) -> tuple[Float[Array, ""], Array]:
        q = core.critics.apply(critics, batch.obs, batch.action)
        return jnp.square(q - y).mean(-1).sum(), q

    (loss, q), grads = jax.value_and_grad(objective, has_aux=True)(learner.critics)
    _, tx = optimizers(ctx)
    updates, opt = tx.update(grads, learner.critic_opt)
    critics = optax.apply_updates(learner.critics, updates)
    return learner.replace(critics=critics, critic_opt=opt), q, loss


def actor_step(
    core: Core, learner: Learner, *, batch: Batch, key: PRNGKeyArray, ctx: Context
) -> tuple[Learner, metrics.Mean]:
    """Up Q1(s, mu(s)), toward the pull; then both targets follow by tau."""

    def objective(actor: PyTree) -> Float[Array, ""]:
        action = core.actor.apply(actor, batch.obs)
        q1 = core.critics.apply(learner.critics[:1], batch.obs, action)[0]
        return core.pull.actor_loss(learner.pull, q1, action, batch, key, ctx)

    loss, grads = jax.value_and_grad(objective)(learner.actor)
    tx, _ = optimizers(ctx)
    updates, opt = tx.update(grads, learner.actor_opt)
    actor = optax.apply_updates(learner.actor, updates)
    learner = learner.replace(
        actor=actor,
        actor_opt=opt,
        actor_target=mlp.polyak(learner.actor_target, actor, ctx.hp.tau),
        critics_target=mlp.polyak(learner.critics_target, learner.critics, ctx.hp.tau),
    )
    return learner, metrics.mean(loss)
