"""PRDC as an agent: TD3's core, its actor kept near its nearest neighbour's action."""

from __future__ import annotations

from functools import partial
from typing import cast

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite.agents.cores import dataset_source, dpg, off_policy
from rlsuite.agents.cores.dpg import Behaviour, Report, Scene, normalized
from rlsuite.agents.cores.off_policy import Recorded
from rlsuite.agents.offline.prdc.config import Config
from rlsuite.contracts import metrics
from rlsuite.contracts.types import Agent, Context, Environment
from rlsuite.data.dataset import Dataset
from rlsuite.data.neighbours import cache, exact, keys, table
from rlsuite.data.neighbours.keys import Found, Index


def make(env: Environment, config: Config) -> Agent:
    """PRDC for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static = config.static()
    near = Behaviour(actor_loss=partial(actor_loss, static))
    prepared = partial(prepare, static, config.standardize_epsilon)
    learner = dpg.constrained("prdc", env, static, near)
    return off_policy.make(env, config, learner, dataset_source.make(config), prepared)


def prepare(static: Config, epsilon: float, data: Dataset) -> Dataset:
    """The data with its index in `extra`, and a table where the search is for one; on the host.

    `epsilon` is only where the index starts from: `beta_of` says how a run's own differs.

    Args:
      static: standardize, search and neighbours are read.
      epsilon: added to the deviation of observations.
      data: as recorded.
    """
    mean, deviation = data.stats.obs_mean, jnp.ones_like(data.stats.obs_std)
    if static.standardize:
        deviation = data.stats.obs_std + jnp.float32(epsilon)
    index = keys.index(data.rows.obs, data.rows.action, mean, deviation)
    on_cpu = jax.default_backend() == "cpu"
    if static.search == "table" or (static.search == "auto" and on_cpu):
        index = cache.with_table(index, static.neighbours)
    return data._replace(extra=index)


def actor_loss(
    static: Config,
    state: PyTree,
    action: Float[Array, "b d"],
    x: Scene,
    key: PRNGKeyArray,
    ctx: Context,
) -> Report:
    """-lambda mean Q1(s, mu(s)) + mean (mu(s) - a_j)^2, lambda = alpha / mean|Q1|, where row j is
    the nearest to (beta s, mu(s)): the authors' code. No gradient passes through j.

    With `distance` "paper" the second term is mean d, d^2 = |beta (s - s_j)|^2 + |mu(s) - a_j|^2:
    Ran et al., 2023, eq. 5.

    Args:
      static: distance is read, and what `nearest` needs.
      state, key: unused.
      action: mu(s); carries the gradient.
      x: with s, its place in the data and Q1, whose parameters are constant.
      ctx: alpha is read, and what `nearest` needs.
    """
    loss = normalized(x.q1(x.batch.obs, action), ctx.hp.alpha)
    place = cast(Recorded, x.batch.recorded).place
    found = nearest(static, action, place, ctx)
    target = ctx.data.rows.action[found.place]
    chex.assert_equal_shape([action, target])
    if static.distance == "code":
        regression = jnp.square(action - target).mean()
    else:
        regression = reached(action - target, found.distance).mean()
    apart = jnp.linalg.norm(jax.lax.stop_gradient(action) - x.batch.action, axis=-1)
    return loss + regression, {
        "policy/distance": metrics.mean(regression),
        "policy/self_neighbour": metrics.mean((found.place == place).astype(jnp.float32)),
        "policy/neighbour_distance": metrics.mean(found.distance),
        "policy/self_distance": metrics.mean(apart),
        "policy/certified": metrics.mean(found.certified.astype(jnp.float32)),
    }


def nearest(static: Config, action: Float[Array, "b d"], place: Array, ctx: Context) -> Found:
    """The row nearest to each drawn row's state with this action. Everything is stop-gradiented.

    Args:
      static: standardize and resolve are read.
      action: of the queries.
      place: [b], of the drawn rows.
      ctx: beta and standardize_epsilon are read, and the data with its index.
    """
    index = ctx.data.extra
    # Nothing prepares the data of whoever calls `learn` by hand.
    assert isinstance(index, Index), "data that went through agent.prepare"
    arguments = index, keys.own(index, place), action, place, beta_of(static, index, ctx)
    if index.table is None:
        return exact.search(*arguments)
    return table.search(*arguments, resolve=static.resolve)


def beta_of(static: Config, index: Index, ctx: Context) -> Float[Array, " s"]:
    """beta of each entry of a state, as the index has it divided: the index is shared by runs whose
    `standardize_epsilon` may differ.

    Args:
      static: standardize is read.
      index: with its own divisor.
      ctx: beta, standardize_epsilon and the data's statistics are read.
    """
    if not static.standardize:
        return jnp.broadcast_to(ctx.hp.beta, index.divisor.shape)
    divisor = (ctx.data.stats.obs_std + ctx.hp.standardize_epsilon).reshape(-1)
    return ctx.hp.beta * (index.divisor / divisor)


def reached(apart: Float[Array, "b d"], distance: Float[Array, " b"]) -> Float[Array, " b"]:
    """`distance`, whose square holds |apart|^2; its gradient in `apart`, which is 0 at 0."""
    rest = jax.lax.stop_gradient(jnp.square(distance) - jnp.square(apart).sum(-1))
    square = jnp.maximum(rest, 0) + jnp.square(apart).sum(-1)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)
