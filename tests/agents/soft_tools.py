"""What the tests of SAC and MDPO off-policy share: cores, batches, and seeds side by side."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from ppo_tools import context

from rlsuite.agents.cores import sac as soft
from rlsuite.agents.cores.off_policy import Minibatch
from rlsuite.agents.cores.sac import Core, Regularizer
from rlsuite.contracts import registry
from rlsuite.contracts.types import Agent, Context
from rlsuite.nn.mlp import Net

OBS, ACTIONS = 3, 2
BOX = spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)
SEEN = spaces.Box(-1.0, 1.0, (OBS,), np.float32)
SMALL = {"hidden": (8,), "batch_size": 16, "buffer_size": 256, "learning_starts": 32}


def setup(name: str, env: Any, horizon: int = 10, **settings: Any) -> tuple[Agent, Context]:
    """An agent and its context; `env` is an environment or an id."""
    env = registry.make_env(env) if isinstance(env, str) else env
    row = registry.agent(name)
    config = row.load_config().from_mapping(settings)
    return row.load_make()(env, config), context(config, env, horizon)


def core_of(name: str = "sac", action_space: Any = BOX, **settings: Any) -> tuple[Core, Context]:
    """SAC's core on a box of two actions, and a context with the settings' traced values."""
    config = registry.agent(name).load_config().from_mapping({**SMALL, **settings})
    static: Any = config.static()
    kind = soft.make_heads(static, SEEN, action_space)
    learned = getattr(static, "temperature", "fixed") == "learned"
    target = (lambda ctx: kind.entropy * ctx.hp.target_entropy_scale) if learned else None
    ctx = context(config, SimpleNamespace(default_params=None))
    return Core(static, kind, Regularizer(), target), ctx


def given(q: Any) -> Net:
    """Critics whose values are given: a function of the action, or a table of actions' values.

    Both members are the same; parameters are empty.
    """

    def apply(params: Any, obs: Any, *action: Any) -> Any:
        values = q(*action) if action else jnp.broadcast_to(q, (*obs.shape[:-1], len(q)))
        return jnp.stack([values, values])

    return Net(lambda key: ((), ()), apply)


def batch_of(n: int = 16, seed: int = 0) -> Minibatch:
    """Random transitions on `SEEN` and `BOX`."""
    keys = jax.random.split(jax.random.key(seed), 5)
    return Minibatch(
        jax.random.normal(keys[0], (n, OBS)),
        jax.random.uniform(keys[1], (n, ACTIONS), minval=-1.0),
        jax.random.normal(keys[2], (n,)),
        0.9 * jax.random.bernoulli(keys[3], 0.8, (n,)),
        jax.random.normal(keys[4], (n, OBS)),
    )


def train(agent: Agent, ctx: Context, seeds: int) -> Any:
    """The last states of seeds trained side by side over the whole horizon."""

    def run(key: jax.Array) -> Any:
        body = partial(agent.step, ctx=ctx)
        state = agent.init(key, ctx)
        return jax.lax.scan(lambda s, _: (body(s)[0], None), state, None, int(ctx.horizon))[0]

    return jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), seeds))
