"""What the tests of TD3's offline relatives share: small agents on small data, hand-made scenes."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from off_policy_tools import Clock, parts_of
from offline_tools import dataset_for

from rlsuite.agents.cores.dpg import Scene
from rlsuite.agents.cores.off_policy import Minibatch, Recorded
from rlsuite.contracts import keys
from rlsuite.contracts.types import Agent, Context
from rlsuite.data.dataset import Dataset, Rows, Stats
from rlsuite.engine.run.program import context

SMALL: dict[str, Any] = {
    "hidden": (16, 16), "critic_hidden": (16, 16), "batch_size": 32, "updates": 4,
    "learning_rate": 3e-3, "critic_learning_rate": 3e-3, "gamma": 0.9, "tau": 0.05,
}  # fmt: skip


def setup(module: Any, data: Any = None, **settings: Any) -> tuple[Agent, Context]:
    """A small agent on a world with one observation entry and two actions, and its context."""
    env: Any = Clock()
    config = module.Config.from_mapping(SMALL | settings)
    agent = module.make(env, config)
    return agent, context(agent, config, 100, dataset_for(env) if data is None else data)


def start(agent: Agent, ctx: Context, seed: int = 0) -> Any:
    """The state before the first update."""
    return jax.jit(agent.init)(keys.root(seed), ctx)


def runner(agent: Agent, iterations: int) -> Any:
    """(state, ctx) -> (the state after some iterations, each one's metrics stacked), compiled."""

    def run(state: Any, ctx: Context) -> Any:
        body = partial(agent.step, ctx=ctx)
        return jax.lax.scan(lambda s, _: body(s), state, None, iterations)

    return jax.jit(run)


def actors_output(agent: Agent, iterations: int, seeds: int, obs: Any) -> Any:
    """ctx -> mu(obs) of seeds trained side by side, [seeds, b, d], compiled."""

    def run(key: Any, ctx: Context) -> Any:
        state, _ = runner(agent, iterations)(agent.init(key, ctx), ctx)
        core = parts_of(agent).algorithm.update.args[0]
        return core.actor.apply(state.learner.actor, obs)

    every = jax.jit(jax.vmap(run, (0, None)))
    return partial(every, jax.random.split(jax.random.key(0), seeds))


def dense(params: Any) -> list[dict[str, np.ndarray]]:
    """Kernel and bias of each dense layer of a network, in order."""
    tree = params["params"]
    names = sorted((n for n in tree if n.startswith("Linear")), key=lambda n: int(n[7:]))
    return [jax.tree.map(np.asarray, tree[name]["Dense_0"]) for name in names]


def bandit(obs: Any, action: Any, reward: Any) -> Dataset:
    """Rows after each of which the world ends."""
    n = len(reward)
    over: Any = np.ones(n, bool)
    blank, number = ~over, jnp.arange(n)
    rows = Rows(obs, action, reward, over, blank, obs, action, blank, number)
    ends = [jnp.float32(reward.min()), jnp.float32(reward.max())]
    stats = Stats(obs.mean(0), obs.std(0) + 1, *ends, *ends)
    return jax.tree.map(jnp.asarray, Dataset(rows, stats))


def batch_of(obs: Any, action: Any, next_action: Any = None, next_valid: Any = None) -> Minibatch:
    """A minibatch of transitions that go on, rewards 0."""
    obs, action = jnp.asarray(obs, jnp.float32), jnp.asarray(action, jnp.float32)
    n = obs.shape[0]
    extra = Recorded(
        jnp.arange(n),
        action if next_action is None else jnp.asarray(next_action, jnp.float32),
        jnp.ones(n, bool) if next_valid is None else jnp.asarray(next_valid),
    )
    return Minibatch(obs, action, jnp.zeros(n), jnp.full(n, 0.9), obs, extra)


def scene_of(batch: Minibatch, *heads: Any) -> Scene:
    """A scene whose critics, and targets, are these functions of (obs, action)."""

    def every(obs: Any, action: Any) -> Any:
        return jnp.stack([head(obs, action) for head in heads])

    return Scene(batch, batch.action, heads[0], every, every)


def assert_close(a: Any, b: Any, rtol: float = 1e-3, atol: float = 2e-5) -> None:
    """Nearly equal trees."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


def assert_nothing_baked_in(agent: Agent, ctx: Context, names: list[str]) -> None:
    """Each of these settings changes what is learned, and none of them the program."""
    traces = []

    def learn(state: Any, batch: Any, ctx: Context) -> Any:
        traces.append(1)
        return agent.learn(state, batch, ctx)[0].learner

    state, batch = jax.jit(agent.collect)(start(agent, ctx), ctx)
    compiled = jax.jit(learn)
    usual = jax.tree.leaves(compiled(state, batch, ctx))
    for name in names:
        changed = ctx.hp.replace(**{name: 1.5 * getattr(ctx.hp, name) + 0.1})
        other = jax.tree.leaves(compiled(state, batch, ctx._replace(hp=changed)))
        assert any((a != b).any() for a, b in zip(usual, other, strict=True)), name
    assert len(traces) == 1


def assert_differentiable(agent: Agent, ctx: Context, names: list[str]) -> None:
    """The sum of all losses has finite derivatives in every setting, and others than 0 in these."""
    state, batch = jax.jit(agent.collect)(start(agent, ctx), ctx)

    def objective(hp: Any) -> Any:
        report: Any = agent.learn(state, batch, ctx._replace(hp=hp))[1]
        return sum(value.sum for name, value in report.items() if name.startswith("loss/"))

    grads = jax.jit(jax.grad(objective))(ctx.hp)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(grads))
    assert all(getattr(grads, name) != 0 for name in names)
