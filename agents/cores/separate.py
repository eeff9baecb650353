"""Separate optimisers for policy and value function, as MDPO and TRPO have them."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

import jax
import optax
from jaxtyping import Array, Float, PyTree

from rlsuite.agents.cores import on_policy
from rlsuite.agents.cores.on_policy import Parts, Rollout, Samples, Scalar, State, optimizer
from rlsuite.agents.cores.on_policy_config import SeparateConfig
from rlsuite.contracts.keys import Purpose, stream
from rlsuite.contracts.types import Context
from rlsuite.nn.distributions import Distribution
from rlsuite.nn.networks import Output
from rlsuite.ops import shuffle

SeparateT = TypeVar("SeparateT", bound=SeparateConfig)
POLICY = ("actor", "actor_conv", "head")


def split(params: PyTree) -> tuple[PyTree, PyTree]:
    """(the policy's weights, the value function's) of a feed-forward network."""
    modules = params["params"]
    policy = {name: leaf for name, leaf in modules.items() if name in POLICY}
    return policy, {name: leaf for name, leaf in modules.items() if name not in POLICY}


def join(policy: PyTree, value: PyTree) -> PyTree:
    """The inverse."""
    return {"params": {**policy, **value}}


def prepare(
    parts: Parts[SeparateT], state: State, rollout: Rollout, ctx: Context
) -> tuple[State, Samples]:
    """The rollout as one flat batch [t*n, ...], advantages standardised over all of it.

    Args:
      parts, state, rollout, ctx: as in `on_policy.prepare`; normalize_advantages is read too.
    """
    state, seen = on_policy.prepare(parts, state, rollout, ctx)
    if parts.static.normalize_advantages:
        advantage = on_policy.standardize_exactly(seen.sample.advantage)
        seen = seen._replace(sample=seen.sample._replace(advantage=advantage))
    return state, on_policy.flatten(parts, seen)


def distribution(
    parts: Parts[SeparateT], value: PyTree, seen: Samples, policy: PyTree
) -> Distribution:
    """pi of every sample, as a function of the policy's weights alone.

    Args:
      parts: with the network.
      value: V's weights, which pi does not depend on.
      seen: the flat batch.
      policy: the policy's weights; carry the gradient.
    """
    return _output(parts, policy, value, seen).dist


def _output(parts: Parts[SeparateT], policy: PyTree, value: PyTree, seen: Samples) -> Output:
    return parts.network.unroll(join(policy, value), (), seen.obs, seen.is_first)


def value_optimizer(
    parts: Parts[SeparateT], ctx: Context, fraction: Scalar
) -> optax.GradientTransformation:
    """Adam of the value function in this iteration.

    Args:
      parts: anneal_learning_rate and gradient_clip are read.
      ctx: value_learning_rate and Adam's numbers are read.
      fraction: how much of the run is done.
    """
    return optimizer(parts, ctx, ctx.hp.value_learning_rate, fraction)


def fit_value(
    parts: Parts[SeparateT], state: State, ctx: Context, seen: Samples, opt_state: PyTree
) -> tuple[PyTree, PyTree, Float[Array, " steps"]]:
    """`value_epochs` passes of minibatch Adam on the (clipped) value loss.

    Args:
      parts, state, ctx: the run's; `state` before this iteration's update.
      seen: the flat batch.
      opt_state: of `value_optimizer`.

    Returns:
      (the value function's weights, its optimiser state, the loss of every step).
    """
    s, fraction = parts.static, on_policy.progress(state, ctx).fraction
    policy, value = split(state.params)
    tx = value_optimizer(parts, ctx, fraction)
    key = stream(state.key, Purpose.LEARN, state.counters.iterations)
    size = s.num_envs * s.num_steps
    rows = jax.vmap(partial(shuffle.permutation, n=size))(jax.random.split(key, s.value_epochs))
    rows = rows.reshape(s.value_epochs * s.value_minibatches, -1)
    epsilon = ctx.hp.clip_epsilon if s.value_clip else None

    def step(
        carry: tuple[PyTree, PyTree], rows: Array
    ) -> tuple[tuple[PyTree, PyTree], Float[Array, ""]]:
        value, opt_state = carry
        batch = jax.tree.map(lambda x: x[rows], seen)
        objective = partial(_value_objective, parts, policy, batch, epsilon)
        loss, grads = jax.value_and_grad(objective)(value)
        updates, opt_state = tx.update(grads, opt_state, value)
        return (optax.apply_updates(value, updates), opt_state), loss

    (value, opt_state), loss = jax.lax.scan(step, (value, opt_state), rows)
    return value, opt_state, loss


def _value_objective(
    parts: Parts[SeparateT], policy: PyTree, batch: Samples, epsilon: Scalar | None, value: PyTree
) -> Float[Array, ""]:
    x = batch.sample
    return on_policy.value_loss(
        _output(parts, policy, value, batch).value, x.value, x.target, epsilon
    )
