"""Every shipped preset builds, fits its budget and traces; one of each agent really runs."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from offline_tools import dataset_for

from rlsuite.contracts import config, registry
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.run.program import context

# Where a preset lists no environments: one it was published for.
PUBLISHED_FOR = {
    "cleanrl-classic": "CartPole-v1",
    "cleanrl-mujoco": "mujoco:Hopper-v4",
    "cleanrl-massively-parallel": "brax:ant",
    "purejaxrl": "CartPole-v1",
    "purejaxrl-minatar": "Breakout-MinAtar",
    "purejaxrl-brax": "brax:hopper",
    "purejaxrl-minigrid": "CartPole-v1",
    "dpo-purejaxrl-brax": "brax:hopper",
}
# Names that several agents use for other environments.
PUBLISHED_FOR_AGENT = {
    ("mdpo", "loaded"): "mujoco:Hopper-v4",
    ("mdpo", "minimal"): "mujoco:Hopper-v4",
    ("trpo", "loaded"): "mujoco:Hopper-v4",
    ("trpo", "minimal"): "mujoco:Hopper-v4",
    ("trpo", "policy-gradients-jax"): "mujoco:Hopper-v4",
    ("td3", "authors"): "mujoco:Hopper-v4",
    ("td3", "cleanrl"): "mujoco:Hopper-v4",
    ("sac", "cleanrl"): "mujoco:Hopper-v4",
    ("sac", "cleanrl-minatar"): "Breakout-MinAtar",
    ("sac", "mdpo-authors"): "mujoco:Hopper-v4",
    ("ddpg", "ourddpg"): "mujoco:Hopper-v4",
    ("ddpg", "cleanrl"): "mujoco:Hopper-v4",
    ("td3-bc", "authors"): "mujoco:Hopper-v4",
    ("rebrac", "authors"): "mujoco:Hopper-v4",
    ("a2pr", "authors"): "mujoco:Hopper-v4",
    ("iql", "authors"): "mujoco:Hopper-v4",
    ("iql", "corl"): "mujoco:Hopper-v4",
    ("odice", "authors"): "mujoco:Hopper-v4",
    ("bc", "bc"): "mujoco:Hopper-v4",
    ("bc", "10-percent"): "mujoco:Hopper-v4",
    ("cql", "corl"): "mujoco:Hopper-v4",
}
RUN = {
    "ppo": ("purejaxrl", "CartPole-v1"),
    "mdpo": ("classic", "CartPole-v1"),
    "trpo": ("classic", "Pendulum-v1"),
    "td3": ("rejax", "Pendulum-v1"),
    "ddpg": ("sb3-zoo", "Pendulum-v1"),
    "sac": ("rejax", "CartPole-v1"),
    "mdpo-off": ("pendulum", "Pendulum-v1"),
    "td3-bc": ("authors", "Pendulum-v1"),
    "rebrac": ("authors", "Pendulum-v1"),
    "a2pr": ("authors", "Pendulum-v1"),
    "iql": ("authors", "Pendulum-v1"),
    "odice": ("authors", "Pendulum-v1"),
    "bc": ("10-percent", "Pendulum-v1"),
    "cql": ("corl", "Pendulum-v1"),
    "prdc": ("authors", "mujoco:Hopper-v4"),
}
CONTINUOUS = ("mujoco:", "brax:", "Pendulum", "MountainCarContinuous")
PRESETS = [(row, name) for row in registry.agents().values() for name in row.load_presets()]
IDS = [f"{row.name}-{name}" for row, name in PRESETS]


def environments(row: registry.AgentRow, name: str) -> list[str]:
    """Those a preset has a set for."""
    listed = list(row.load_presets()[name].get("env", {}))
    return listed or [PUBLISHED_FOR_AGENT.get((row.name, name)) or PUBLISHED_FOR[name]]


def stand_in(env_id: str) -> Any:
    """A small environment with the same kind of actions (and images)."""
    if env_id.endswith("-MinAtar"):
        return registry.make_env(env_id)
    continuous = env_id.startswith(CONTINUOUS)
    return registry.make_env("Probe-BestAction" + "-Continuous" * continuous)


def build(row: registry.AgentRow, name: str, env_id: str) -> tuple[Any, int]:
    """(configuration, budget) as the command line makes them, of the first dataset that is listed
    where only those have a set."""
    table = row.load_presets()[name]
    listed = table.get("only_listed") and not table.get("env") and next(iter(table["dataset"]))
    settings, run = registry.resolve_preset(row, name, env_id, listed or "")
    return row.load_config().from_mapping(settings), run["total_steps"]


def made(row: registry.AgentRow, agent_config: Any, env: Any) -> tuple[Any, Any]:
    """The agent and what it is given."""
    agent = row.load_make()(env, agent_config)
    data = agent.prepare(dataset_for(env)) if row.data else None
    return agent, context(agent, agent_config, 1, data)


@pytest.mark.parametrize(("row", "name"), PRESETS, ids=IDS)
def test_every_set_is_a_configuration_with_a_budget(row, name):
    known = config.fields(row.load_config())
    table = row.load_presets()[name]
    assert table["source"]
    assert "\n" not in table["source"]
    for env_id in environments(row, name):
        agent_config, total_steps = build(row, name, env_id)
        assert total_steps >= agent_config.steps_per_iteration(), env_id
        # A typo of an environment's own key would be laid over nothing.
        assert set(table.get("env", {}).get(env_id, {})) <= {*known, "total_steps"}
        if ":" not in env_id:
            row_kind = registry.env(env_id).action.kind
            assert (row_kind == "box") == env_id.startswith(CONTINUOUS)


@pytest.mark.parametrize(("row", "name"), PRESETS, ids=IDS)
def test_every_datasets_set_is_a_configuration_and_the_dataset_is_known(row, name):
    for dataset in row.load_presets()[name].get("dataset", {}):
        settings, _ = registry.resolve_preset(row, name, "", dataset)
        row.load_config().from_mapping(settings)
        assert dataset in registry.datasets()


@pytest.mark.parametrize(("row", "name"), PRESETS, ids=IDS)
def test_every_preset_traces(row, name):
    env_id = environments(row, name)[0]
    agent_config, _ = build(row, name, env_id)
    agent, ctx = made(row, agent_config, stand_in(env_id))
    state = jax.eval_shape(agent.init, jax.random.key(0), ctx)
    after, _ = jax.eval_shape(agent.step, state, ctx)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
        lambda x: (x.shape, x.dtype), state
    )


@pytest.mark.parametrize("agent_name", RUN)
def test_one_preset_of_each_agent_runs(agent_name):
    row, (preset, env_id) = registry.agent(agent_name), RUN[agent_name]
    agent_config, _ = build(row, preset, env_id)
    if row.data:
        # Published networks, a few steps of them: an iteration of a hundred takes a minute.
        agent_config = row.load_config().from_mapping({"updates": 4}, agent_config)
    agent, ctx = made(row, agent_config, registry.make_env(env_id))
    state, step = jax.jit(agent.init)(jax.random.key(0), ctx), jax.jit(agent.step)
    state, report = step(step(state, ctx)[0], ctx)
    acted = 0 if row.data else agent.prefill + 2 * agent.steps_per_iteration
    assert int(state.counters.env_steps) == acted
    learned = jax.tree.leaves((agent.policy(state), report))
    assert all(np.isfinite(leaf).all() for leaf in learned)


def test_some_preset_of_every_agent_is_run():
    assert set(RUN) == set(registry.agents())


def test_a_restricted_preset_names_the_nearest_environment():
    row = registry.agent("ppo")
    with pytest.raises(UsageError, match="no set for CartPole-v0: did you mean 'CartPole-v1'"):
        registry.resolve_preset(row, "gymnax-blines", "CartPole-v0")
    with pytest.raises(UsageError, match="no preset 'purejaxr': did you mean 'purejaxrl'"):
        registry.resolve_preset(row, "purejaxr", "CartPole-v1")


@pytest.mark.parametrize(
    ("preset", "env_id", "expected"),
    [
        ("gymnax-blines-minatar", "Asterix-MinAtar", {"gamma": 0.999, "learning_rate": 5e-4}),
        ("open-minatar", "SpaceInvaders-MinAtar", {"learning_rate": 7e-3, "adam_b2": 0.99}),
        ("rejax", "Pendulum-v1", {"activation": "swish", "gradient_clip": "element"}),
        ("brax", "brax:ant", {"num_envs": 4096, "num_steps": 80, "epochs": 4}),
        ("sb3-zoo", "mujoco:Hopper-v4", {"minibatches": 16, "hidden": (256, 256)}),
        ("dpo-purejaxrl-brax", "brax:hopper", {"drift": "dpo", "dpo_alpha": 2.0}),
    ],
)
def test_the_environments_table_is_laid_over_the_preset(preset, env_id, expected):
    agent_config, _ = build(registry.agent("ppo"), preset, env_id)
    assert {name: getattr(agent_config, name) for name in expected} == expected


def test_brax_batches_have_the_published_sizes():
    """num_envs x num_steps / minibatches is batch size x unroll length of the notebook."""
    published = {
        "ant": 2048 * 5, "humanoid": 1024 * 10, "halfcheetah": 512 * 20,
        "inverted_pendulum": 1024 * 5, "inverted_double_pendulum": 1024 * 5,
        "reacher": 256 * 50, "humanoidstandup": 1024 * 15, "pusher": 512 * 30,
    }  # fmt: skip
    for env, size in published.items():
        agent_config, _ = build(registry.agent("ppo"), "brax", f"brax:{env}")
        values = agent_config.to_mapping()
        assert values["num_envs"] * values["num_steps"] // values["minibatches"] == size, env
