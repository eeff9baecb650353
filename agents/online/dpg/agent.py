"""The deterministic core bound to an environment's spaces."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from rlsuite import mlp
from rlsuite.agents.online.dpg import core as dpg
from rlsuite.agents.online.dpg.pull import Pull
from rlsuite.agents.online.dpg.state import Core
from rlsuite.agents.online.off_policy.state import Algorithm, sizes
from rlsuite.types import Environment


def networks(
    env: Environment,
    static: Any,
    *,
    critics: int,
    policy_delay: int,
    smoothing: bool,
    pull: Pull | None = None,
    shapes: tuple[mlp.Shape, mlp.Shape] | None = None,
) -> Core:
    """The core for an environment's spaces.

    Args:
      env: its observations and actions; nothing is stepped.
      static: of a configuration with the layers of `OffPolicyConfig`.
      critics: how many; the target takes the least.
      policy_delay: critic steps per actor and target step.
      smoothing: whether target actions carry noise.
      pull: what the actor is pulled toward; None: nothing.
      shapes: layers of (actor, critic); None: as the configuration says.
    """
    actor, critic = shapes or sizes(static)
    obs, size = tuple(env.observation_space.shape), math.prod(env.action_space.shape)
    return Core(
        mlp.deterministic_actor(actor, obs, size),
        mlp.ensemble(mlp.critic(critic, obs, size), critics),
        policy_delay,
        smoothing,
        pull or Pull(),
        static.updates,
    )


def algorithm(name: str, core: Core) -> Algorithm:
    """The core as a replay-based algorithm."""
    return Algorithm(
        name=name,
        init=partial(dpg.init, core),
        policy=dpg.policy,
        act=partial(dpg.act, core),
        update=partial(dpg.update, core),
        warm=dpg.warm,
    )
