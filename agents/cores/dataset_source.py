"""Minibatches from a dataset: rows drawn with replacement, scaled as the papers do.

`beside` puts them beside those of another source: offline-to-online, or a model's own rollouts.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PRNGKeyArray, PyTree

from rlsuite.agents.cores.config import DatasetConfig
from rlsuite.agents.cores.off_policy import (
    Minibatch,
    Parts,
    Policy,
    Recorded,
    Scale,
    Source,
    State,
    seen,
)
from rlsuite.contracts.keys import Purpose, stream
from rlsuite.contracts.types import Context
from rlsuite.data import dataset, transforms

Places = Int[Array, "u b"]


def make(config: DatasetConfig, running: bool = False) -> Source:
    """The source of an agent that learns from `ctx.data` and meets no environment.

    Args:
      config: settings; traced fields are read from `ctx.hp`, not from here.
      running: `Source.running` of a source that it stands beside.
    """
    static = config.static()
    return Source(
        start=partial(start, static),
        collect=partial(collect, static),
        observe=lambda state, collected: state,
        deal=partial(deal, static),
        minibatch=partial(minibatch, static, running),
        report=lambda collected: {},
    )


def start(
    static: DatasetConfig, parts: Parts, state: State, ctx: Context, warm: Policy | None
) -> State:
    """With the dataset's scale, whatever policy it starts from.

    Args:
      static: standardize is read.
      parts: unused.
      state: new, with a learner.
      ctx: the data's statistics and standardize_epsilon are read.
      warm: unused, its scale too.
    """
    if not static.standardize:
        return state
    stats = ctx.data.stats
    # A copy: the state is donated, the data is not.
    divisor = stats.obs_std + ctx.hp.standardize_epsilon
    return state.replace(scale=Scale(jnp.copy(stats.obs_mean), divisor))


def collect(
    static: DatasetConfig, parts: Parts, state: State, ctx: Context
) -> tuple[State, Places]:
    """Which rows the next updates see.

    Args:
      static: updates and batch_size are read.
      parts: unused.
      state: its key and counters say what is drawn.
      ctx: with the data.

    Returns:
      (the state, places of rows, those of each update in a row of their own).
    """
    key = stream(state.key, Purpose.DATASET, state.counters.collects)
    places = dataset.draw(ctx.data, key, (static.updates, static.batch_size))
    counters = state.counters.replace(collects=state.counters.collects + 1)
    return state.replace(counters=counters), places


def deal(
    static: DatasetConfig, places: Places, key: PRNGKeyArray
) -> tuple[Places, Key[Array, " u"]]:
    """The rows of each minibatch, and a key for its gradient step.

    Args:
      static: updates is read.
      places: of `collect`.
      key: of the iteration.
    """
    # Split at once: on a CPU each split takes as long as two hundred random numbers.
    return places, jax.random.split(key, static.updates)


def minibatch(
    static: DatasetConfig, running: bool, state: State, places: Int[Array, " b"], ctx: Context
) -> Minibatch:
    """The rows at some places: observations scaled, rewards transformed; a time limit's future
    counts. Agents that value nothing have neither `rewards` nor `gamma`: theirs are as recorded.

    Args:
      static: rewards names the transform.
      running: as in `Source`; the dataset's scale is applied after it.
      state: how observations are normalised.
      places: of the rows.
      ctx: with the data, and gamma where there is one.

    Returns:
      The minibatch; its discount is 0 only where terminated.
    """
    rows = dataset.take(ctx.data, places)
    rewards, gamma = getattr(static, "rewards", "none"), getattr(ctx.hp, "gamma", 1.0)
    factor, shift = transforms.reward_affine(rewards, ctx.data.stats)
    return Minibatch(
        obs=seen(running, state, rows.obs),
        action=rows.action,
        reward=factor * rows.reward + shift,
        discount=jnp.where(rows.terminated, 0.0, gamma),
        next_obs=seen(running, state, rows.next_obs),
        recorded=Recorded(places, rows.next_action, rows.next_valid),
    )


class Both(NamedTuple):
    """What two sources collected, or what a minibatch of each is drawn by."""

    recorded: PyTree
    acted: PyTree


def beside(recorded: Source, acted: Source) -> Source:
    """Minibatches that hold those of both sources, the recorded rows first.

    Each has the `batch_size` of the configuration it was made from. Of what a recording says beside
    the transitions nothing is left.

    Args:
      recorded: of `make`, with the other's `running`.
      acted: a source that acts, in an environment or in a model of one.
    """

    def start(parts: Parts, state: State, ctx: Context, warm: Policy | None) -> State:
        return acted.start(parts, recorded.start(parts, state, ctx, warm), ctx, warm)

    def collect(parts: Parts, state: State, ctx: Context) -> tuple[State, Both]:
        state, places = recorded.collect(parts, state, ctx)
        state, collected = acted.collect(parts, state, ctx)
        return state, Both(places, collected)

    def deal(both: Both, key: PRNGKeyArray) -> tuple[Both, Key[Array, " u"]]:
        acted_key, recorded_key = jax.random.split(key)
        drawn, keys = acted.deal(both.acted, acted_key)
        return Both(recorded.deal(both.recorded, recorded_key)[0], drawn), keys

    def minibatch(state: State, by: Both, ctx: Context) -> Minibatch:
        old = recorded.minibatch(state, by.recorded, ctx)._replace(recorded=())
        new = acted.minibatch(state, by.acted, ctx)
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), old, new)

    return replace(
        acted,
        start=start,
        collect=collect,
        observe=lambda state, both: acted.observe(state, both.acted),
        deal=deal,
        minibatch=minibatch,
        report=lambda both: acted.report(both.acted),
    )
