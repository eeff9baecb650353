"""ReBRAC as an agent: TD3's core, its actor and its target charged for leaving the data."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import cast

import chex
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite.agents.cores import dataset_source, dpg, off_policy
from rlsuite.agents.cores.dpg import Behaviour, Report, Scene, Shapes, normalized
from rlsuite.agents.cores.off_policy import Minibatch, Recorded
from rlsuite.agents.offline.rebrac.config import Config
from rlsuite.contracts import metrics
from rlsuite.contracts.types import Agent, Context, Environment

# How EDAC's networks start, and ReBRAC's after them.
HIDDEN_BIAS, ACTOR_BOUND, CRITIC_BOUND = 0.1, 1e-3, 3e-3


def make(env: Environment, config: Config) -> Agent:
    """ReBRAC for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static = config.static()
    near = Behaviour(
        actor_loss=partial(actor_loss, static.normalize_q),
        critic_term=critic_term,
        lagged=static.target_lag,
    )
    learner = dpg.constrained("rebrac", env, static, near, shapes(static))
    return off_policy.make(env, config, learner, dataset_source.make(config))


def shapes(static: Config) -> Shapes:
    """Layers of (actor, critic): LayerNorm after the critics' activations, EDAC's small start."""
    actor, critic = off_policy.shapes(static)
    critic = replace(critic, norm_place="after")
    if static.small_start:
        actor = replace(actor, hidden_bias=HIDDEN_BIAS, out_bound=ACTOR_BOUND)
        critic = replace(critic, hidden_bias=HIDDEN_BIAS, out_bound=CRITIC_BOUND)
    return actor, critic


def actor_loss(
    normalize_q: bool,
    state: PyTree,
    action: Float[Array, "b d"],
    x: Scene,
    key: PRNGKeyArray,
    ctx: Context,
) -> Report:
    """mean (beta_1 |mu(s) - a|^2 - lambda min_i Q_i(s, mu(s))), lambda = 1 / mean|min_i Q_i|:
    Tarasov et al., 2023, section 3, with the least critic and TD3+BC's scale as in their code.

    Squares are summed over the action's entries; lambda is stop-gradiented, and 1 without
    `normalize_q`.

    Args:
      normalize_q: whether lambda scales Q.
      state, key: unused.
      action: mu(s); carries the gradient.
      x: with s, the data's a and Q, whose parameters are constant.
      ctx: actor_beta is beta_1.
    """
    q = x.q(x.batch.obs, action).min(0)
    distance = squares(action, x.batch.action)
    gain = normalized(q, 1.0) if normalize_q else -q.mean()
    loss = gain + ctx.hp.actor_beta * distance.mean()
    return loss, {"policy/distance": metrics.mean(distance)}


def critic_term(
    state: PyTree,
    next_action: Float[Array, "b d"],
    batch: Minibatch,
    key: PRNGKeyArray,
    ctx: Context,
) -> Float[Array, " b"]:
    """beta_2 |a' - a'_data|^2, taken from the next value: Tarasov et al., 2023, section 3.

    Squares are summed over the action's entries. Where the recording did nothing in s' there is no
    charge: after a terminal it would be multiplied by a discount of 0 anyway; where a time limit
    or the recording's end cut an episode the value of s' still counts, and nothing is known of
    what the data would have done there. D4RL's view leaves such rows out, so that the authors'
    code never meets one.

    Args:
      state, key: unused.
      next_action: a' of the critics' target.
      batch: with what the data did in s'.
      ctx: critic_beta is beta_2.
    """
    recorded = cast(Recorded, batch.recorded)
    charge = squares(next_action, recorded.next_action)
    return ctx.hp.critic_beta * jnp.where(recorded.next_valid, charge, 0.0)


def squares(a: Float[Array, "b d"], b: Float[Array, "b d"]) -> Float[Array, " b"]:
    """Squared distance, summed over the entries."""
    chex.assert_equal_shape([a, b])
    return jnp.square(a - b).sum(-1)
