"""What an actor is pulled toward, as a value: the slot of the deterministic core.

Offline agents differ in where their actor is pulled (the data's action, its nearest neighbour's, a
generative model's) and in what the target is charged for leaving the data:

  TD3+BC  `actor_loss`: `normalized(q1, alpha) + mean (action - batch.action)^2`.
  ReBRAC  `actor_loss`: the least of `x.q(...)` in place of Q1, squares summed over the action;
          `critic_term`: beta_2 |next_action - next data action|^2, the latter in `batch.extra`;
          `lagged`.
  PRDC    `actor_loss`: as TD3+BC with the action of the nearest neighbour in `ctx.data`, looked up
          at stop_gradient(action).
  A2PR    `init`, `update`: V and VAE with optimisers of their own, trained on the critics just
          updated, on their targets, and on the very `next_action` of the critics' target; V(s) of
          before its step stays in the state for `actor_loss`, which evaluates Q1 where it likes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite.agents.online.off_policy.state import Batch
from rlsuite.metrics import Metrics
from rlsuite.types import Context


class Scene(NamedTuple):
    """What a pull may look at in one update, after the critics' step.

    Attributes:
      batch: the minibatch; `batch.extra` is what the agent's own data brought along.
      next_action: [b, d], the (noisy) action the critics' target was made with.
      q1: (obs, action) -> Q1[b] of the updated critics; their parameters are constant.
      q: the same of all of them, [n, b].
      q_target: the same of the target critics.
    """

    batch: Batch
    next_action: Float[Array, "b d"]
    q1: Callable[[Array, Array], Float[Array, " b"]]
    q: Callable[[Array, Array], Float[Array, "n b"]]
    q_target: Callable[[Array, Array], Float[Array, "n b"]]


def no_state(key: PRNGKeyArray, ctx: Context) -> PyTree:
    """A pull that remembers nothing."""
    return ()


def stand_still(state: PyTree, x: Scene, key: PRNGKeyArray, ctx: Context) -> tuple[PyTree, Metrics]:
    """A pull that learns nothing."""
    return state, {}


def ascend_q1(
    state: PyTree, action: Float[Array, "b d"], x: Scene, key: PRNGKeyArray, ctx: Context
) -> tuple[Float[Array, ""], Metrics]:
    """-mean Q1(s, mu(s)): Fujimoto et al., 2018, algorithm 1. Gradients reach `action`."""
    return -x.q1(x.batch.obs, action).mean(), {}


def charge_nothing(
    state: PyTree, next_action: Float[Array, "b d"], batch: Batch, key: PRNGKeyArray, ctx: Context
) -> Float[Array, " b"]:
    """A target that is not charged."""
    return jnp.zeros_like(batch.reward)


@dataclass(frozen=True)
class Pull:
    """A state of its own and three functions; the default pulls nowhere.

    Attributes:
      init: (key, ctx) -> state.
      update: (state, scene, key, ctx) -> (state, metrics): its own step, after the critics' and
        before the actor's, in every update.
      actor_loss: (state, action[b, d], scene, key, ctx) -> (scalar, metrics), minimised in the
        actor; `action` is mu(s) and carries the gradient.
      critic_term: (state, next_action[b, d], batch, key, ctx) -> [b], subtracted from the next
        value that the critics' target bootstraps from.
      lagged: whether the target actor follows the actor of before its step, as in ReBRAC's code;
        the critics' targets always follow the critics of after theirs.
    """

    init: Callable[[PRNGKeyArray, Context], PyTree] = no_state
    update: Callable[..., tuple[PyTree, Metrics]] = stand_still
    actor_loss: Callable[..., tuple[Float[Array, ""], Metrics]] = ascend_q1
    critic_term: Callable[..., Float[Array, " b"]] = charge_nothing
    lagged: bool = False


def normalized(q: Float[Array, " b"], alpha: float | Float[Array, ""]) -> Float[Array, ""]:
    """-lambda mean Q with lambda = alpha / mean|Q|: Fujimoto and Gu, 2021, eq. 5.

    The norm is stop-gradiented.
    """
    return -alpha * q.mean() / jax.lax.stop_gradient(jnp.abs(q).mean())
