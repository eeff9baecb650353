"""What the on-policy agents' functions pass around, and the small functions all of them use."""

from __future__ import annotations

from typing import Any, NamedTuple

import optax
from flax import struct
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from rlsuite import normalize, optim
from rlsuite.drift import Drift
from rlsuite.networks import Network
from rlsuite.normalize import Moments
from rlsuite.types import Carry, Context, Counters
from rlsuite.vector import Episodes, VectorEnv


class Policy(NamedTuple):
    """What acting needs: weights and the frozen normaliser."""

    params: PyTree
    obs_moments: Moments
    obs_clip: Float[Array, ""]


class State(struct.PyTreeNode):
    """Everything a run is: copy it and the run goes on from there, bit for bit.

    `opt_state` is one optimiser's or several', as the agent's `start` makes it; `rule` the drift's.
    """

    params: PyTree
    opt_state: PyTree
    obs_moments: Moments
    reward_moments: Moments
    reward_sum: Float[Array, " n"]
    rule: PyTree
    env: PyTree
    obs: Array
    is_first: Bool[Array, " n"]
    carry: Carry
    obs_clip: Float[Array, ""]
    counters: Counters
    key: PRNGKeyArray


class Transition(NamedTuple):
    """One step of N environments; in a rollout with a leading time axis."""

    obs: Array
    is_first: Bool[Array, "*t n"]
    action: Array
    log_prob: Float[Array, "*t n"]
    value: Float[Array, "*t n"]
    dist: Any
    reward: Float[Array, "*t n"]
    terminated: Bool[Array, "*t n"]
    truncated: Bool[Array, "*t n"]
    final_value: Float[Array, "*t n"]
    episodes: Episodes


class Rollout(NamedTuple):
    """What `collect` hands to `learn`."""

    steps: Transition
    last_value: Float[Array, " n"]
    first_carry: Carry


class Parts(NamedTuple):
    """The static pieces the functions below are bound to."""

    static: Any
    envs: VectorEnv
    network: Network
    drift: Drift


def policy(state: State) -> Policy:
    """What `act` needs of a state."""
    return Policy(state.params, state.obs_moments, state.obs_clip)


def normalized(parts: Parts, policy: Policy, obs: Array) -> Array:
    """Observations as the network sees them."""
    if not parts.static.normalize_observations:
        return obs
    return normalize.normalize(policy.obs_moments, obs, policy.obs_clip)


def optimizer(
    parts: Parts, ctx: Context, rate: Float[Array, ""] | float, fraction: Float[Array, ""]
) -> optax.GradientTransformation:
    """Adam with the annealed step size of this iteration.

    Args:
      parts: with anneal_learning_rate and gradient_clip.
      ctx: with Adam's numbers.
      rate: the step size at the start of the run.
      fraction: how much of the run is done.
    """
    hp, s = ctx.hp, parts.static
    rate = rate * (1 - fraction) if s.anneal_learning_rate else rate
    return optim.adam(
        rate, b1=hp.adam_b1, b2=hp.adam_b2, eps=hp.adam_epsilon,
        clip=s.gradient_clip, max_grad=hp.max_grad_norm,
    )  # fmt: skip
