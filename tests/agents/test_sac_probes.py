"""SAC and MDPO off-policy on worlds whose values and best actions are known."""

from __future__ import annotations

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from soft_tools import setup, train

from rlsuite.agents.cores import sac as soft

SEEDS = 4
GAMMA = 0.9
SHARED: dict[str, Any] = {
    "num_envs": 16, "updates": 2, "batch_size": 64, "buffer_size": 2048, "learning_starts": 256,
    "gamma": GAMMA, "tau": 0.2, "learning_rate": 3e-3, "critic_learning_rate": 3e-3,
    "alpha": 0.05, "hidden": (16,),
}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "sac": {**SHARED, "temperature": "fixed"},
    "mdpo-off": {**SHARED, "kl_coef": 0.05, "refresh_period": 20},
}
CASES = [("sac", ""), ("sac", "-Continuous"), ("mdpo-off", "-Continuous")]


def cases(default: int) -> Any:
    """All agents; by default only one of them on each probe."""
    marked = [
        pytest.param(*case, marks=() if i == default else pytest.mark.slow)
        for i, case in enumerate(CASES)
    ]
    return pytest.mark.parametrize(("name", "suffix"), marked)


def learned(name: str, probe: str, **settings: Any) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """(environment, last states' observations, greedy actions there, min Q of those)."""
    agent, ctx = setup(name, f"Probe-{probe}", 400, **{**SETTINGS[name], **settings})
    states = train(agent, ctx, SEEDS)
    rows = states.replay.data.obs[:, :64]
    env = agent.env
    kind = soft.make_heads(
        cast(Any, agent.config).static(), env.observation_space, env.action_space
    )

    @jax.jit
    @jax.vmap
    def look(state: Any, obs: Any) -> Any:
        first = jnp.zeros(obs.shape[0], bool)
        action, _ = agent.act(agent.policy(state), (), obs, first, jax.random.key(0), "greedy")
        return action, kind.taken(state.learner.values[0], obs, action).min(0)

    action, q = look(states, rows)
    return env, rows, np.asarray(action), np.asarray(q)


@cases(default=1)
def test_a_time_limit_is_no_end(name, suffix):
    """V = 1/(1 - gamma) = 10 though every episode is cut after 10 steps; cut short it were 6.5.

    Where no action is better the policy may end at a bound, with a density that even a small alpha
    charges: hence a smaller one.
    """
    env, obs, _, q = learned(name, f"ConstantReward{suffix}", alpha=1e-3)
    np.testing.assert_allclose(q, env.value(obs, GAMMA), atol=0.5)


@cases(default=2)
def test_the_better_action_has_the_observations_sign(name, suffix):
    env, obs, action, _ = learned(name, f"ObservationAction{suffix}")
    best = np.asarray(env.action(obs))
    if suffix:
        np.testing.assert_allclose(action, best, atol=0.1)
    else:
        np.testing.assert_array_equal(action, best)


@cases(default=0)
def test_a_reward_that_comes_later(name, suffix):
    env, obs, action, q = learned(name, f"DelayedReward{suffix}")
    first = np.asarray(obs)[..., 0] < 0.5
    best = np.asarray(env.action(obs))
    np.testing.assert_allclose(action[first], best[first], atol=0.15 if suffix else 0)
    np.testing.assert_allclose(q[first], np.asarray(env.value(obs, GAMMA))[first], atol=0.1)
