"""Training on a MuJoCo task goes on from a checkpoint in mid-episode, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from rlsuite.contracts import keys, registry
from rlsuite.engine.run import tree
from rlsuite.engine.run.program import context
from rlsuite.io import files


def build() -> tuple[Any, Any]:
    """A small PPO in an environment of its own, and what it is given."""
    row = registry.agent("ppo")
    small = {"num_envs": 2, "num_steps": 8, "epochs": 1, "minibatches": 1, "hidden": [8]}
    config = row.load_config().from_mapping(small)
    agent = row.load_make()(registry.make_env("mujoco:Hopper-v5"), config)
    return agent, context(agent, config, 4)


def test_training_goes_on_from_the_middle_of_an_episode(tmp_path: Path) -> None:
    agent, ctx = build()
    step = jax.jit(agent.step)
    middle = step(step(jax.jit(agent.init)(keys.root(0), ctx), ctx)[0], ctx)[0]
    saved = tree.to_arrays(middle, "state")
    # Episodes are under way where it is cut.
    assert any("episode_length" in name and leaf.any() for name, leaf in saved.items())
    files.write_arrays(tmp_path / "state", saved, {})
    end = step(step(middle, ctx)[0], ctx)[0]

    other, other_ctx = build()
    template = jax.eval_shape(other.init, keys.root(0), other_ctx)
    loaded = files.read_arrays(tmp_path / "state")[0]
    state = tree.from_arrays(template, loaded, "state", "the file")
    step = jax.jit(other.step)
    resumed = step(step(state, other_ctx)[0], other_ctx)[0]
    a, b = tree.to_arrays(resumed, ""), tree.to_arrays(end, "")
    assert a.keys() == b.keys()
    for name, leaf in a.items():
        np.testing.assert_array_equal(leaf, b[name], err_msg=name)
