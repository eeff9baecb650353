"""Learning from minibatches, whatever brings them: a replay, a dataset or both.

An agent of this kind is an `Algorithm`, how it starts, acts and takes one gradient step, on a
`Source`, where its minibatches come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar, cast, runtime_checkable

import chex
import jax
import jax.numpy as jnp
from flax import struct
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, Int, Key, Num, PRNGKeyArray, PyTree

from rlsuite.acting.check import check_bounded
from rlsuite.agents.cores.config import (
    ActorConfig,
    ActorCriticConfig,
    DatasetConfig,
    OffPolicyConfig,
)
from rlsuite.contracts import metrics
from rlsuite.contracts.box import to_env
from rlsuite.contracts.keys import Purpose, stream
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Agent, Carry, Context, Counters, Environment, Mode
from rlsuite.data.dataset import Dataset
from rlsuite.data.replay import Replay
from rlsuite.nn import mlp
from rlsuite.ops import normalize
from rlsuite.ops.normalize import Moments

LearnerT = TypeVar("LearnerT")
Prepare = Callable[[Dataset], Dataset]
Nothing = tuple[()]


class Recorded(NamedTuple):
    """What a dataset says of each row of a minibatch beside the transition.

    Attributes:
      place: of the row in the dataset.
      next_action: what the recording did in `next_obs`.
      next_valid: whether it did anything there.
    """

    place: Int[Array, " b"]
    next_action: Num[Array, "b *a"]
    next_valid: Bool[Array, " b"]


class Minibatch(NamedTuple):
    """Transitions as losses see them: observations normalised, n-step rewards summed.

    `discount` is gamma^m (1 - terminated) of the m steps summed: what multiplies the bootstrap.
    `turn` is which update of its iteration it is for, from 1 on; None where nobody counts.
    """

    obs: Array
    action: Array
    reward: Float[Array, " b"]
    discount: Float[Array, " b"]
    next_obs: Array
    recorded: Recorded | Nothing = ()
    turn: Int[Array, ""] | None = None


class Scale(NamedTuple):
    """Mean and divisor of a dataset's observations."""

    mean: Float[Array, "*o"]
    divisor: Float[Array, "*o"]


class Policy(NamedTuple):
    """What acting needs: the algorithm's own parameters, and how observations are normalised."""

    params: PyTree
    obs_moments: Moments | Nothing = ()
    obs_clip: Float[Array, ""] | Nothing = ()
    scale: Scale | Nothing = ()


class State(struct.PyTreeNode):
    """Everything a run is: copy it and the run goes on from there, bit for bit.

    A run on a dataset has nothing from `replay` to `obs_clip`, one without has no `scale`.
    """

    learner: PyTree
    counters: Counters
    key: PRNGKeyArray
    replay: Replay | Nothing = ()
    env: PyTree = ()
    obs: Array | Nothing = ()
    obs_moments: Moments | Nothing = ()
    obs_clip: Float[Array, ""] | Nothing = ()
    scale: Scale | Nothing = ()


@runtime_checkable
class Update(Protocol[LearnerT]):
    """One gradient step of an algorithm."""

    def __call__(
        self, learner: LearnerT, batch: Minibatch, key: PRNGKeyArray, ctx: Context, /
    ) -> tuple[LearnerT, Metrics]:
        """(learner, what the step says of itself)."""
        ...


@dataclass(frozen=True)
class Algorithm(Generic[LearnerT]):
    """What is learned: the state of a learner and functions on it.

    Attributes:
      name: the registry's.
      init: (key, ctx) -> learner; networks, targets, optimisers, counters of its own.
      policy: learner -> what `act` needs of it.
      act: (params, obs[*b, ...], key, mode) -> action[*b, d] in [-1, 1], or index[*b].
      update: (learner, batch, key, ctx) -> (learner, metrics): one gradient step.
      warm: (learner, params) -> learner that acts with `params`.
      evaluation_mode: how the paper evaluates.
    """

    name: str
    init: Callable[[PRNGKeyArray, Context], LearnerT]
    policy: Callable[[LearnerT], PyTree]
    act: Callable[[PyTree, Array, PRNGKeyArray, Mode], Array]
    update: Update[LearnerT]
    warm: Callable[[LearnerT, PyTree], LearnerT]
    evaluation_mode: Mode = "greedy"


@dataclass(frozen=True)
class Source:
    """Where minibatches come from.

    Attributes:
      start: (parts, state, ctx, warm) -> state with what the source keeps, a replay filled.
      collect: (parts, state, ctx) -> (state, collected): acts, or draws from a dataset.
      observe: (state, collected) -> state whose statistics know what was collected.
      deal: (collected, key) -> (what each minibatch of the iteration is drawn by, keys of its
        gradient steps), both with a leading axis of updates.
      minibatch: (state, one of those, ctx) -> the minibatch.
      report: collected -> metrics of what was met in the environment.
      running: whether observations are standardised by running statistics.
    """

    start: Callable[[Parts, State, Context, Policy | None], State]
    collect: Callable[[Parts, State, Context], tuple[State, PyTree]]
    observe: Callable[[State, PyTree], State]
    deal: Callable[[PyTree, PRNGKeyArray], tuple[PyTree, Key[Array, " u"]]]
    minibatch: Callable[[State, PyTree, Context], Minibatch]
    report: Callable[[PyTree], Metrics]
    running: bool = False


class Parts(NamedTuple):
    """The static pieces the functions are bound to; `updates` are gradient steps an iteration."""

    updates: int
    action_space: spaces.Space
    algorithm: Algorithm
    source: Source


def make(
    env: Environment,
    config: OffPolicyConfig | DatasetConfig,
    algorithm: Algorithm,
    source: Source,
    prepare: Prepare = lambda data: data,
) -> Agent:
    """The agent that learns as `algorithm` says from what `source` brings.

    Args:
      env: what it acts in, or what its data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
      algorithm: what it learns.
      source: of its minibatches.
      prepare: what it derives from its data once, see `Agent`.
    """
    check_bounded(algorithm.name, env)
    parts = Parts(config.static().updates, env.action_space, algorithm, source)
    return Agent(
        name=algorithm.name,
        env=env,
        config=config,
        steps_per_iteration=config.steps_per_iteration(),
        init=partial(init, parts),
        collect=partial(source.collect, parts),
        learn=partial(learn, parts),
        policy=partial(policy, parts),
        act=partial(act, parts),
        carry=lambda batch: (),
        evaluation_mode=algorithm.evaluation_mode,
        prefill=config.prefill_steps(),
        prepare=prepare,
    )


def init(parts: Parts, key: PRNGKeyArray, ctx: Context, warm: Policy | None = None) -> State:
    """The state before the first update.

    Args:
      parts: the static pieces.
      key: of the run; kept in the state.
      ctx: what the algorithm and the source read.
      warm: a policy to start from, copied; None: fresh weights.
    """
    # Copies: a caller who donates the state keeps its own key and policy.
    warm = jax.tree.map(jnp.copy, warm)
    learner = parts.algorithm.init(stream(key, Purpose.INIT), ctx)
    if warm is not None:
        learner = parts.algorithm.warm(learner, warm.params)
    return parts.source.start(parts, State(learner, Counters.zero(), jnp.copy(key)), ctx, warm)


def learn(parts: Parts, state: State, collected: PyTree, ctx: Context) -> tuple[State, Metrics]:
    """An iteration's gradient steps, each on a minibatch of its own.

    Args:
      parts: the static pieces.
      state: after `collect`.
      collected: what the source's `collect` gave.
      ctx: what the algorithm and the source read.

    Returns:
      (the state, metrics of the source and of all gradient steps).
    """
    state = parts.source.observe(state, collected)
    iteration = state.counters.iterations
    key = stream(state.key, Purpose.LEARN, iteration)
    dealt, keys = parts.source.deal(collected, key)
    turns = jnp.arange(1, parts.updates + 1)
    step = partial(gradient_step, parts, state, ctx)
    learner, reports = jax.lax.scan(step, state.learner, (dealt, keys, turns))
    counters = state.counters.replace(iterations=iteration + 1)
    report = {**parts.source.report(collected), **metrics.reduce(reports)}
    return state.replace(learner=learner, counters=counters), report


def gradient_step(
    parts: Parts,
    state: State,
    ctx: Context,
    learner: PyTree,
    dealt: tuple[PyTree, Key[Array, ""], Int[Array, ""]],
) -> tuple[PyTree, Metrics]:
    """One minibatch, one step of the algorithm.

    Args:
      parts: the static pieces.
      state: what minibatches are drawn from and normalised by; its own learner is not read.
      ctx: what the algorithm and the source read.
      learner: after the step before.
      dealt: (what the minibatch is drawn by, the step's key, its turn in the iteration from 1 on).
    """
    drawn_by, key, turn = dealt
    batch = parts.source.minibatch(state, drawn_by, ctx)
    chex.assert_equal_shape([batch.reward, batch.discount])
    chex.assert_equal_shape([batch.obs, batch.next_obs])
    return parts.algorithm.update(learner, batch._replace(turn=turn), key, ctx)


def policy(parts: Parts, state: State) -> Policy:
    """What `act` needs of a state."""
    params = parts.algorithm.policy(state.learner)
    return Policy(params, state.obs_moments, state.obs_clip, state.scale)


def act(
    parts: Parts,
    policy: Policy,
    carry: Carry,
    obs: Array,
    is_first: Bool[Array, "*b"],
    key: PRNGKeyArray,
    mode: Mode,
) -> tuple[Array, Carry]:
    """The environment's action for each observation.

    Args:
      parts: the static pieces.
      policy: the algorithm's parameters, and how observations are normalised.
      carry: handed back: no network here has a memory.
      obs: [*b, ...] as the environment gives them.
      is_first: unused.
      key, mode: of the algorithm's `act`.
    """
    action = parts.algorithm.act(policy.params, seen(parts.source.running, policy, obs), key, mode)
    return to_env(parts.action_space, action), carry


def seen(running: bool, by: Policy | State, obs: Array) -> Array:
    """Observations as the networks see them.

    Args:
      running: as in `Source`.
      by: with the statistics; the running ones are stop-gradiented.
      obs: [..., *o] as the environment or the dataset gives them.
    """
    if running:
        obs = normalize.normalize(cast(Moments, by.obs_moments), obs, cast(Array, by.obs_clip))
    return (obs - by.scale.mean) / by.scale.divisor if isinstance(by.scale, Scale) else obs


def due(batch: Minibatch, done: Int[Array, ""], period: int, updates: int) -> Bool[Array, ""]:
    """Whether it is the turn of what happens every `period`-th update.

    Of the two ways to know, the turn within the iteration is the same in all seeds side by side:
    under vmap a `lax.cond` on it runs one branch, on a seed's own count it would run both.

    Args:
      batch: of this update.
      done: a seed's updates so far, this one included.
      period: how often it happens.
      updates: how many updates an iteration has; the turn decides if that is a multiple.
    """
    if batch.turn is not None and updates % period == 0:
        return batch.turn % period == 0
    return done % period == 0


def critic_loss(q: Float[Array, "n b"], target: Float[Array, " b"]) -> Float[Array, ""]:
    """sum_i mean (Q_i - y)^2; y is stop-gradiented.

    Raises:
      AssertionError: shapes that would be broadcast, named; while it is traced.
    """
    chex.assert_rank(q, 2)
    chex.assert_shape(target, q.shape[1:])
    return jnp.square(q - jax.lax.stop_gradient(target)).mean(-1).sum()


def bootstrapped(batch: Minibatch, next_value: Float[Array, " b"]) -> Float[Array, " b"]:
    """y = r + discount V(s')."""
    chex.assert_equal_shape([batch.reward, batch.discount, next_value])
    return batch.reward + batch.discount * next_value


def actor_shape(static: ActorConfig) -> mlp.Shape:
    """Layers of the actor."""
    return mlp.Shape(static.hidden, static.activation, static.init)


def shapes(static: ActorCriticConfig) -> tuple[mlp.Shape, mlp.Shape]:
    """Layers of (actor, critic)."""
    hidden = static.critic_hidden or static.hidden
    norm = static.critic_layer_norm
    return actor_shape(static), mlp.Shape(hidden, static.activation, static.init, norm)
