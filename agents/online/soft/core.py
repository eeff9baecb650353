"""Soft actor-critic: what SAC and MDPO off-policy share.

An agent on this core says by a `Regularizer` what its policy pays for being what it is. SAC's pays
alpha ln pi(a|s), its distance from the uniform policy; MDPO's also pays for leaving an older self;
CQL's critics pay for valuing actions that are not in the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from rlsuite import metrics, mlp, optim
from rlsuite.agents.online.off_policy.state import Batch, due
from rlsuite.agents.online.soft import losses
from rlsuite.agents.online.soft.kinds import Kind, Soft
from rlsuite.metrics import Metrics
from rlsuite.types import Context, Mode


class Policy(struct.PyTreeNode):
    """The actor and its temperature, with their optimisers: what an actor step changes."""

    actor: PyTree
    actor_opt: PyTree
    log_alpha: Float[Array, ""]
    alpha_opt: PyTree


class Learner(struct.PyTreeNode):
    """`values` are (critics, V or nothing) and `target` a slow copy of what bootstraps."""

    policy: Policy
    values: tuple[PyTree, PyTree]
    target: PyTree
    values_opt: PyTree
    rule: PyTree
    updates: Int[Array, ""]


def entropy_charge(soft: Soft, alpha: Float[Array, ""], ctx: Context) -> Float[Array, " b"]:
    """alpha ln pi(a|s): what a soft value is charged."""
    return alpha * soft.log_prob


def no_penalty(
    state: PyTree,
    critics: PyTree,
    q: Float[Array, "n b"],
    actor: PyTree,
    batch: Batch,
    key: PRNGKeyArray,
    ctx: Context,
) -> tuple[Any, PyTree]:
    """Critics that only regress."""
    return 0.0, ()


def nothing_learned(state: PyTree, seen: PyTree, ctx: Context) -> tuple[PyTree, Metrics]:
    """A regularizer that learns nothing from its penalty."""
    return state, {}


@dataclass(frozen=True)
class Regularizer:
    """What the policy pays, and what the critics pay beside their regression; the default is SAC's.

    Attributes:
      init: actor -> state of its own.
      policy: (state, soft, obs, alpha, ctx) -> [b], in the actor's loss beside -Q.
      value: (soft, alpha, ctx) -> [b], subtracted from the value that bootstraps.
      refresh: (state, actor, updates) -> state, after every gradient step.
      penalty: (state, critics, q[n, b] of the data's actions, actor, batch, key, ctx) ->
        (scalar, seen), added to the critics' loss; differentiated in the critics.
      learn: (state, seen, ctx) -> (state, metrics), what it makes of its penalty, after that step.
      backup: (kind, actor, critics, obs, key) -> `Soft`, what a target bootstraps from.
    """

    init: Callable[[PyTree], PyTree] = lambda actor: ()
    policy: Callable[..., Float[Array, " b"]] = lambda state, soft, obs, alpha, ctx: entropy_charge(
        soft, alpha, ctx
    )
    value: Callable[..., Float[Array, " b"]] = entropy_charge
    refresh: Callable[..., PyTree] = lambda state, actor, updates: state
    penalty: Callable[..., tuple[Any, PyTree]] = no_penalty
    learn: Callable[..., tuple[PyTree, Metrics]] = nothing_learned
    backup: Callable[..., Soft] = lambda kind, *at: kind.expect(*at)


class Core(NamedTuple):
    """The static pieces. `target_entropy` reads it off the context; None: alpha stays."""

    static: Any
    kind: Kind
    regularizer: Regularizer
    target_entropy: Callable[[Context], Any] | None


def init(core: Core, key: PRNGKeyArray, ctx: Context) -> Learner:
    """The target starts as a copy; a learned alpha at `alpha`."""
    actor_key, critic_key, value_key = jax.random.split(key, 3)
    actor, critics = core.kind.actor.init(actor_key), core.kind.critics.init(critic_key)
    value = core.kind.value.init(value_key) if core.static.value == "v" else ()
    learned = core.target_entropy is not None
    log_alpha = jnp.log(ctx.hp.alpha) if learned else jnp.float32(0)
    policy = Policy(
        actor,
        adam(ctx, ctx.hp.learning_rate).init(actor),
        jnp.asarray(log_alpha, jnp.float32),
        adam(ctx, 0.0).init(log_alpha) if learned else (),
    )
    return Learner(
        policy=policy,
        values=(critics, value),
        target=jax.tree.map(jnp.copy, critics if core.static.value == "q" else value),
        values_opt=adam(ctx, ctx.hp.critic_learning_rate).init((critics, value)),
        rule=core.regularizer.init(actor),
        updates=jnp.int32(0),
    )


def adam(ctx: Context, rate: Any) -> optax.GradientTransformation:
    """No gradient is clipped."""
    return optim.adam(rate, eps=ctx.hp.adam_epsilon)


def warm(core: Core, learner: Learner, actor: PyTree) -> Learner:
    """A learner that acts with this actor."""
    policy = learner.policy.replace(actor=actor)
    return learner.replace(policy=policy, rule=core.regularizer.init(actor))


def act(core: Core, actor: PyTree, obs: Array, key: PRNGKeyArray, mode: Mode) -> Array:
    """tanh of the mean, or the likeliest index, when greedy; else a draw."""
    dist = core.kind.actor.apply(actor, obs)
    action = dist.mode() if mode == "greedy" else dist.sample(key)
    return dist.to_env(action)


def temperature(core: Core, policy: Policy, ctx: Context) -> Float[Array, ""]:
    """alpha."""
    if core.target_entropy is None:
        return ctx.hp.alpha
    return jax.lax.stop_gradient(jnp.exp(policy.log_alpha))


def update(
    core: Core, learner: Learner, batch: Batch, key: PRNGKeyArray, ctx: Context
) -> tuple[Learner, Metrics]:
    """A critic step, every `actor_period`-th time an actor phase, then the target's Polyak step."""
    # Of a partitionable generator the first keys of a split do not depend on how many there are.
    value_key, actor_key, penalty_key = jax.random.split(key, 3)
    learner = learner.replace(updates=learner.updates + 1)
    values = partial(value_step, core, batch=batch, key=value_key, penalty_key=penalty_key, ctx=ctx)
    policy = partial(actor_phase, core, batch=batch, key=actor_key, ctx=ctx)
    if core.static.order == "critic_first":
        learner, of_values = values(learner)
        learner, of_policy = policy(learner)
    elif core.static.order == "actor_first":
        learner, of_policy = policy(learner)
        learner, of_values = values(learner)
    else:
        moved, of_policy = policy(learner)
        learner, of_values = values(learner)
        learner = learner.replace(policy=moved.policy)
    learner = learner.replace(
        target=follow(core, learner, ctx),
        rule=core.regularizer.refresh(learner.rule, learner.policy.actor, learner.updates),
    )
    return learner, {**of_values, **of_policy}


def value_step(
    core: Core,
    learner: Learner,
    *,
    batch: Batch,
    key: PRNGKeyArray,
    penalty_key: PRNGKeyArray,
    ctx: Context,
) -> tuple[Learner, Metrics]:
    """Q_i(s, a) toward r + discount V(s'), and down the regularizer's penalty; with a value
    network, V(s) toward min Q - charge too."""
    y, v_target = targets(core, learner, batch, key, ctx)

    def objective(values: tuple[PyTree, PyTree]) -> tuple[Float[Array, ""], tuple[Array, PyTree]]:
        q = core.kind.taken(values[0], batch.obs, batch.action)
        loss = losses.critic_loss(q, y)
        if v_target is not None:
            v = core.kind.value.apply(values[1], batch.obs)
            loss = loss + losses.critic_loss(v[None], v_target)
        penalty, seen = core.regularizer.penalty(
            learner.rule, values[0], q, learner.policy.actor, batch, penalty_key, ctx
        )
        return loss + penalty, (q, seen)

    (loss, (q, seen)), grads = jax.value_and_grad(objective, has_aux=True)(learner.values)
    updates, opt = adam(ctx, ctx.hp.critic_learning_rate).update(grads, learner.values_opt)
    rule, of_penalty = core.regularizer.learn(learner.rule, seen, ctx)
    values = optax.apply_updates(learner.values, updates)
    learner = learner.replace(values=values, values_opt=opt, rule=rule)
    report: Metrics = {"loss/critic": metrics.mean(loss), "value/q": metrics.mean(q)}
    return learner, {**report, **of_penalty}


def targets(
    core: Core, learner: Learner, batch: Batch, key: PRNGKeyArray, ctx: Context
) -> tuple[Float[Array, " b"], Float[Array, " b"] | None]:
    """(r + discount V(s'), what a value network regresses on, if there is one).

    V(s') is min Q'(s', a') less what the policy pays there (Haarnoja et al., 2018, 1812.05905,
    eq. 5-6), or the value network's target (1801.01290, eq. 8); V(s) then regresses on
    min Q(s, a) less what the policy pays (eq. 5), a ~ pi.
    """
    if core.static.value == "q":
        next_value = soft_value(core, learner, learner.target, batch.next_obs, key, ctx)
        v_target = None
    else:
        next_value = core.kind.value.apply(learner.target, batch.next_obs)
        v_target = soft_value(core, learner, learner.values[0], batch.obs, key, ctx)
    chex.assert_equal_shape([batch.reward, batch.discount, next_value])
    return batch.reward + batch.discount * next_value, v_target


def soft_value(
    core: Core, learner: Learner, critics: PyTree, obs: Array, key: PRNGKeyArray, ctx: Context
) -> Float[Array, " b"]:
    """min Q(s, a) less what the policy pays, a ~ pi; constant."""
    soft = core.regularizer.backup(core.kind, learner.policy.actor, critics, obs, key)
    alpha = temperature(core, learner.policy, ctx)
    return losses.soft_value(soft.q, core.regularizer.value(soft, alpha, ctx))


def actor_phase(
    core: Core, learner: Learner, *, batch: Batch, key: PRNGKeyArray, ctx: Context
) -> tuple[Learner, Metrics]:
    """`actor_updates` steps on the same observations, if it is their turn."""
    static = core.static
    step = partial(actor_step, core, learner, batch.obs, ctx)

    def run(policy: Policy) -> tuple[Policy, Metrics]:
        policy, reports = jax.lax.scan(step, policy, jax.random.split(key, static.actor_updates))
        return policy, metrics.reduce(reports)

    if static.actor_period == 1:
        policy, report = run(learner.policy)
    else:
        shape = jax.eval_shape(run, learner.policy)[1]
        turn = due(batch, learner.updates, static.actor_period, static.updates)
        policy, report = jax.lax.cond(
            turn, run, lambda policy: (policy, metrics.empty(shape)), learner.policy
        )
    return learner.replace(policy=policy), report


def actor_step(
    core: Core, learner: Learner, obs: Array, ctx: Context, policy: Policy, key: PRNGKeyArray
) -> tuple[Policy, Metrics]:
    """Down charge - Q at fresh actions; alpha follows the entropy of the same actions."""
    critics = learner.values[0][:1] if core.static.actor_critic == "q1" else learner.values[0]
    alpha = temperature(core, policy, ctx)

    def objective(actor: PyTree) -> tuple[Float[Array, ""], Array]:
        soft = core.kind.expect(actor, critics, obs, key)
        charge = core.regularizer.policy(learner.rule, soft, obs, alpha, ctx)
        return losses.actor_loss(soft.q, charge), soft.log_prob

    (loss, log_prob), grads = jax.value_and_grad(objective, has_aux=True)(policy.actor)
    updates, opt = adam(ctx, ctx.hp.learning_rate).update(grads, policy.actor_opt)
    actor = optax.apply_updates(policy.actor, updates)
    policy = policy.replace(actor=actor, actor_opt=opt)
    report: Metrics = {
        "loss/policy": metrics.mean(loss),
        "policy/entropy": metrics.mean(-log_prob),
        "policy/temperature": metrics.mean(alpha),
    }
    return temperature_step(core, policy, log_prob, ctx), report


def temperature_step(
    core: Core, policy: Policy, log_prob: Float[Array, " b"], ctx: Context
) -> Policy:
    """ln alpha up where the entropy is below its target; nothing with a fixed alpha."""
    if core.target_entropy is None:
        return policy
    grad = jax.grad(losses.temperature_loss)(
        policy.log_alpha, log_prob, core.target_entropy(ctx), core.static.temperature_loss
    )
    tx = adam(ctx, ctx.hp.temperature_learning_rate)
    step, opt = tx.update(grad, policy.alpha_opt)
    return policy.replace(log_alpha=optax.apply_updates(policy.log_alpha, step), alpha_opt=opt)


def follow(core: Core, learner: Learner, ctx: Context) -> PyTree:
    """The target's step by tau, every `target_period`-th time."""
    online = learner.values[0] if core.static.value == "q" else learner.values[1]
    if core.static.target_period == 1:
        return mlp.polyak(learner.target, online, ctx.hp.tau)
    return jax.lax.cond(
        learner.updates % core.static.target_period == 0,
        lambda target: mlp.polyak(target, online, ctx.hp.tau),
        lambda target: target,
        learner.target,
    )
