"""What the functions of the deterministic core pass around."""

from __future__ import annotations

from typing import NamedTuple

import optax
from flax import struct
from jaxtyping import Array, Float, Int, PyTree

from rlsuite import mlp, optim
from rlsuite.agents.online.dpg.pull import Pull
from rlsuite.types import Context


class Learner(struct.PyTreeNode):
    """Networks, their targets and optimisers. `critics` is a tuple: critics[0] is Q1."""

    actor: PyTree
    actor_target: PyTree
    critics: PyTree
    critics_target: PyTree
    actor_opt: PyTree
    critic_opt: PyTree
    pull: PyTree
    noise: Float[Array, ""]
    updates: Int[Array, ""]


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
    pull: Pull
    updates: int = 1


def optimizers(ctx: Context) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """(the actor's, the critics')."""
    hp = ctx.hp
    return (
        optim.adam(hp.learning_rate, eps=hp.adam_epsilon),
        optim.adam(hp.critic_learning_rate, eps=hp.adam_epsilon),
    )
