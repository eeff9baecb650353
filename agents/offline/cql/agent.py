"""CQL: the soft core on a dataset, its critics conservative.

They pay a soft maximum of Q over actions, less Q of the data's action. The networks are those of
the soft core, whose last layers start small.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import NamedTuple, cast

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite.agents.cores import dataset_source, off_policy, sac
from rlsuite.agents.cores.off_policy import Minibatch
from rlsuite.agents.cores.sac import Core, Heads, Regularizer, Scalar, Soft, draw, entropy_charge
from rlsuite.agents.offline.cql.config import Config
from rlsuite.contracts import box, metrics
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Agent, Context, Environment
from rlsuite.nn import mlp
from rlsuite.nn.distributions import TanhGaussian
from rlsuite.nn.mlp import Net
from rlsuite.ops import optim


def make(env: Environment, config: Config) -> Agent:
    """CQL for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static = config.static()
    heads = make_heads(static, env)

    def target_entropy(ctx: Context) -> Scalar:
        return heads.entropy * ctx.hp.target_entropy_scale

    learned = target_entropy if static.temperature == "learned" else None
    core = Core(static, heads, regularizer(static, heads), learned, static.updates)
    learner = sac.algorithm("cql", core)
    return off_policy.make(env, config, learner, dataset_source.make(config))


class Multiplier(NamedTuple):
    """ln of the Lagrange multiplier and its optimiser."""

    log: Float[Array, ""]
    opt: PyTree


class Drawn(NamedTuple):
    """Actions [m, b, d] and the logarithm of the density they were drawn with [m, b]."""

    action: Float[Array, "m b d"]
    log_density: Float[Array, "m b"]


def regularizer(static: Config, heads: Heads) -> Regularizer:
    """CQL as a slot of the soft core; without the penalty only what else differs from SAC."""
    charge = entropy_charge if static.backup_entropy else free
    slots = Regularizer(value=charge)
    if static.max_target:
        slots = replace(slots, backup=partial(best_of, static.cql_actions))
    if not static.conservative:
        return slots
    return replace(
        slots,
        init=lambda actor: started() if static.lagrange else (),
        penalty=partial(penalty, static, heads),
        learn=learn,
    )


def started() -> Multiplier:
    """At e, as in CORL."""
    log = jnp.float32(1.0)
    return Multiplier(log, optim.adam(0.0).init(log))


def free(soft: Soft, alpha: Scalar, ctx: Context) -> Float[Array, " b"]:
    """A target that is not charged for entropy.

    Args:
      soft: for the shape.
      alpha, ctx: unused.
    """
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


def actions(heads: Heads, actor: PyTree, batch: Minibatch, n: int, key: PRNGKeyArray) -> Drawn:
    """n uniform actions and n of the policy's in s and in s', m = 3n in all; constant.

    Args:
      heads: with the policy's network.
      actor: its weights.
      batch: s, s' and the shape of an action are read.
      n: of each of the three kinds.
      key: of the draws.
    """
    uniform_key, here_key, there_key = jax.random.split(key, 3)
    size = batch.action.shape[-1]
    uniform = jax.random.uniform(uniform_key, (n, *batch.action.shape), minval=-1.0)
    parts = (
        Drawn(uniform, jnp.full(uniform.shape[:2], -size * math.log(2.0))),
        draws(heads, actor, batch.obs, n, here_key),
        draws(heads, actor, batch.next_obs, n, there_key),
    )
    return jax.lax.stop_gradient(jax.tree.map(lambda *x: jnp.concatenate(x), *parts))


def draws(heads: Heads, actor: PyTree, obs: Array, n: int, key: PRNGKeyArray) -> Drawn:
    """n actions of the policy for each row, and ln pi of each.

    Args:
      heads: with the policy's network.
      actor: its weights; carry the gradient.
      obs: [b, ...].
      n: actions of each row.
      key: of the draws.
    """
    dist = cast(TanhGaussian, heads.actor.apply(actor, obs))
    dist = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), dist)
    raw = dist.sample(key)
    return Drawn(jnp.tanh(raw), dist.log_prob(raw))


def penalty(
    static: Config,
    heads: Heads,
    state: Multiplier | tuple[()],
    critics: PyTree,
    q: Float[Array, "k b"],
    actor: PyTree,
    batch: Minibatch,
    key: PRNGKeyArray,
    ctx: Context,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """cql_alpha sum_i mean max(soft max_a Q_i(s, a) - Q_i(s, a_data), floor), eq. 4 (CQL(H)).

    The policy's actions in s' are valued in s. With `lagrange` each critic's mean gap less
    `target_gap`, times the multiplier, eq. 30; the multiplier is constant here.

    Args:
      static: cql_actions is read.
      heads: with both networks.
      state: the multiplier; () without `lagrange`.
      critics, actor: their weights.
      q: Q_i(s, a_data) of the same critics.
      batch, key: as in `actions`.
      ctx: cql_alpha, cql_temperature, gap_floor and target_gap are read.

    Returns:
      (the penalty, the gap as the mean over critics), both differentiable in `critics`.
    """
    drawn = actions(heads, actor, batch, static.cql_actions, key)
    obs = jnp.broadcast_to(batch.obs, (len(drawn.action), *batch.obs.shape))
    values = heads.taken(critics, obs, drawn.action)
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
    n: int, heads: Heads, actor: PyTree, critics: PyTree, obs: Array, key: PRNGKeyArray
) -> Soft:
    """The policy's draw of n whose min_i Q_i is largest, and its ln pi.

    Args:
      n: draws of each row.
      heads: with both networks.
      actor, critics: their weights.
      obs: [b, ...].
      key: of the draws.
    """
    dist = cast(TanhGaussian, heads.actor.apply(actor, obs))
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), dist)
    raw = many.sample(key)
    q = heads.taken(critics, jnp.broadcast_to(obs, (n, *obs.shape)), jnp.tanh(raw)).min(0)
    best = q.argmax(0)

    def pick(x: Array) -> Array:
        return jnp.take_along_axis(x, best.reshape(1, -1, *[1] * (x.ndim - 2)), 0)[0]

    return Soft(pick(q), pick(many.log_prob(raw)), dist, pick(raw))


def make_heads(static: Config, env: Environment) -> Heads:
    """A tanh-normal actor and two critics for an environment with continuous actions.

    As in CORL ln sigma's output starts at `log_std_start`, where CORL adds a number (and learns it,
    and a factor).
    """
    obs, size = tuple(env.observation_space.shape), box.size(env.action_space)
    shape = mlp.Shape(static.hidden, static.activation, static.actor_init)
    hidden = static.critic_hidden or static.hidden
    of_critics = mlp.Shape(hidden, static.activation, static.init, static.critic_layer_norm)
    bounds = (static.log_std_min, static.log_std_max)
    bias = jnp.repeat(jnp.array([0.0, static.log_std_start]), size, total_repeat_length=2 * size)
    actor = headed(
        mlp.gaussian_actor(shape, obs, size, static.log_std, bounds),
        len(static.hidden),
        nn.initializers.variance_scaling(static.head_gain**2, "fan_avg", "uniform"),
        bias,
    )
    orthogonal = nn.initializers.orthogonal(static.head_gain)
    one = headed(mlp.critic(of_critics, obs, size), len(hidden), orthogonal, jnp.zeros(1))
    critics = mlp.ensemble(one, 2)
    value = mlp.critic(of_critics, obs, 0)
    return Heads(actor, critics, value, -float(size), partial(draw, actor, critics), critics.apply)


def headed(
    net: Net, layer: int, kernel: nn.initializers.Initializer, bias: Float[Array, " o"]
) -> Net:
    """The net, its last layer drawn anew.

    Args:
      net: an `mlp.MLP`.
      layer: how many layers are below the last.
      kernel: what draws its weights: (key, shape) -> array.
      bias: where its biases start.
    """

    def init(key: PRNGKeyArray) -> PyTree:
        below, head = jax.random.split(key)
        layers = dict(net.init(below)["params"])
        last = layers[f"Linear_{layer}"]["Dense_0"]["kernel"]
        fresh = {"kernel": kernel(head, last.shape), "bias": jnp.array(bias, jnp.float32)}
        return {"params": {**layers, f"Linear_{layer}": {"Dense_0": fresh}}}

    return Net(init, net.apply)
