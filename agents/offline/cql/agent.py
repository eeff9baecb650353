"""CQL as an agent: the soft core on a dataset, its critics conservative."""

from __future__ import annotations

from rlsuite.agents.cores import dataset_source, off_policy, sac
from rlsuite.agents.cores.sac import Core, Scalar
from rlsuite.agents.offline.cql.config import Config
from rlsuite.agents.offline.cql.conservative import make_heads, regularizer
from rlsuite.types import Agent, Context, Environment


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
