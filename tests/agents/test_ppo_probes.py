"""PPO on worlds whose values and best actions are known: what it learns is right.

Margins are some ten times the largest error of six seeds when the test was written, and a small
part of what a wrong agent misses by.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ppo_tools import setup, train

SEEDS = 6
GAMMA = 0.9
SETTINGS = {
    "num_envs": 16, "num_steps": 16, "epochs": 4, "minibatches": 2, "gamma": GAMMA,
    "learning_rate": 1e-2, "entropy_coef": 0.0, "value_coef": 1.0, "value_clip": False,
    "gradient_clip": "none", "hidden": (16,), "rnn_size": 16,
}  # fmt: skip


def learned(probe: str, network: str, horizon: int = 60, **settings: Any) -> tuple[Any, Any]:
    """(the environment, the steps [seeds, t, n] of a rollout after training)."""
    agent, ctx = setup(f"Probe-{probe}", horizon, **SETTINGS | {"network": network} | settings)
    _, rollout = train(agent, ctx, SEEDS)
    return agent.env, rollout.steps


def greedy(steps: Any) -> np.ndarray:
    """The likeliest action in every step of the rollout, as the environment would be sent it."""
    return np.asarray(steps.dist.to_env(steps.dist.mode()))


@pytest.mark.parametrize(
    ("probe", "network"),
    [("ObservationValue", "mlp"), ("TwoStepDiscount", "mlp"), ("TwoStepDiscount", "gru")],
)
def test_values(probe, network):
    """Values differ by 2 and by 0.1; measured errors: 2e-7 (mlp), 0.004 (gru)."""
    env, steps = learned(probe, network)
    np.testing.assert_allclose(steps.value, env.value(steps.obs, GAMMA), atol=0.03)


@pytest.mark.parametrize("probe", ["BestAction", "ObservationAction"])
def test_discrete_actions(probe):
    """Measured: every greedy action right, and all but 1 of 256 sampled ones in the worst seed."""
    env, steps = learned(probe, "mlp")
    best = np.asarray(env.action(steps.obs))
    np.testing.assert_array_equal(greedy(steps), best)
    assert (np.asarray(steps.action) == best).mean((1, 2)).min() > 0.95


@pytest.mark.parametrize("network", ["mlp", "gru"])
def test_continuous_actions(network):
    """Targets are ±0.5; measured errors: 0.01 (mlp), 0.006 (gru)."""
    env, steps = learned("ObservationAction-Continuous", network)
    np.testing.assert_allclose(greedy(steps), env.action(steps.obs), atol=0.1)


def test_a_reward_that_comes_later():
    _, steps = learned("DelayedReward", "mlp")
    first = np.asarray(steps.obs)[..., 0] < 0.5
    np.testing.assert_array_equal(greedy(steps)[first], 1)


def test_memory_needs_and_gets_recurrence():
    """Without memory no policy earns more than 0 on average. The worst of 256 seeds earned 0.975;
    with the others' step size two of 64 collapsed to 0, and which ones depends on the machine."""
    _, steps = learned("Memory", "gru", horizon=100, learning_rate=3e-3)
    asked = np.asarray(steps.obs)[..., 1] > 0.5
    earned = [reward[mask].mean() for reward, mask in zip(steps.reward, asked, strict=True)]
    assert min(earned) > 0.95
