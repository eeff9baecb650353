"""`rlsuite bench updates`: the FLOPs that are counted are those of the traced update."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from rlsuite.bench import updates
from rlsuite.bench.children import walks
from rlsuite.bench.children.run_updates import Noise, layers_of, prepare
from rlsuite.contracts import registry
from rlsuite.engine.run.program import context
from rlsuite.nn import mlp


def products(jaxpr: Any, factor: float = 1.0) -> float:
    """FLOPs of every matrix product in a jaxpr, loops included, dead ones too."""
    total = 0.0
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "dot_general":
            ((left, _), _), x = eqn.params["dimension_numbers"], eqn.invars[0].aval.shape
            inner = 1
            for axis in left:
                inner *= x[axis]
            total += 2 * factor * inner * eqn.outvars[0].aval.size
        elif eqn.primitive.name == "cond":
            total += max(products(branch.jaxpr, factor) for branch in eqn.params["branches"])
        else:
            times = eqn.params.get("length", 1) if eqn.primitive.name == "scan" else 1
            for value in eqn.params.values():
                inside = getattr(value, "jaxpr", value)
                if hasattr(inside, "eqns"):
                    total += products(inside, factor * times)
    return total


@pytest.mark.parametrize("agent_name", updates.KINDS)
def test_counted_flops_are_those_of_an_update(agent_name):
    work, row = updates.Updating(agent_name), registry.agent(agent_name)
    config: Any = row.load_config()()
    agent = row.load_make()(Noise(work.obs, work.action), config)
    data = agent.prepare(walks.dataset(100, work.obs, work.action, 0)) if row.data else None
    ctx = context(agent, config, 1, data)
    state, batch = jax.eval_shape(
        lambda key: agent.collect(agent.init(key, ctx), ctx), jax.random.key(0)
    )
    traced = products(jax.make_jaxpr(agent.learn)(state, batch, ctx).jaxpr)
    # An iteration of an offline agent is of many updates.
    traced /= config.updates
    _, judges, outputs = updates.KINDS[agent_name]
    a, c = sum(updates.layers(17, (256, 256), 6 * outputs)), 71_680
    first_a, first_c, obs_columns = 17 * 256, 23 * 256, 17 * 256
    # What is counted of an actor step, for the steps that a delay leaves out.
    actor = a + judges * (2 * c - first_c + 6 * 256) + 2 * a - first_a
    counted = work.flops() + 512 * actor * (1 - 1 / getattr(config, "policy_delay", 1))
    # Traced but dead, and not counted: in the actor's step the gradient in the critics' observation
    # columns.
    dead = judges * obs_columns
    assert traced == counted + 512 * dead


def test_the_formula_in_numbers():
    assert updates.Updating("td3").flops() == 413_466_624
    assert updates.layers(17, (256, 256), 6) == [4352, 65536, 1536]


@pytest.mark.parametrize("agent_name", ["td3-bc", "prdc"])
def test_a_measurement_of_an_offline_agent_runs(agent_name):
    order = {
        "agent": agent_name, "settings": {"updates": 2, "batch_size": 8, "hidden": [8]},
        "obs": 3, "action": 2, "rows": 50, "seed": 0,
    }  # fmt: skip
    assert prepare(order)() is None


def test_a_measurement_runs_and_refuses_what_is_not_finite():
    settings = {
        "updates": 2, "batch_size": 8, "hidden": [8], "learning_starts": 16, "buffer_size": 32
    }  # fmt: skip
    order = {"agent": "td3", "settings": settings, "obs": 3, "action": 2, "seed": 0}
    assert prepare(order)() is None
    order["settings"] = settings | {"critic_learning_rate": 1e38}
    with pytest.raises(AssertionError):
        prepare(order)()


def test_kinds_of_layers_are_really_those():
    def primitives(kind):
        shape = mlp.Shape(hidden=(8,), activation="tanh", layer_norm=True)
        with layers_of(kind):
            net = mlp.critic(shape, (3,), 2)
            params = jax.eval_shape(net.init, jax.random.key(0))
            return str(jax.make_jaxpr(net.apply)(params, np.ones(3), np.ones(2)))

    inside = {kind: primitives(kind) for kind in updates.LAYERS}
    assert {kind for kind, text in inside.items() if "custom_jvp_call" in text} == {"ours"}


@pytest.mark.parametrize("agent_name", ["ppo", "rebrac"])
def test_kinds_of_layers_are_compared(agent_name, monkeypatch):
    work = updates.Layering(agent_name, ("ours", "flax"), steps=1, repeats=3, rows=600)
    small = {"num_envs": 2, "hidden": [8]} if agent_name == "ppo" else {"updates": 2, "hidden": [8]}
    monkeypatch.setattr(updates.Layering, "settings", lambda self: small)
    found = updates.compare(work)
    assert list(found) == ["ours", "flax"]
    assert all(len(each["updates_per_cpu_second"]) == 3 for each in found.values())
    assert found["ours"]["ratio"] == [1.0, 1.0, 1.0]
    assert found["flax"]["ratio"][0] <= found["flax"]["ratio"][1] <= found["flax"]["ratio"][2]
    assert updates.layer_table(found, work).row_count == 2
