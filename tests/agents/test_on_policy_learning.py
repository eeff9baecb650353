"""MDPO and TRPO learn CartPole (discrete) and Pendulum (continuous) with their own presets."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from rlsuite.contracts import keys, registry
from rlsuite.engine.run.program import context

SEEDS = 4


def last_fifth(agent: str, env: str) -> np.ndarray:
    """[seeds] mean return of the training episodes that ended in the last fifth of the run."""
    row = registry.agent(agent)
    settings, run = registry.resolve_preset(row, "classic", env)
    config = row.load_config().from_mapping(settings)
    iterations = run["total_steps"] // config.steps_per_iteration()
    made = row.load_make()(registry.make_env(env), config)
    ctx = context(made, config, iterations)

    def train(key):
        def body(state, _):
            state, report = made.step(state, ctx)
            return state, report["train/return"]

        returns = jax.lax.scan(body, made.init(key, ctx), None, iterations)[1]
        late = jax.tree.map(lambda x: x[-iterations // 5 :].sum(), returns)
        return late.sum / late.count

    compiled = jax.jit(train)
    return np.array([compiled(keys.root(seed)) for seed in range(SEEDS)])


# Pilot runs ended at 494 and 489 (MDPO, CartPole), -209 and -191 (MDPO, Pendulum), three times 500
# (TRPO, CartPole), -182 and -198 (TRPO, Pendulum); untrained policies have 20 and -1200.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "env", "median"),
    [
        ("mdpo", "CartPole-v1", 350.0),
        ("mdpo", "Pendulum-v1", -350.0),
        ("trpo", "CartPole-v1", 300.0),
        ("trpo", "Pendulum-v1", -300.0),
    ],
)
def test_it_learns(agent, env, median):
    returns = last_fifth(agent, env)
    assert np.median(returns) > median, returns
