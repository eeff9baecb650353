"""What CQL's critics pay: a soft maximum of Q over actions, less Q of the data's action."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple, cast

import chex
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite import metrics, optim
from rlsuite.agents.online.off_policy.state import Batch
from rlsuite.agents.online.soft.core import Regularizer, entropy_charge
from rlsuite.agents.online.soft.kinds import Kind, Soft
from rlsuite.distributions import TanhGaussian
from rlsuite.metrics import Metrics
from rlsuite.types import Context

Scalar = float | Float[Array, ""]


class Multiplier(NamedTuple):
    """ln of the Lagrange multiplier and its optimiser."""

    log: Float[Array, ""]
    opt: PyTree


class Drawn(NamedTuple):
    """Actions [m, b, d] and the logarithm of the density they were drawn with [m, b]."""

    action: Float[Array, "m b d"]
    log_density: Float[Array, "m b"]


def regularizer(static: Any, kind: Kind) -> Regularizer:
    """CQL as a slot of the soft core; without the penalty only what else differs from SAC."""
    charge = entropy_charge if static.backup_entropy else free
    slots: dict[str, Any] = {}
    if static.max_target:
        slots["backup"] = partial(best_of, static.cql_actions)
    if static.conservative:
        slots["init"] = lambda actor: started() if static.lagrange else ()
        slots |= {"penalty": partial(penalty, static, kind), "learn": learn}
    return Regularizer(value=charge, **slots)


def started() -> Multiplier:
    """At e, as in CORL."""
    log = jnp.float32(1.0)
    return Multiplier(log, optim.adam(0.0).init(log))


def free(soft: Soft, alpha: Float[Array, ""], ctx: Context) -> Float[Array, " b"]:
    """A target that is not charged for entropy."""
    return jnp.zeros_like(soft.q)


def soft_maximum(
    q: Float[Array, "m b"], log_density: Float[Array, "m b"], temperature: Scalar
) -> Float[Array, " b"]:
    """T ln sum_m exp((Q(s, a_m) - ln p(a_m)) / T), Kumar et al., 2020, app. F: never below the
    largest term.

    Args:
      q: of m actions of each row.
      log_density: ln p(a_m) of what drew them.
      temperature: T.
    """
    chex.assert_equal_shape([q, log_density])
    return temperature * jax.nn.logsumexp((q - log_density) / temperature, axis=0)


def actions(kind: Kind, actor: PyTree, batch: Batch, n: int, key: PRNGKeyArray) -> Drawn:
    """n uniform actions and n of the policy's in s and in s', m = 3n in all; constant."""
    uniform_key, here_key, there_key = jax.random.split(key, 3)
    size = batch.action.shape[-1]
    uniform = jax.random.uniform(uniform_key, (n, *batch.action.shape), minval=-1.0)
    parts = (
        Drawn(uniform, jnp.full(uniform.shape[:2], -size * math.log(2.0))),
        draws(kind, actor, batch.obs, n, here_key),
        draws(kind, actor, batch.next_obs, n, there_key),
    )
    return jax.lax.stop_gradient(jax.tree.map(lambda *x: jnp.concatenate(x), *parts))


def draws(kind: Kind, actor: PyTree, obs: Array, n: int, key: PRNGKeyArray) -> Drawn:
    """n actions of the policy for each row, and ln pi of each."""
    dist = cast(TanhGaussian, kind.actor.apply(actor, obs))
    dist = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), dist)
    raw = dist.sample(key)
    return Drawn(jnp.tanh(raw), dist.log_prob(raw))


def penalty(
    static: Any,
    kind: Kind,
    state: Multiplier | tuple[()],
    critics: PyTree,
    q: Float[Array, "k b"],
    actor: PyTree,
    batch: Batch,
    key: PRNGKeyArray,
    ctx: Context,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """cql_alpha sum_i mean max(soft max_a Q_i(s, a) - Q_i(s, a_data), floor), eq. 4 (CQL(H)).

    The policy's actions in s' are valued in s. With `lagrange` each critic's mean gap less
    `target_gap`, times the multiplier, eq. 30; the multiplier is constant here.

    Returns:
      (the penalty, the gap as the mean over critics), both differentiable in `critics`.
    """
    drawn = actions(kind, actor, batch, static.cql_actions, key)
    obs = jnp.broadcast_to(batch.obs, (len(drawn.action), *batch.obs.shape))
    values = kind.taken(critics, obs, drawn.action)
    top = jax.vmap(soft_maximum, (0, None, None))(values, drawn.log_density, ctx.hp.cql_temperature)
    gap = jnp.maximum(top - q, ctx.hp.gap_floor).mean(-1)
    if isinstance(state, Multiplier):
        factor = jnp.clip(jnp.exp(jax.lax.stop_gradient(state.log)), 0.0, 1e6)
        total = ctx.hp.cql_alpha * factor * (gap - ctx.hp.target_gap).sum()
    else:
        total = ctx.hp.cql_alpha * gap.sum()
    return total, gap.mean()


def learn(
    state: Multiplier | tuple[()], gap: Float[Array, ""], ctx: Context
) -> tuple[Multiplier | tuple[()], Metrics]:
    """The multiplier up where the gap is above its target, by Adam in its logarithm.

    Args:
      state: nothing without `lagrange`.
      gap: mean over critics, constant.
      ctx: its step size is the critics'.
    """
    report: Metrics = {"value/gap": metrics.mean(gap)}
    if not isinstance(state, Multiplier):
        return state, report
    gap = jax.lax.stop_gradient(gap)

    def objective(log: Float[Array, ""]) -> Float[Array, ""]:
        factor = jnp.clip(jnp.exp(log), 0.0, 1e6)
        return -factor * ctx.hp.cql_alpha * (gap - ctx.hp.target_gap)

    tx = optim.adam(ctx.hp.critic_learning_rate, eps=ctx.hp.adam_epsilon)
    step, opt = tx.update(jax.grad(objective)(state.log), state.opt)
    report["value/multiplier"] = metrics.mean(jnp.exp(state.log))
    return Multiplier(jnp.asarray(optax.apply_updates(state.log, step)), opt), report


def best_of(
    n: int, kind: Kind, actor: PyTree, critics: PyTree, obs: Array, key: PRNGKeyArray
) -> Soft:
    """The policy's draw of n whose min_i Q_i is largest, and its ln pi."""
    dist = cast(TanhGaussian, kind.actor.apply(actor, obs))
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), dist)
    raw = many.sample(key)
    q = kind.taken(critics, jnp.broadcast_to(obs, (n, *obs.shape)), jnp.tanh(raw)).min(0)
    best = q.argmax(0)

    def pick(x: Array) -> Array:
        return jnp.take_along_axis(x, best.reshape(1, -1, *[1] * (x.ndim - 2)), 0)[0]

    return Soft(pick(q), pick(many.log_prob(raw)), dist, pick(raw))
