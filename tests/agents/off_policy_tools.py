"""What the tests of replay-based agents share: a world that counts, small agents, contexts."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from rlsuite.agents.online import ddpg, td3
from rlsuite.contracts import keys, registry
from rlsuite.contracts.types import Agent, Context, TimeStep
from rlsuite.engine.run.program import context

SMALL: dict[str, Any] = {
    "hidden": (16, 16), "batch_size": 32, "buffer_size": 1024, "learning_starts": 64,
    "learning_rate": 3e-3, "critic_learning_rate": 3e-3, "gamma": 0.9, "tau": 0.05,
}  # fmt: skip


class ClockState(NamedTuple):
    """Steps of this episode, and which episode of this copy it is."""

    time: Any
    length: Any


class Clock:
    """The observation is 100 x the episode's length + the time; even lengths end by a time limit,
    odd ones because the world does. The reward is the time of the step it is for."""

    id = "Clock"
    resumable = True
    time_limit = None
    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = spaces.Box(np.float32(-2.0), np.float32(4.0), (2,), np.float32)
    default_params = ()

    def reset(self, key: Any, params: Any) -> Any:
        state = ClockState(jnp.int32(0), jax.random.randint(key, (), 2, 6))
        return state, self.see(state)

    def see(self, state: ClockState) -> Any:
        return (100.0 * state.length + state.time)[None]

    def step(self, key: Any, state: ClockState, action: Any, params: Any) -> Any:
        new = ClockState(state.time + 1, state.length)
        over, even = new.time >= state.length, state.length % 2 == 0
        reward = state.time.astype(jnp.float32)
        return new, TimeStep(self.see(new), reward, over & ~even, over & even, {"action": action})


def setup(env: Any, agent: str = "td3", **settings: Any) -> tuple[Agent, Context]:
    """An agent and its context; `env` is an environment or an id."""
    env = registry.make_env(env) if isinstance(env, str) else env
    module: Any = {"td3": td3, "ddpg": ddpg}[agent]
    config = module.Config.from_mapping(SMALL | settings)
    made = module.make(env, config)
    return made, context(made, config, 100)


def parts_of(agent: Any) -> Any:
    """What the agent's functions are bound to."""
    return agent.learn.args[0]


def ring_of(agent: Any) -> Any:
    """What the functions of its replay are bound to."""
    return parts_of(agent).source.collect.args[0]


def start(agent: Agent, ctx: Context, seed: int = 0) -> Any:
    """The state before the first update."""
    return jax.jit(agent.init)(keys.root(seed), ctx)


def train(agent: Agent, ctx: Context, seeds: int, iterations: int) -> Any:
    """The last states of seeds trained side by side."""

    def run(key: Any) -> Any:
        body = partial(agent.step, ctx=ctx)
        state = agent.init(key, ctx)
        return jax.lax.scan(lambda s, _: (body(s)[0], None), state, None, iterations)[0]

    return jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), seeds))


def assert_equal(a: Any, b: Any) -> None:
    """Equal trees, bit for bit."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True
    ):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes(), jax.tree_util.keystr(path)
