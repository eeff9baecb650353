"""The learner of deterministic policy gradients: an actor, n critics, and one update of them."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite import metrics
from rlsuite.agents.online.dpg import steps
from rlsuite.agents.online.dpg.state import Core, Learner, optimizers
from rlsuite.agents.online.off_policy.state import Batch, due
from rlsuite.metrics import Metrics
from rlsuite.types import Context, Mode


class Policy(NamedTuple):
    """The actor and the deviation of its exploration noise."""

    actor: PyTree
    noise: Float[Array, ""]


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
    """A critic step and the pull's own; every `policy_delay`-th an actor step and the targets'."""
    noise_key, term_key, pull_key, actor_key = jax.random.split(key, 4)
    learner, next_action, q, loss = steps.critic_step(
        core, learner, batch, (noise_key, term_key), ctx
    )
    x = steps.scene(core, learner, batch, next_action)
    pull, of_pull = core.pull.update(learner.pull, x, pull_key, ctx)
    learner = learner.replace(pull=pull, updates=learner.updates + 1)
    move = partial(steps.actor_step, core, learner, x, actor_key, ctx)
    if core.policy_delay == 1:
        moved, of_actor = move()
    else:
        turn = due(batch, learner.updates, core.policy_delay, core.updates)
        rest = partial(steps.actor_rests, learner, jax.eval_shape(move)[1])
        moved, of_actor = jax.lax.cond(turn, move, rest)
    return learner.replace(**moved._asdict()), {
        "loss/critic": metrics.mean(loss),
        "value/q": metrics.mean(q),
        **of_pull,
        **of_actor,
    }
