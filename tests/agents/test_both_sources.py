"""One learner on a replay and on a dataset at once: minibatches hold rows of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from off_policy_tools import SMALL, Clock, parts_of
from offline_tools import dataset_for

from rlsuite.agents.cores import dataset_source, dpg, off_policy, replay_source
from rlsuite.agents.cores.config import ConstrainedConfig, OffPolicyConfig
from rlsuite.contracts import keys
from rlsuite.contracts.config import knob
from rlsuite.engine.run.program import context


@dataclass(frozen=True)
class Config(OffPolicyConfig, ConstrainedConfig):
    """TD3 from what it acts and from what was recorded."""

    budget_unit: ClassVar[Literal["env_steps", "updates"]] = "env_steps"
    updates: int = knob(2, "gradient steps per iteration", ge=1)


def test_a_minibatch_holds_recorded_and_acted_rows_scaled_alike():
    env, config = Clock(), Config.from_mapping({**SMALL, "batch_size": 6})
    static = config.static()
    acted = replay_source.make(env, config)
    recorded = dataset_source.make(replace(config, batch_size=4), acted.running)
    core = dpg.core(env, static, critics=2, policy_delay=2, smoothing=True)
    source = dataset_source.beside(recorded, acted)
    agent = off_policy.make(env, config, dpg.algorithm("both", core), source)
    data = dataset_for(env)
    ctx = context(agent, config, 10, data)
    state = jax.jit(agent.init)(keys.root(0), ctx)
    assert int(state.counters.env_steps) == SMALL["learning_starts"]
    collected, both = jax.jit(agent.collect)(state, ctx)
    dealt, _ = parts_of(agent).source.deal(both, jax.random.key(0))
    batch = source.minibatch(collected, jax.tree.map(lambda x: x[0], dealt), ctx)
    assert batch.reward.shape == (10,)
    places = np.asarray(both.recorded[0])
    raw = np.asarray(batch.obs * state.scale.divisor + state.scale.mean)
    np.testing.assert_allclose(raw[:4], data.rows.obs[places], atol=1e-4)
    stored = np.asarray(collected.replay.data.obs)[: int(collected.replay.size)]
    assert all(np.isclose(stored, row, rtol=1e-4).any() for row in raw[4:])
    learned, report = jax.jit(agent.learn)(collected, both, ctx)
    assert int(learned.learner.updates) == 2
    assert jnp.isfinite(report["loss/critic"].sum)
    assert "train/return" in report
