"""What the tests of agents on a dataset share: small agents, their pieces, minibatches."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from off_policy_tools import parts_of, start
from offline_tools import dataset_for

from rlsuite.agents.cores.off_policy import Minibatch
from rlsuite.contracts import registry
from rlsuite.contracts.config import fields
from rlsuite.contracts.types import Agent, Context
from rlsuite.engine.run.program import context

SMALL: dict[str, Any] = {
    "hidden": (16,), "critic_hidden": (16,), "batch_size": 16, "updates": 2, "rewards": "none",
}  # fmt: skip


def setup(
    name: str, env: Any = "Pendulum-v1", horizon: int = 100, data: Any = None, **settings: Any
) -> Any:
    """A small agent on random transitions, or on others, and its context."""
    env = registry.make_env(env) if isinstance(env, str) else env
    row = registry.agent(name)
    known = fields(row.load_config())
    small = {name: value for name, value in SMALL.items() if name in known}
    config = row.load_config().from_mapping(small | settings)
    agent = row.load_make()(env, config)
    return agent, context(agent, config, horizon, agent.prepare(data or dataset_for(env)))


def pieces(agent: Agent, ctx: Context) -> tuple[Any, Any]:
    """The algorithm, and a learner at its start."""
    return parts_of(agent).algorithm, start(agent, ctx).learner


def batch_of(n: int = 16, obs: int = 3, actions: int = 1, seed: int = 0) -> Minibatch:
    """Random transitions, a fifth of them the last of their world."""
    keys = jax.random.split(jax.random.key(seed), 5)
    return Minibatch(
        jax.random.normal(keys[0], (n, obs)),
        jax.random.uniform(keys[1], (n, actions), minval=-1.0),
        jax.random.normal(keys[2], (n,)),
        0.9 * jax.random.bernoulli(keys[3], 0.8, (n,)),
        jax.random.normal(keys[4], (n, obs)),
    )


def number(report: Any, name: str) -> float:
    """The mean a report holds."""
    return float(report[name].sum / report[name].count)


def bump(ctx: Context, name: str, by: float = 1.5) -> Context:
    """The context with one traced setting changed; gamma and tau must stay below 1."""
    factor = 0.5 if name in ("gamma", "expectile", "odice_lambda") else by
    return ctx._replace(hp=ctx.hp.replace(**{name: getattr(ctx.hp, name) * factor}))


def flat(tree: Any) -> Any:
    """All leaves as one vector."""
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])
