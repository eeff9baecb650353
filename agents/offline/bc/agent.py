"""Behaviour cloning on a dataset: a step of regression, and which rows %BC learns from."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from rlsuite.agents.cores import cloning, dataset_source, off_policy
from rlsuite.agents.cores.cloning import Cloned
from rlsuite.agents.cores.off_policy import Minibatch, actor_shape
from rlsuite.agents.offline.bc.config import Config
from rlsuite.contracts import box
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Agent, Context, Environment
from rlsuite.data.dataset import Dataset
from rlsuite.nn.mlp import Net


def make(env: Environment, config: Config) -> Agent:
    """Behaviour cloning for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static = config.static()
    obs, size = tuple(env.observation_space.shape), box.size(env.action_space)
    net = cloning.network(static, actor_shape(static), obs, size)
    algorithm = cloning.algorithm(
        "bc", net, partial(init, net), partial(update, static, net, 1.0 / size)
    )
    prepare = partial(best_trajectories, static.fraction, static.return_discount)
    return off_policy.make(env, config, algorithm, dataset_source.make(config), prepare)


def init(net: Net, key: PRNGKeyArray, ctx: Context) -> Cloned:
    """Nothing learned yet.

    Args:
      net: the policy's.
      key: of its weights.
      ctx: adam_epsilon is read.
    """
    return Cloned(cloning.start(net, key, ctx), jnp.int32(0))


def update(
    static: Config,
    net: Net,
    share: float,
    learner: Cloned,
    batch: Minibatch,
    key: PRNGKeyArray,
    ctx: Context,
) -> tuple[Cloned, Metrics]:
    """Down mean (mu(s) - a)^2 over rows and the action's entries (`share` is one over their
    number), or down mean -ln pi(a|s).

    Args:
      static: policy says which of the two.
      net: the policy's.
      share: 1/d.
      learner: before the update.
      batch: of observations and actions; nothing else is read.
      key: unused: nothing is drawn.
      ctx: as in `cloning.step`.
    """
    weight = share if static.policy == "deterministic" else 1.0
    actor, report = cloning.step(static, net, learner.actor, batch, weight, learner.updates, ctx)
    return Cloned(actor, learner.updates + 1), report


def best_trajectories(fraction: float, discount: float, data: Dataset) -> Dataset:
    """The data of which only rows of the best trajectories may be drawn; observations are
    standardised by those rows' statistics.

    Args:
      fraction: of the trajectories; rounded down, but at least one is kept.
      discount: of the returns that order them. Of equal returns the earlier trajectory is better.
      data: its rewards are taken as recorded.
    """
    if fraction == 1.0:
        return data
    reward, episode = np.asarray(data.rows.reward, np.float64), np.asarray(data.rows.episode)
    number, returns = discounted_returns(reward, episode, discount)
    # A hair more, so that 0.29 of 100 is 29.
    keep = max(1, int(fraction * len(returns) + 1e-9))
    best = np.argsort(-returns, kind="stable")[:keep]
    kept = np.flatnonzero(np.isin(number, best))
    obs = np.asarray(data.rows.obs, np.float64)[kept]
    mean, deviation = (jnp.asarray(x, jnp.float32) for x in (obs.mean(0), obs.std(0)))
    stats = data.stats._replace(obs_mean=mean, obs_std=deviation)
    return data._replace(kept=jnp.asarray(kept, jnp.int32), stats=stats)


def discounted_returns(
    reward: Float[np.ndarray, " n"], episode: Int[np.ndarray, " n"], discount: float
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " t"]]:
    """(the trajectory of each row, sum_t discount^t r_t of each trajectory).

    Args:
      reward: [n], of rows in the order they were recorded.
      episode: [n]; a trajectory is a stretch of rows with the same number.
      discount: in [0, 1].
    """
    first = np.diff(episode, prepend=episode[:1] - 1) != 0
    starts = np.flatnonzero(first)
    number = np.cumsum(first) - 1
    time = np.arange(len(reward)) - starts[number]
    return number, np.add.reduceat(reward * discount**time, starts)
