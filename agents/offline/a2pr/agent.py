"""A2PR as an agent: TD3's core, its actor pulled to the better of two actions."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

from rlsuite import mlp
from rlsuite.agents.offline.a2pr import guide, vae
from rlsuite.agents.offline.a2pr.config import Config
from rlsuite.agents.offline.pulled.agent import make as make_pulled
from rlsuite.agents.online.dpg.pull import Pull
from rlsuite.agents.online.off_policy.state import sizes
from rlsuite.types import Agent, Environment


def make(env: Environment, config: Config) -> Agent:
    """A2PR for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    bound = parts(env, config.static())
    pull = Pull(
        init=partial(guide.init, bound),
        update=partial(guide.update, bound),
        actor_loss=partial(guide.actor_loss, bound),
    )
    return make_pulled("a2pr", env, config, pull)


def parts(env: Environment, static: Any) -> guide.Parts:
    """V as deep as the critics, the VAE, and what to do with them."""
    actor, critic = sizes(static)
    obs, size = tuple(env.observation_space.shape), math.prod(env.action_space.shape)
    return guide.Parts(
        mlp.critic(critic, obs, 0),
        vae.make(replace(actor, hidden=static.vae_hidden), obs, size, static.latent or 2 * size),
        static.batch_size,
        static.choice,
        static.gate,
        static.select,
        static.detach_target,
    )
