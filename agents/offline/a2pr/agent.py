"""A2PR as an agent: TD3's core, its actor kept near the better of two actions."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from rlsuite import mlp
from rlsuite.agents.cores import dataset_source, dpg, off_policy
from rlsuite.agents.cores.dpg import Behaviour
from rlsuite.agents.offline.a2pr import guide
from rlsuite.agents.offline.a2pr.config import Config
from rlsuite.types import Agent, Environment


def make(env: Environment, config: Config) -> Agent:
    """A2PR for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static = config.static()
    bound = parts(env, static)
    better = Behaviour(
        init=partial(guide.init, bound),
        update=partial(guide.update, bound),
        actor_loss=partial(guide.actor_loss, bound),
    )
    learner = dpg.constrained("a2pr", env, static, better)
    return off_policy.make(env, config, learner, dataset_source.make(config))


def parts(env: Environment, static: Config) -> guide.Parts:
    """V as deep as the critics, the VAE, and what to do with them."""
    actor, critic = off_policy.shapes(static)
    obs, size = tuple(env.observation_space.shape), math.prod(env.action_space.shape)
    return guide.Parts(
        mlp.critic(critic, obs, 0),
        guide.vae(replace(actor, hidden=static.vae_hidden), obs, size, static.latent or 2 * size),
        static.batch_size,
        static.choice,
        static.gate,
        static.select,
        static.detach_target,
    )
