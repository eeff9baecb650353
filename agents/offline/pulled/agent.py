"""TD3's core on a dataset, with a pull."""

from __future__ import annotations

from typing import Any

from rlsuite import mlp
from rlsuite.agents.offline.base.agent import Prepare
from rlsuite.agents.offline.base.agent import make as make_offline
from rlsuite.agents.offline.pulled.config import PulledConfig
from rlsuite.agents.online.dpg.agent import algorithm, networks
from rlsuite.agents.online.dpg.pull import Pull
from rlsuite.types import Agent, Environment


def make(
    name: str,
    env: Environment,
    config: PulledConfig,
    pull: Pull,
    prepare: Prepare = lambda data: data,
    shapes: tuple[mlp.Shape, mlp.Shape] | None = None,
) -> Agent:
    """The agent whose actor is pulled so.

    Args:
      name: the registry's.
      env: with a Box of actions.
      config: settings.
      pull: what the actor is pulled toward; it sees `Batch.extra` as `base.state.Extra`.
      prepare: what it derives from the data once, see `Agent`.
      shapes: layers of (actor, critic); None: as the configuration says.
    """
    static: Any = config.static()
    core = networks(
        env,
        static,
        critics=2,
        policy_delay=static.policy_delay,
        smoothing=True,
        pull=pull,
        shapes=shapes,
    )
    return make_offline(env, config, algorithm(name, core), prepare)
