"""Soft actor-critic: what SAC, MDPO off-policy and CQL share.

An agent on this core says by a `Regularizer` what its policy pays for being what it is. SAC's pays
alpha ln pi(a|s), its distance from the uniform policy; MDPO's also pays for leaving an older self;
CQL's critics pay for valuing actions that are not in the data.

A loss asks for E[min Q(s, a)] and E[ln pi(a|s)] under pi. With continuous actions both are taken
at one reparameterised draw, with discrete ones they are sums: the two kinds of `Heads`. Nothing
else differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, cast, runtime_checkable

import chex
import jax
import jax.numpy as jnp
import optax
from flax import struct
from gymnasium import spaces
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from rlsuite.agents.cores.config import SoftCoreConfig, TemperatureConfig
from rlsuite.agents.cores.off_policy import (
    Algorithm,
    Minibatch,
    bootstrapped,
    critic_loss,
    due,
    shapes,
)
from rlsuite.contracts import metrics
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Context, Mode
from rlsuite.nn import mlp, networks
from rlsuite.nn.distributions import Categorical, TanhGaussian
from rlsuite.nn.mlp import Net
from rlsuite.ops import optim

Scalar = float | Float[Array, ""]


class Soft(NamedTuple):
    """A policy and critics at some observations.

    Attributes:
      q: min_i Q_i at the drawn action, or its mean over actions.
      log_prob: ln pi at the drawn action, or its mean over actions.
      dist: the policy.
      raw: the draw before tanh; empty with discrete actions.
    """

    q: Float[Array, " b"]
    log_prob: Float[Array, " b"]
    dist: TanhGaussian | Categorical
    raw: Array


@dataclass(frozen=True)
class Heads:
    """Actor, critics and expectations for one kind of actions.

    Attributes:
      actor: obs -> distribution.
      critics: tuple of Q(s, a), or of Q(s, ·).
      value: V(s).
      entropy: what a target entropy is a multiple of: -d, or ln n.
      expect: (actor, critics, obs, key) -> `Soft`; differentiable in the actor.
      taken: (critics, obs, action) -> Q_i of the actions taken [n, b].
    """

    actor: Net
    critics: Net
    value: Net
    entropy: float
    expect: Callable[[PyTree, PyTree, Array, PRNGKeyArray], Soft]
    taken: Callable[[PyTree, Array, Array], Float[Array, "n b"]]


class Policy(struct.PyTreeNode):
    """The actor and its temperature, with their optimisers: what an actor step changes."""

    actor: PyTree
    actor_opt: PyTree
    log_alpha: Scalar
    alpha_opt: PyTree


class Learner(struct.PyTreeNode):
    """`values` are (critics, V or nothing) and `target` a slow copy of what bootstraps."""

    policy: Policy
    values: tuple[PyTree, PyTree]
    target: PyTree
    values_opt: PyTree
    rule: PyTree
    updates: Int[Array, ""]


def entropy_charge(soft: Soft, alpha: Scalar, ctx: Context) -> Float[Array, " b"]:
    """alpha ln pi(a|s): what a soft value is charged.

    Args:
      soft: ln pi is read; carries the gradient in the actor's loss.
      alpha: the temperature.
      ctx: unused.
    """
    return alpha * soft.log_prob


def no_penalty(
    state: PyTree,
    critics: PyTree,
    q: Float[Array, "n b"],
    actor: PyTree,
    batch: Minibatch,
    key: PRNGKeyArray,
    ctx: Context,
) -> tuple[Scalar, PyTree]:
    """Critics that only regress.

    Args:
      state, critics, q, actor, batch, key, ctx: unused.
    """
    return 0.0, ()


def nothing_learned(state: PyTree, seen: PyTree, ctx: Context) -> tuple[PyTree, Metrics]:
    """A regularizer that learns nothing from its penalty.

    Args:
      state: handed back.
      seen, ctx: unused.
    """
    return state, {}


def policy_entropy(
    state: PyTree, soft: Soft, obs: Array, alpha: Scalar, ctx: Context
) -> Float[Array, " b"]:
    """What the policy pays without any other: its entropy's price.

    Args:
      soft, alpha, ctx: as in `entropy_charge`.
      state, obs: unused.
    """
    return entropy_charge(soft, alpha, ctx)


def expected(heads: Heads, actor: PyTree, critics: PyTree, obs: Array, key: PRNGKeyArray) -> Soft:
    """A target that bootstraps from the policy's own actions.

    Args:
      heads: with `expect`.
      actor: the policy's weights.
      critics: what values its actions.
      obs: where, [b, ...].
      key: of the draw, if there is one.
    """
    return heads.expect(actor, critics, obs, key)


def unchanged(state: PyTree, actor: PyTree, updates: Int[Array, ""]) -> PyTree:
    """A regularizer that stays what it is.

    Args:
      state: handed back.
      actor, updates: unused.
    """
    return state


@runtime_checkable
class PolicyCharge(Protocol):
    """In the actor's loss beside -Q."""

    def __call__(
        self, state: PyTree, soft: Soft, obs: Array, alpha: Scalar, ctx: Context, /
    ) -> Float[Array, " b"]:
        """[b]; the gradient goes through `soft`."""
        ...


@runtime_checkable
class Penalty(Protocol):
    """In the critics' loss beside their regression."""

    def __call__(
        self,
        state: PyTree,
        critics: PyTree,
        q: Float[Array, "n b"],
        actor: PyTree,
        batch: Minibatch,
        key: PRNGKeyArray,
        ctx: Context,
        /,
    ) -> tuple[Scalar, PyTree]:
        """(a scalar, what `learn` sees of it); differentiated in the critics."""
        ...


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
      backup: (heads, actor, critics, obs, key) -> `Soft`, what a target bootstraps from.
    """

    init: Callable[[PyTree], PyTree] = lambda actor: ()
    policy: PolicyCharge = policy_entropy
    value: Callable[[Soft, Scalar, Context], Float[Array, " b"]] = entropy_charge
    refresh: Callable[[PyTree, PyTree, Int[Array, ""]], PyTree] = unchanged
    penalty: Penalty = no_penalty
    learn: Callable[[PyTree, PyTree, Context], tuple[PyTree, Metrics]] = nothing_learned
    backup: Callable[[Heads, PyTree, PyTree, Array, PRNGKeyArray], Soft] = expected


class Core(NamedTuple):
    """The static pieces. `target_entropy` reads it off the context; None: alpha stays.
    `updates` are those of an iteration."""

    static: SoftCoreConfig
    heads: Heads
    regularizer: Regularizer
    target_entropy: Callable[[Context], Scalar] | None
    updates: int = 1


def algorithm(name: str, core: Core) -> Algorithm:
    """The core as a replay-based algorithm."""
    return Algorithm(
        name=name,
        init=partial(init, core),
        policy=lambda learner: learner.policy.actor,
        act=partial(act, core),
        update=partial(update, core),
        warm=partial(warm, core),
    )


def init(core: Core, key: PRNGKeyArray, ctx: Context) -> Learner:
    """The target starts as a copy; a learned alpha at `alpha`.

    Args:
      core: the static pieces.
      key: for actor, critics and V.
      ctx: Adam's numbers are read, and alpha where it is learned.
    """
    actor_key, critic_key, value_key = jax.random.split(key, 3)
    actor, critics = core.heads.actor.init(actor_key), core.heads.critics.init(critic_key)
    value = core.heads.value.init(value_key) if core.static.value == "v" else ()
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


def adam(ctx: Context, rate: Scalar) -> optax.GradientTransformation:
    """No gradient is clipped."""
    return optim.adam(rate, eps=ctx.hp.adam_epsilon)


def warm(core: Core, learner: Learner, actor: PyTree) -> Learner:
    """A learner that acts with this actor.

    Args:
      core: its regularizer starts anew from the actor.
      learner: the rest of it stays.
      actor: weights.
    """
    policy = learner.policy.replace(actor=actor)
    return learner.replace(policy=policy, rule=core.regularizer.init(actor))


def act(core: Core, actor: PyTree, obs: Array, key: PRNGKeyArray, mode: Mode) -> Array:
    """tanh of the mean, or the likeliest index, when greedy; else a draw.

    Args:
      core: with the actor's network.
      actor: its weights.
      obs: [*b, ...] as the network sees them.
      key: of the draw.
      mode: 'explore' is 'sample'.

    Returns:
      Actions [*b, d] in [-1, 1], or indices [*b].
    """
    dist = core.heads.actor.apply(actor, obs)
    action = dist.mode() if mode == "greedy" else dist.sample(key)
    return dist.to_env(action)


def temperature(core: Core, policy: Policy, ctx: Context) -> Float[Array, ""]:
    """alpha.

    Args:
      core: says whether alpha is learned.
      policy: ln alpha is read if it is.
      ctx: alpha is read if it is not.

    Returns:
      alpha; a learned one is stop-gradiented.
    """
    if core.target_entropy is None:
        return ctx.hp.alpha
    return jax.lax.stop_gradient(jnp.exp(policy.log_alpha))


def update(
    core: Core, learner: Learner, batch: Minibatch, key: PRNGKeyArray, ctx: Context
) -> tuple[Learner, Metrics]:
    """A critic step, every `actor_period`-th time an actor phase, then the target's Polyak step.

    Args:
      core: its `order` says which step is first.
      learner: before the update.
      batch: its `turn` may say what else moves, see `due`.
      key: for the target's, the actor's and the penalty's draws.
      ctx: what the core and the regularizer read.
    """
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
        target=follow(core, learner, batch, ctx),
        rule=core.regularizer.refresh(learner.rule, learner.policy.actor, learner.updates),
    )
    return learner, {**of_values, **of_policy}


def value_step(
    core: Core,
    learner: Learner,
    *,
    batch: Minibatch,
    key: PRNGKeyArray,
    penalty_key: PRNGKeyArray,
    ctx: Context,
) -> tuple[Learner, Metrics]:
    """Q_i(s, a) toward r + discount V(s'), and down the regularizer's penalty; with a value
    network, V(s) toward min Q - charge too.

    Args:
      core, batch, ctx: as in `update`.
      learner: critics and V move; its policy is constant.
      key: of the target's draw.
      penalty_key: of the penalty's.
    """
    y, v_target = targets(core, learner, batch, key, ctx)

    def objective(values: tuple[PyTree, PyTree]) -> tuple[Float[Array, ""], tuple[Array, PyTree]]:
        q = core.heads.taken(values[0], batch.obs, batch.action)
        loss = critic_loss(q, y)
        if v_target is not None:
            v = core.heads.value.apply(values[1], batch.obs)
            loss = loss + critic_loss(v[None], v_target)
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
    core: Core, learner: Learner, batch: Minibatch, key: PRNGKeyArray, ctx: Context
) -> tuple[Float[Array, " b"], Float[Array, " b"] | None]:
    """(r + discount V(s'), what a value network regresses on, if there is one).

    V(s') is min Q'(s', a') less what the policy pays there (Haarnoja et al., 2018, 1812.05905,
    eq. 5-6), or the value network's target (1801.01290, eq. 8); V(s) then regresses on
    min Q(s, a) less what the policy pays (eq. 5), a ~ pi.

    Args:
      core, ctx: as in `update`.
      learner: read only.
      batch: its discount, gamma^m (1 - terminated), multiplies V(s').
      key: of the draw.
    """
    if core.static.value == "q":
        next_value = soft_value(core, learner, learner.target, batch.next_obs, key, ctx)
        v_target = None
    else:
        next_value = core.heads.value.apply(learner.target, batch.next_obs)
        v_target = soft_value(core, learner, learner.values[0], batch.obs, key, ctx)
    return bootstrapped(batch, next_value), v_target


def soft_value(
    core: Core, learner: Learner, critics: PyTree, obs: Array, key: PRNGKeyArray, ctx: Context
) -> Float[Array, " b"]:
    """min Q(s, a) less what the policy pays, a ~ pi; constant.

    Args:
      core, ctx: as in `update`.
      learner: its policy and temperature are read.
      critics: what values the actions.
      obs: s, [b, ...].
      key: of the draw.
    """
    soft = core.regularizer.backup(core.heads, learner.policy.actor, critics, obs, key)
    alpha = temperature(core, learner.policy, ctx)
    return charged_value(soft.q, core.regularizer.value(soft, alpha, ctx))


def actor_phase(
    core: Core, learner: Learner, *, batch: Minibatch, key: PRNGKeyArray, ctx: Context
) -> tuple[Learner, Metrics]:
    """`actor_updates` steps on the same observations, if it is their turn.

    Args:
      core, ctx: as in `update`.
      learner: its policy moves; its critics are constant.
      batch: of its observations; its `turn` may say whether it is time.
      key: split over the steps.
    """
    static = core.static
    step = partial(actor_step, core, learner, batch.obs, ctx)

    def run(policy: Policy) -> tuple[Policy, Metrics]:
        policy, reports = jax.lax.scan(step, policy, jax.random.split(key, static.actor_updates))
        return policy, metrics.reduce(reports)

    if static.actor_period == 1:
        policy, report = run(learner.policy)
    else:
        shape = jax.eval_shape(run, learner.policy)[1]
        turn = due(batch, learner.updates, static.actor_period, core.updates)
        policy, report = jax.lax.cond(
            turn, run, lambda policy: (policy, metrics.empty(shape)), learner.policy
        )
    return learner.replace(policy=policy), report


def actor_step(
    core: Core, learner: Learner, obs: Array, ctx: Context, policy: Policy, key: PRNGKeyArray
) -> tuple[Policy, Metrics]:
    """Down charge - Q at fresh actions; alpha follows the entropy of the same actions.

    Args:
      core, ctx: as in `update`.
      learner: its critics and the regularizer's state are read, as constants; its policy is not.
      obs: s, [b, ...].
      policy: moves.
      key: of the draw.
    """
    critics = learner.values[0][:1] if core.static.actor_critic == "q1" else learner.values[0]
    alpha = temperature(core, policy, ctx)

    def objective(actor: PyTree) -> tuple[Float[Array, ""], Array]:
        soft = core.heads.expect(actor, critics, obs, key)
        charge = core.regularizer.policy(learner.rule, soft, obs, alpha, ctx)
        return actor_loss(soft.q, charge), soft.log_prob

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
    """ln alpha up where the entropy is below its target; nothing with a fixed alpha.

    Args:
      core: with the target entropy.
      policy: its temperature moves.
      log_prob: ln pi of the actor step's actions; stop-gradiented.
      ctx: temperature_learning_rate and adam_epsilon are read, and what the target entropy needs.
    """
    if core.target_entropy is None:
        return policy
    grad = jax.grad(temperature_loss)(
        policy.log_alpha,
        log_prob,
        core.target_entropy(ctx),
        cast(TemperatureConfig, core.static).temperature_loss,
    )
    tx = adam(ctx, ctx.hp.temperature_learning_rate)
    step, opt = tx.update(grad, policy.alpha_opt)
    return policy.replace(log_alpha=optax.apply_updates(policy.log_alpha, step), alpha_opt=opt)


def follow(core: Core, learner: Learner, batch: Minibatch, ctx: Context) -> PyTree:
    """The target's step by tau, every `target_period`-th time.

    Args:
      core: the static pieces.
      learner: after its other steps.
      batch: its `turn` may say whether it is time.
      ctx: tau is read.

    Returns:
      The target's weights.
    """
    online = learner.values[0] if core.static.value == "q" else learner.values[1]
    if core.static.target_period == 1:
        return mlp.polyak(learner.target, online, ctx.hp.tau)
    return jax.lax.cond(
        due(batch, learner.updates, core.static.target_period, core.updates),
        lambda target: mlp.polyak(target, online, ctx.hp.tau),
        lambda target: target,
        learner.target,
    )


def charged_value(q: Float[Array, " b"], charge: Float[Array, " b"]) -> Float[Array, " b"]:
    """V(s) = E[Q(s, a) - alpha ln pi(a|s)] (Haarnoja et al., 2018, eq. 3); constant.

    Args:
      q: min_i Q_i(s, a).
      charge: alpha ln pi(a|s), or what else the policy pays.
    """
    chex.assert_equal_shape([q, charge])
    return jax.lax.stop_gradient(q - charge)


def actor_loss(q: Float[Array, " b"], charge: Float[Array, " b"]) -> Float[Array, ""]:
    """mean(alpha ln pi(a|s) - Q(s, a)) (eq. 7); the gradient goes through a."""
    chex.assert_equal_shape([charge, q])
    return (charge - q).mean()


def temperature_loss(
    log_alpha: Scalar,
    log_prob: Float[Array, " b"],
    target_entropy: Scalar,
    multiplied: str,
) -> Float[Array, ""]:
    """mean(-alpha (ln pi(a|s) + H)) (eq. 18); ln pi constant. Entropy below H raises alpha.

    Args:
      log_alpha: carries the gradient.
      log_prob: ln pi at fresh actions.
      target_entropy: H.
      multiplied: 'alpha' as written, or 'log_alpha': ln alpha in its place (SB3).
    """
    weight = jnp.exp(log_alpha) if multiplied == "alpha" else log_alpha
    return -weight * jax.lax.stop_gradient(log_prob + target_entropy).mean()


def make_heads(
    static: SoftCoreConfig, observation_space: spaces.Box, action_space: spaces.Space
) -> Heads:
    """The kind that an environment's actions are of.

    Args:
      static: layers and how ln sigma is bounded.
      observation_space: for the shape.
      action_space: a Box, of which the size counts, or Discrete.
    """
    if isinstance(action_space, spaces.Discrete):
        return categorical(static, tuple(observation_space.shape), int(action_space.n))
    size = math.prod(action_space.shape or ())
    return gaussian(static, tuple(observation_space.shape), size)


def gaussian(static: SoftCoreConfig, obs_shape: tuple[int, ...], size: int) -> Heads:
    """Tanh-normal policy on [-1, 1]^d.

    Args:
      static: layers and how ln sigma is bounded.
      obs_shape: of one observation.
      size: d, entries of an action.
    """
    shape, critic_shape = shapes(static)
    bounds = (static.log_std_min, static.log_std_max)
    actor = torso(
        static, obs_shape, lambda s: mlp.gaussian_actor(shape, s, size, static.log_std, bounds)
    )
    one = torso(static, obs_shape, lambda s: mlp.critic(critic_shape, s, size))
    value = torso(static, obs_shape, lambda s: mlp.critic(critic_shape, s, 0))
    critics = mlp.ensemble(one, 2)
    return Heads(actor, critics, value, -float(size), partial(draw, actor, critics), critics.apply)


def draw(
    actor: Net, critics: Net, params: PyTree, q_params: PyTree, obs: Array, key: PRNGKeyArray
) -> Soft:
    """At one reparameterised action tanh(mu + sigma eps) for each observation.

    Args:
      actor, critics: networks.
      params, q_params: their weights; nothing is stop-gradiented.
      obs: [b, ...].
      key: of eps.
    """
    dist = cast(TanhGaussian, actor.apply(params, obs))
    raw = dist.sample(key)
    q = critics.apply(q_params, obs, jnp.tanh(raw)).min(0)
    return Soft(q, dist.log_prob(raw), dist, raw)


def categorical(static: SoftCoreConfig, obs_shape: tuple[int, ...], n: int) -> Heads:
    """Softmax policy over n actions (Christodoulou, 2019).

    Args:
      static: layers.
      obs_shape: of one observation.
      n: how many actions there are.
    """
    shape, critic_shape = shapes(static)
    logits = torso(static, obs_shape, lambda s: mlp.critic(shape, s, 0, n))
    actor = Net(logits.init, lambda params, obs: Categorical(logits.apply(params, obs)))
    value = torso(static, obs_shape, lambda s: mlp.critic(critic_shape, s, 0))
    critics = mlp.ensemble(torso(static, obs_shape, lambda s: mlp.critic(critic_shape, s, 0, n)), 2)

    def taken(q_params: PyTree, obs: Array, action: Array) -> Float[Array, "n b"]:
        return (critics.apply(q_params, obs) * jax.nn.one_hot(action, n)).sum(-1)

    return Heads(actor, critics, value, math.log(n), partial(average, actor, critics), taken)


def average(
    actor: Net, critics: Net, params: PyTree, q_params: PyTree, obs: Array, key: PRNGKeyArray
) -> Soft:
    """Sums over all actions; nothing is drawn.

    Args:
      actor, critics: networks.
      params, q_params: their weights; nothing is stop-gradiented.
      obs: [b, ...].
      key: unused.
    """
    dist = cast(Categorical, actor.apply(params, obs))
    log_p = jax.nn.log_softmax(dist.logits)
    p, q = jnp.exp(log_p), critics.apply(q_params, obs).min(0)
    return Soft((p * q).sum(-1), (p * log_p).sum(-1), dist, jnp.zeros(0))


def torso(
    static: SoftCoreConfig, obs_shape: tuple[int, ...], build: Callable[[tuple[int, ...]], Net]
) -> Net:
    """The net that `build` makes for observations of a shape; with 'cnn', on convolved ones.

    Args:
      static: its `network` ('mlp' where it has none) and `init` are read.
      obs_shape: of one observation; (height, width, channels) with 'cnn'.
      build: (shape of what the layers are shown) -> net.
    """
    if getattr(static, "network", "mlp") == "mlp":
        return build(obs_shape)
    conv = networks.Conv(static.init)
    height, width, _ = obs_shape
    head = build(((height - 2) * (width - 2) * 16,))

    def init(key: PRNGKeyArray) -> PyTree:
        conv_key, head_key = jax.random.split(key)
        return conv.init(conv_key, jnp.zeros(obs_shape)), head.init(head_key)

    def apply(params: PyTree, obs: Array, *rest: Array) -> PyTree:
        seen = conv.apply(params[0], networks.as_floats(obs, 3))
        return head.apply(params[1], seen, *rest)

    return Net(init, apply)
