"""What the tests of MDPO and TRPO share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from ppo_tools import context

from rlsuite.agents.cores.on_policy import Parts
from rlsuite.contracts import registry
from rlsuite.contracts.types import Agent, Context

# Few and small: most of a test's time is the compiler's.
TINY: dict[str, Any] = {
    "num_envs": 4, "num_steps": 16, "hidden": (8,), "value_minibatches": 2, "value_epochs": 1,
}  # fmt: skip
PROBE: dict[str, Any] = {
    "num_envs": 16, "num_steps": 16, "value_epochs": 4, "value_minibatches": 2, "gamma": 0.9,
    "value_learning_rate": 1e-2, "value_clip": False, "gradient_clip": "none", "hidden": (16,),
    "normalize_observations": False, "normalize_rewards": False,
}  # fmt: skip


def setup(name: str, env: Any, horizon: int = 10, **settings: Any) -> tuple[Agent, Context]:
    """An agent by its registry name and its context; `env` is an environment or an id."""
    row = registry.agent(name)
    env = registry.make_env(env) if isinstance(env, str) else env
    config = row.load_config().from_mapping(settings)
    return row.load_make()(env, config), context(config, env, horizon)


def parts_of(agent: Agent) -> Parts:
    """What the agent's functions are bound to."""
    return agent.learn.args[0]  # pyright: ignore[reportFunctionMemberAccess]


def cosine(a: Any, b: Any) -> float:
    """Of the angle between two trees of arrays."""
    x, y = (jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(t)]) for t in (a, b))
    return float(x @ y / (jnp.linalg.norm(x) * jnp.linalg.norm(y)))
