"""CQL as an agent: the soft core on a dataset, its critics conservative."""

from __future__ import annotations

from typing import Any

from rlsuite.agents.offline.base.agent import make as make_offline
from rlsuite.agents.offline.cql import networks
from rlsuite.agents.offline.cql.config import Config
from rlsuite.agents.offline.cql.conservative import regularizer
from rlsuite.agents.online.soft.agent import algorithm
from rlsuite.agents.online.soft.core import Core
from rlsuite.types import Agent, Context, Environment


def make(env: Environment, config: Config) -> Agent:
    """CQL for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static: Any = config.static()
    kind = networks.make(static, env)

    def target_entropy(ctx: Context) -> Any:
        return kind.entropy * ctx.hp.target_entropy_scale

    learned = target_entropy if static.temperature == "learned" else None
    core = Core(static, kind, regularizer(static, kind), learned)
    return make_offline(env, config, algorithm("cql", core))
