"""`learn` of MDPO and TRPO is reverse-differentiable in its context."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from on_policy_tools import TINY, setup
from ppo_tools import first_rollout

# Smooth in the hyperparameters, so that finite differences mean something.
SMOOTH = {"value_clip": False, "gradient_clip": "none", "adam_epsilon": 1e-2}


@pytest.mark.parametrize(
    ("agent", "name", "own"),
    [("mdpo", "mirror_step", {"learning_rate": 1e-2, "policy_steps": 3}), ("trpo", "max_kl", {})],
)
def test_gradients_match_finite_differences_and_are_finite(agent, name, own):
    made, ctx = setup(agent, "CartPole-v1", horizon=100, **TINY | SMOOTH | own)
    state, batch = first_rollout(made, ctx)
    direction = jax.tree.map(
        lambda x: jnp.cos(1.0 * jnp.arange(x.size)).reshape(x.shape), state.params
    )

    def objective(hp):
        new, _ = made.learn(state, batch, ctx._replace(hp=hp))
        parts = jax.tree.map(lambda a, b: (a * b).sum(), new.params, direction)
        return sum(jax.tree.leaves(parts))

    gradient = jax.jit(jax.grad(objective))(ctx.hp)
    assert all(np.isfinite(g) for g in jax.tree.leaves(gradient))
    assert abs(gradient.value_learning_rate) > 0
    assert abs(gradient.gamma) > 0
    value, at = jax.jit(objective), getattr(ctx.hp, name)
    step = 0.05 * at
    ends = [float(value(ctx.hp.replace(**{name: at + s * step}))) for s in (1, -1)]
    difference = (ends[0] - ends[1]) / float(2 * step)
    assert abs(difference) > 1e-4
    np.testing.assert_allclose(getattr(gradient, name), difference, rtol=0.1)
