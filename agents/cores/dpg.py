"""Deterministic policy gradients: what DDPG, TD3 and the offline agents around TD3 share.

An actor, n critics and their slow copies, and a slot for what else the actor is told: a
`Behaviour`. Offline agents differ in what keeps their actor near the data's behaviour, and in what
the target pays for leaving it:

  TD3+BC  `actor_loss`: `normalized(q1, alpha) + mean (action - batch.action)^2`.
  ReBRAC  `actor_loss`: the least of `x.q(...)` in place of Q1, squares summed over the action;
          `critic_term`: beta_2 |next_action - next data action|^2; `lagged`.
  PRDC    `actor_loss`: as TD3+BC with the action of the nearest neighbour in `ctx.data`, looked up
          at stop_gradient(action).
  A2PR    `init`, `update`: V and VAE with optimisers of their own, trained on the critics just
          updated, on their targets, and on the very `next_action` of the critics' target; V(s) of
          before its step stays in the state for `actor_loss`, which evaluates Q1 where it likes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import chex
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from rlsuite.agents.cores import off_policy
from rlsuite.agents.cores.config import ConstrainedConfig, OfflineConfig, OffPolicyConfig
from rlsuite.agents.cores.off_policy import Algorithm, Minibatch, due
from rlsuite.contracts import box, metrics
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Context, Environment, Mode
from rlsuite.nn import mlp
from rlsuite.ops import optim

Keys = tuple[PRNGKeyArray, PRNGKeyArray]
Report = tuple[Float[Array, ""], Metrics]
Shapes = tuple[mlp.Shape, mlp.Shape]


class Scene(NamedTuple):
    """What a behaviour constraint may look at in one update, after the critics' step.

    Attributes:
      batch: the minibatch; `batch.recorded` is what a dataset says beside the transitions.
      next_action: [b, d], the (noisy) action the critics' target was made with.
      q1: (obs, action) -> Q1[b] of the updated critics; their parameters are constant.
      q: the same of all of them, [n, b].
      q_target: the same of the target critics.
    """

    batch: Minibatch
    next_action: Float[Array, "b d"]
    q1: Callable[[Array, Array], Float[Array, " b"]]
    q: Callable[[Array, Array], Float[Array, "n b"]]
    q_target: Callable[[Array, Array], Float[Array, "n b"]]


@runtime_checkable
class UpdateSlot(Protocol):
    """A behaviour constraint's own step."""

    def __call__(
        self, state: PyTree, x: Scene, key: PRNGKeyArray, ctx: Context, /
    ) -> tuple[PyTree, Metrics]:
        """(its state, what the step says of itself)."""
        ...


@runtime_checkable
class ActorLoss(Protocol):
    """What the actor brings down."""

    def __call__(
        self,
        state: PyTree,
        action: Float[Array, "b d"],
        x: Scene,
        key: PRNGKeyArray,
        ctx: Context,
        /,
    ) -> Report:
        """(loss, metrics); `action` is mu(s) and carries the gradient."""
        ...


@runtime_checkable
class CriticTerm(Protocol):
    """What the target pays for leaving the data."""

    def __call__(
        self,
        state: PyTree,
        next_action: Float[Array, "b d"],
        batch: Minibatch,
        key: PRNGKeyArray,
        ctx: Context,
        /,
    ) -> Float[Array, " b"]:
        """[b], subtracted from the next value."""
        ...


def no_state(key: PRNGKeyArray, ctx: Context) -> PyTree:
    """Nothing to remember."""
    return ()


def no_step(state: PyTree, x: Scene, key: PRNGKeyArray, ctx: Context) -> tuple[PyTree, Metrics]:
    """Nothing to learn.

    Args:
      state: handed back.
      x, key, ctx: unused.
    """
    return state, {}


def ascend_q1(
    state: PyTree, action: Float[Array, "b d"], x: Scene, key: PRNGKeyArray, ctx: Context
) -> Report:
    """-mean Q1(s, mu(s)): Fujimoto et al., 2018, algorithm 1. Gradients reach `action`.

    Args:
      state, key, ctx: unused.
      action: mu(s).
      x: with the observations and Q1, whose parameters are constant.
    """
    return -x.q1(x.batch.obs, action).mean(), {}


def no_term(
    state: PyTree,
    next_action: Float[Array, "b d"],
    batch: Minibatch,
    key: PRNGKeyArray,
    ctx: Context,
) -> Float[Array, " b"]:
    """A target that pays nothing.

    Args:
      state, next_action, key, ctx: unused.
      batch: for the shape.
    """
    return jnp.zeros_like(batch.reward)


@dataclass(frozen=True)
class Behaviour:
    """A behaviour constraint: a state of its own and three functions; the default constrains
    nothing, which is TD3.

    Attributes:
      init: (key, ctx) -> state.
      update: (state, scene, key, ctx) -> (state, metrics): its own step, after the critics' and
        before the actor's, in every update.
      actor_loss: (state, action[b, d], scene, key, ctx) -> (scalar, metrics), minimised in the
        actor.
      critic_term: (state, next_action[b, d], batch, key, ctx) -> [b], subtracted from the next
        value that the critics' target bootstraps from.
      lagged: whether the target actor follows the actor of before its step, as in ReBRAC's code;
        the critics' targets always follow the critics of after theirs.
    """

    init: Callable[[PRNGKeyArray, Context], PyTree] = no_state
    update: UpdateSlot = no_step
    actor_loss: ActorLoss = ascend_q1
    critic_term: CriticTerm = no_term
    lagged: bool = False


class Core(NamedTuple):
    """The static pieces. Without `smoothing` the target's action carries no noise; `updates` are
    those of an iteration.

    `ctx.hp` must have learning_rate, critic_learning_rate, adam_epsilon, tau, exploration_noise
    and, with smoothing, policy_noise and noise_clip.
    """

    actor: mlp.Net
    critics: mlp.Net
    policy_delay: int
    smoothing: bool
    behaviour: Behaviour
    updates: int = 1


class Learner(struct.PyTreeNode):
    """Networks, their targets and optimisers. `critics` is a tuple: critics[0] is Q1. `pull` is the
    behaviour constraint's state; checkpoints know it by this name."""

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


def core(
    env: Environment,
    static: OffPolicyConfig | OfflineConfig,
    *,
    critics: int,
    policy_delay: int,
    smoothing: bool,
    behaviour: Behaviour | None = None,
    shapes: Shapes | None = None,
) -> Core:
    """The core for an environment's spaces.

    Args:
      env: its observations and actions; nothing is stepped.
      static: of the configuration.
      critics: how many; the target takes the least.
      policy_delay: critic steps per actor and target step.
      smoothing: whether target actions carry noise.
      behaviour: what keeps the actor near the data; None: nothing.
      shapes: layers of (actor, critic); None: as the configuration says.
    """
    actor, critic = shapes or off_policy.shapes(static)
    obs, size = tuple(env.observation_space.shape), box.size(env.action_space)
    return Core(
        mlp.deterministic_actor(actor, obs, size),
        mlp.ensemble(mlp.critic(critic, obs, size), critics),
        policy_delay,
        smoothing,
        behaviour or Behaviour(),
        static.updates,
    )


def algorithm(name: str, core: Core) -> Algorithm[Learner]:
    """The core as an algorithm."""
    return Algorithm(
        name=name,
        init=partial(init, core),
        policy=policy,
        act=partial(act, core),
        update=partial(update, core),
        warm=warm,
    )


def constrained(
    name: str,
    env: Environment,
    static: ConstrainedConfig,
    behaviour: Behaviour,
    shapes: Shapes | None = None,
) -> Algorithm[Learner]:
    """TD3 whose actor is kept near the data's behaviour.

    Args:
      name: the registry's.
      env: with a Box of actions.
      static: of the configuration.
      behaviour: what constrains the actor; it sees `Minibatch.recorded`.
      shapes: layers of (actor, critic); None: as the configuration says.
    """
    delay = static.policy_delay
    pieces = core(
        env,
        static,
        critics=2,
        policy_delay=delay,
        smoothing=True,
        behaviour=behaviour,
        shapes=shapes,
    )
    return algorithm(name, pieces)


def optimizers(ctx: Context) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """(the actor's, the critics')."""
    hp = ctx.hp
    return (
        optim.adam(hp.learning_rate, eps=hp.adam_epsilon),
        optim.adam(hp.critic_learning_rate, eps=hp.adam_epsilon),
    )


def init(core: Core, key: PRNGKeyArray, ctx: Context) -> Learner:
    """Targets start as copies.

    Args:
      core: the static pieces.
      key: for the actor, the critics and the constraint.
      ctx: exploration_noise and Adam's numbers are read, and what the constraint needs.
    """
    actor_key, critic_key, behaviour_key = jax.random.split(key, 3)
    actor, critics = core.actor.init(actor_key), core.critics.init(critic_key)
    actor_tx, critic_tx = optimizers(ctx)
    return Learner(
        actor=actor,
        actor_target=jax.tree.map(jnp.copy, actor),
        critics=critics,
        critics_target=jax.tree.map(jnp.copy, critics),
        actor_opt=actor_tx.init(actor),
        critic_opt=critic_tx.init(critics),
        pull=core.behaviour.init(behaviour_key, ctx),
        noise=jnp.array(ctx.hp.exploration_noise, jnp.float32),
        updates=jnp.int32(0),
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
    """mu(s), with clipped normal noise when exploring; 'sample' explores too.

    Args:
      core: with the actor's network.
      params: the actor, and the deviation of the noise in half ranges of an action.
      obs: [*b, ...] as the network sees them.
      key: of the noise.
      mode: 'greedy' is without noise.
    """
    action = core.actor.apply(params.actor, obs)
    if mode == "greedy":
        return action
    noise = params.noise * jax.random.normal(key, action.shape)
    return jnp.clip(action + noise, -1.0, 1.0)


def update(
    core: Core, learner: Learner, batch: Minibatch, key: PRNGKeyArray, ctx: Context
) -> tuple[Learner, Metrics]:
    """A critic step and the constraint's own; every `policy_delay`-th an actor step and the
    targets'.

    Args:
      core: the static pieces.
      learner: before the update.
      batch: its `turn` may say whether the actor moves, see `due`.
      key: for the noise, the term, the constraint's step and the actor's loss.
      ctx: as in `Core`, and what the constraint reads.
    """
    noise_key, term_key, behaviour_key, actor_key = jax.random.split(key, 4)
    learner, next_action, q, loss = critic_step(core, learner, batch, (noise_key, term_key), ctx)
    x = scene(core, learner, batch, next_action)
    pull, of_behaviour = core.behaviour.update(learner.pull, x, behaviour_key, ctx)
    learner = learner.replace(pull=pull, updates=learner.updates + 1)
    move = partial(actor_step, core, learner, x, actor_key, ctx)
    if core.policy_delay == 1:
        moved, of_actor = move()
    else:
        turn = due(batch, learner.updates, core.policy_delay, core.updates)
        rest = partial(actor_rests, learner, jax.eval_shape(move)[1])
        moved, of_actor = jax.lax.cond(turn, move, rest)
    return learner.replace(**moved._asdict()), {
        "loss/critic": metrics.mean(loss),
        "value/q": metrics.mean(q),
        **of_behaviour,
        **of_actor,
    }


def target(
    core: Core, learner: Learner, batch: Minibatch, keys: Keys, ctx: Context
) -> tuple[Float[Array, " b"], Float[Array, "b d"]]:
    """(y, a'): y = r + discount (min_i Q'_i(s', a') - term), Fujimoto et al., 2018, eq. 14.

    a' = clip(mu'(s') + clip(N(0, policy_noise), ±noise_clip), ±1); y is stop-gradiented.

    Args:
      core: smoothing says whether the noise is added.
      learner: the target networks and the constraint's state are read.
      batch: of next observations, rewards and discounts.
      keys: of the noise and of the term.
      ctx: policy_noise and noise_clip, in half ranges of an action.
    """
    noise_key, term_key = keys
    action = core.actor.apply(learner.actor_target, batch.next_obs)
    if core.smoothing:
        noise = ctx.hp.policy_noise * jax.random.normal(noise_key, action.shape)
        noise = jnp.clip(noise, -ctx.hp.noise_clip, ctx.hp.noise_clip)
        action = jnp.clip(action + noise, -1.0, 1.0)
    value = core.critics.apply(learner.critics_target, batch.next_obs, action).min(0)
    term = core.behaviour.critic_term(learner.pull, action, batch, term_key, ctx)
    chex.assert_equal_shape([value, term])
    return jax.lax.stop_gradient(off_policy.bootstrapped(batch, value - term)), action


def critic_step(
    core: Core, learner: Learner, batch: Minibatch, keys: Keys, ctx: Context
) -> tuple[Learner, Float[Array, "b d"], Float[Array, "n b"], Float[Array, ""]]:
    """Down sum_i mean (Q_i(s, a) - y)^2.

    Args:
      core, keys, ctx: as in `target`.
      learner: its critics move.
      batch: Q is of its actions.

    Returns:
      (learner, the target's action, Q before the step, the loss).
    """
    y, next_action = target(core, learner, batch, keys, ctx)

    def objective(critics: PyTree) -> tuple[Float[Array, ""], Array]:
        q = core.critics.apply(critics, batch.obs, batch.action)
        return off_policy.critic_loss(q, y), q

    (loss, q), grads = jax.value_and_grad(objective, has_aux=True)(learner.critics)
    _, tx = optimizers(ctx)
    updates, opt = tx.update(grads, learner.critic_opt)
    critics = optax.apply_updates(learner.critics, updates)
    return learner.replace(critics=critics, critic_opt=opt), next_action, q, loss


def scene(core: Core, learner: Learner, batch: Minibatch, next_action: Array) -> Scene:
    """What a behaviour constraint sees of this learner.

    Args:
      core: with the critics' network.
      learner: after the critics' step.
      batch: the minibatch.
      next_action: [b, d], what the critics' target was made with.
    """

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
) -> tuple[Moved, Metrics]:
    """Down the constraint's loss in the actor; then both targets follow by tau.

    Args:
      core: the static pieces.
      learner: after the critics' step and the constraint's.
      x: what the loss sees; the critics' parameters in it are constant.
      key: of the loss.
      ctx: learning_rate, adam_epsilon and tau are read, and what the loss needs.
    """

    def objective(actor: PyTree) -> Report:
        action = core.actor.apply(actor, x.batch.obs)
        return core.behaviour.actor_loss(learner.pull, action, x, key, ctx)

    (loss, report), grads = jax.value_and_grad(objective, has_aux=True)(learner.actor)
    tx, _ = optimizers(ctx)
    updates, opt = tx.update(grads, learner.actor_opt)
    actor = optax.apply_updates(learner.actor, updates)
    follow = partial(mlp.polyak, tau=ctx.hp.tau)
    moved = Moved(
        actor,
        opt,
        follow(learner.actor_target, learner.actor if core.behaviour.lagged else actor),
        follow(learner.critics_target, learner.critics),
    )
    return moved, {"loss/policy": metrics.mean(loss), **report}


def actor_rests(learner: Learner, report: Metrics) -> tuple[Moved, Metrics]:
    """Nothing moves; of what `report` would hold, nothing is reported."""
    still = Moved(
        learner.actor, learner.actor_opt, learner.actor_target, learner.critics_target
    )  # fmt: skip
    return still, metrics.empty(report)


def normalized(q: Float[Array, " b"], alpha: float | Float[Array, ""]) -> Float[Array, ""]:
    """-lambda mean Q with lambda = alpha / mean|Q|: Fujimoto and Gu, 2021, eq. 5.

    The norm is stop-gradiented.
    """
    return -alpha * q.mean() / jax.lax.stop_gradient(jnp.abs(q).mean())
