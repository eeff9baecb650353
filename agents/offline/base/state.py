"""What the functions of agents on a dataset pass around."""

from __future__ import annotations

from typing import Any, NamedTuple

from flax import struct
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray, PyTree

from rlsuite.agents.online.off_policy.state import Algorithm
from rlsuite.types import Counters


class Scale(NamedTuple):
    """Mean and divisor of observations; both empty where they are taken as they come."""

    mean: Float[Array, "*o"]
    divisor: Float[Array, "*o"]


class Policy(NamedTuple):
    """What acting needs: the algorithm's own parameters and the dataset's scale."""

    params: PyTree
    scale: Scale | tuple[()]


class Extra(NamedTuple):
    """What `Batch.extra` holds of each row of a minibatch.

    Attributes:
      place: of the row in the dataset.
      next_action: what the recording did in `next_obs`.
      next_valid: whether it did anything there.
    """

    place: Int[Array, " b"]
    next_action: Num[Array, "b *a"]
    next_valid: Bool[Array, " b"]


class State(struct.PyTreeNode):
    """Everything a run is: copy it and the run goes on from there, bit for bit."""

    learner: PyTree
    scale: Scale | tuple[()]
    counters: Counters
    key: PRNGKeyArray


class Parts(NamedTuple):
    """The static pieces the functions are bound to."""

    static: Any
    action_space: Any
    algorithm: Algorithm


def policy(parts: Parts, state: State) -> Policy:
    """What `act` needs of a state."""
    return Policy(parts.algorithm.policy(state.learner), state.scale)


def scaled(scale: Scale | tuple[()], obs: Array) -> Array:
    """Observations as the networks see them."""
    return (obs - scale.mean) / scale.divisor if isinstance(scale, Scale) else obs
