"""For agents that update the policy's weights and the value function's apart."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import optax
from jaxtyping import Array, Float, PyTree

from rlsuite import shuffle
from rlsuite.agents.online.on_policy import learning, losses
from rlsuite.agents.online.on_policy.learning import Batch
from rlsuite.agents.online.on_policy.losses import Sample
from rlsuite.agents.online.on_policy.state import Parts, Rollout, State, optimizer
from rlsuite.distributions import Distribution
from rlsuite.keys import Purpose, stream
from rlsuite.networks import Output
from rlsuite.types import Context

POLICY = ("actor", "actor_conv", "head")


def split(params: PyTree) -> tuple[PyTree, PyTree]:
    """(the policy's weights, the value function's) of a feed-forward network."""
    modules = params["params"]
    policy = {name: leaf for name, leaf in modules.items() if name in POLICY}
    return policy, {name: leaf for name, leaf in modules.items() if name not in POLICY}


def join(policy: PyTree, value: PyTree) -> PyTree:
    """The inverse."""
    return {"params": {**policy, **value}}


def prepare(parts: Parts, state: State, batch: Rollout, ctx: Context) -> tuple[State, Batch]:
    """The rollout as one flat batch [t*n, ...], advantages standardised over all of it."""
    state, seen = learning.prepare(parts, state, batch, ctx)
    if parts.static.normalize_advantages:
        advantage = losses.standardize_exactly(seen.sample.advantage)
        seen = seen._replace(sample=seen.sample._replace(advantage=advantage))
    return state, learning.flatten(parts, seen)


def distribution(parts: Parts, value: PyTree, seen: Batch, policy: PyTree) -> Distribution:
    """pi of every sample, as a function of the policy's weights alone."""
    return _output(parts, policy, value, seen).dist


def _output(parts: Parts, policy: PyTree, value: PyTree, seen: Batch) -> Output:
    return parts.network.unroll(join(policy, value), (), seen.obs, seen.is_first)


def value_optimizer(parts: Parts, ctx: Context, fraction: Any) -> optax.GradientTransformation:
    """Adam of the value function in this iteration."""
    return optimizer(parts, ctx, ctx.hp.value_learning_rate, fraction)


def fit_value(
    parts: Parts, state: State, ctx: Context, seen: Batch, opt_state: PyTree
) -> tuple[PyTree, PyTree, Float[Array, " steps"]]:
    """`value_epochs` passes of minibatch Adam on the (clipped) value loss.

    Args:
      parts, state, ctx: the run's; `state` before this iteration's update.
      seen: the flat batch.
      opt_state: of `value_optimizer`.

    Returns:
      (the value function's weights, its optimiser state, the loss of every step).
    """
    s, fraction = parts.static, learning.progress(state, ctx).fraction
    policy, value = split(state.params)
    tx = value_optimizer(parts, ctx, fraction)
    key = stream(state.key, Purpose.LEARN, state.counters.iterations)
    size = s.num_envs * s.num_steps
    rows = jax.vmap(partial(shuffle.permutation, n=size))(jax.random.split(key, s.value_epochs))
    rows = rows.reshape(s.value_epochs * s.value_minibatches, -1)
    epsilon = ctx.hp.clip_epsilon if s.value_clip else None

    def step(carry: tuple[PyTree, PyTree], rows: Array) -> tuple[Any, Float[Array, ""]]:
        value, opt_state = carry
        batch = jax.tree.map(lambda x: x[rows], seen)
        objective = partial(_value_objective, parts, policy, batch, epsilon)
        loss, grads = jax.value_and_grad(objective)(value)
        updates, opt_state = tx.update(grads, opt_state, value)
        return (optax.apply_updates(value, updates), opt_state), loss

    (value, opt_state), loss = jax.lax.scan(step, (value, opt_state), rows)
    return value, opt_state, loss


def _value_objective(
    parts: Parts, policy: PyTree, batch: Batch, epsilon: Any, value: PyTree
) -> Float[Array, ""]:
    x: Sample = batch.sample
    return losses.value_loss(_output(parts, policy, value, batch).value, x.value, x.target, epsilon)
