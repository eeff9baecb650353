"""What the functions of replay-based agents pass around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from rlsuite import mlp, normalize
from rlsuite.box import to_env as to_env
from rlsuite.metrics import Metrics
from rlsuite.normalize import Moments
from rlsuite.replay import Replay
from rlsuite.types import Context, Counters, Mode
from rlsuite.vector import Episodes, VectorEnv


class Transition(NamedTuple):
    """A row of the replay. Actions are an agent's: in [-1, 1], or an index."""

    obs: Array
    action: Array
    reward: Float[Array, "*n"]
    terminated: Bool[Array, "*n"]
    truncated: Bool[Array, "*n"]
    next_obs: Array


class Batch(NamedTuple):
    """A minibatch as losses see it: observations normalised, n-step rewards summed.

    `discount` is gamma^m (1 - terminated) of the m steps summed: what multiplies the bootstrap.
    `extra` is what an agent's own data brings along, row by row: next actions, row numbers. `turn`
    is which update of its iteration it is for, from 1 on; None where nobody counts.
    """

    obs: Array
    action: Array
    reward: Float[Array, " b"]
    discount: Float[Array, " b"]
    next_obs: Array
    extra: PyTree = ()
    turn: Int[Array, ""] | None = None


def due(batch: Batch, done: Int[Array, ""], period: int, updates: int) -> Bool[Array, ""]:
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


class Policy(NamedTuple):
    """What acting needs: the algorithm's own parameters and the frozen normaliser."""

    params: PyTree
    obs_moments: Moments
    obs_clip: Float[Array, ""]


@dataclass(frozen=True)
class Algorithm:
    """What makes a replay-based agent: its own learner state and three functions on it.

    Attributes:
      name: the registry's name.
      init: (key, ctx) -> learner; networks, targets, optimisers, counters of its own.
      policy: learner -> what `act` needs of it.
      act: (params, obs[*b, ...], key, mode) -> action[*b, d] in [-1, 1], or index[*b].
      update: (learner, batch, key, ctx) -> (learner, metrics): one gradient step.
      warm: (learner, params) -> learner that acts with `params`.
      evaluation_mode: how the paper evaluates.
    """

    name: str
    init: Callable[[PRNGKeyArray, Context], PyTree]
    policy: Callable[[Any], PyTree]
    act: Callable[[PyTree, Array, PRNGKeyArray, Mode], Array]
    update: Callable[[Any, Batch, PRNGKeyArray, Context], tuple[Any, Metrics]]
    warm: Callable[[Any, PyTree], Any]
    evaluation_mode: Mode = "greedy"


class State(struct.PyTreeNode):
    """Everything a run is: copy it and the run goes on from there, bit for bit."""

    learner: PyTree
    replay: Replay
    env: PyTree
    obs: Array
    obs_moments: Moments
    obs_clip: Float[Array, ""]
    counters: Counters
    key: PRNGKeyArray


class Collected(NamedTuple):
    """What `collect` hands to `learn`; the transitions are in the ring."""

    obs: Array
    episodes: Episodes


class Parts(NamedTuple):
    """The static pieces the functions are bound to."""

    static: Any
    capacity: int
    prefill: int
    envs: VectorEnv
    observation_space: Any
    action_space: Any
    algorithm: Algorithm


def policy(parts: Parts, state: State) -> Policy:
    """What `act` needs of a state."""
    return Policy(parts.algorithm.policy(state.learner), state.obs_moments, state.obs_clip)


def normalized(parts: Parts, moments: Moments, clip: Float[Array, ""], obs: Array) -> Array:
    """Observations as the networks see them."""
    if not parts.static.normalize_observations:
        return obs
    return normalize.normalize(moments, obs, clip)


def actor_shape(static: Any) -> mlp.Shape:
    """Layers of the actor."""
    return mlp.Shape(static.hidden, static.activation, static.init)


def sizes(static: Any) -> tuple[mlp.Shape, mlp.Shape]:
    """Layers of (actor, critic)."""
    hidden = static.critic_hidden or static.hidden
    return actor_shape(static), mlp.Shape(
        hidden, static.activation, static.init, static.critic_layer_norm
    )
