"""The probes' known answers, checked by playing them: agents' tests stand on these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlsuite.contracts import registry
from rlsuite.contracts.registry import EnvRow
from rlsuite.envs.probe import Probe
from rlsuite.envs.registry import ROWS

GAMMA = 0.9
IDS = [row.id for row in ROWS if isinstance(row, EnvRow) and row.family == "probe"]
WITH_ACTION = [i for i in IDS if "Action" in i or "Delayed" in i]


def episode(
    env: Probe, choose: Callable[[Any], Any], seed: int
) -> tuple[list[Any], list[float], Any]:
    """(observations, rewards, last step) of an episode under a policy obs -> action."""
    state, obs = env.reset(jax.random.key(seed), env.default_params)
    seen, rewards = [obs], []
    while True:
        state, out = env.step(jax.random.key(0), state, choose(seen[-1]), env.default_params)
        rewards.append(float(out.reward))
        if out.terminated | out.truncated:
            return seen, rewards, out
        seen.append(out.obs)


def any_action(env: Probe) -> Any:
    return jnp.zeros(1) if env.continuous else jnp.int32(0)


def returns(rewards: list[float], after: float) -> list[float]:
    values = []
    for reward in reversed(rewards):
        after = reward + GAMMA * after
        values.append(after)
    return values[::-1]


@pytest.mark.parametrize("env_id", [i for i in IDS if "Memory" not in i])
def test_values_are_the_discounted_returns_of_the_best_actions(env_id: str) -> None:
    env = registry.make_env(env_id)
    for seed in range(3):
        seen, rewards, last = episode(
            env, lambda obs: any_action(env) if env.action(obs) is None else env.action(obs), seed
        )
        stated = [float(env.value(obs, GAMMA)) for obs in seen]
        after = float(env.value(last.obs, GAMMA)) if last.truncated else 0.0
        np.testing.assert_allclose(stated, returns(rewards, after), rtol=1e-5)


@pytest.mark.parametrize("env_id", WITH_ACTION)
def test_no_other_action_pays_as_much(env_id: str) -> None:
    env = registry.make_env(env_id)
    others = np.linspace(-1, 1, 5)[:, None] if env.continuous else [[0], [1]]
    for seed in range(3):
        _, best, _ = episode(env, env.action, seed)
        for other in others:
            action = jnp.asarray(other, env.action_space.dtype).reshape(env.action_space.shape)
            seen, rewards, _ = episode(env, lambda obs, a=action: a, seed)
            if np.array_equal(action, env.action(seen[0])):
                assert sum(rewards) == sum(best)
            else:
                assert sum(rewards) < sum(best)


@pytest.mark.parametrize("suffix", ["", "-Continuous"])
def test_memory_pays_for_the_cue_and_not_for_what_is_seen_when_asked(suffix: str) -> None:
    env = registry.make_env(f"Probe-Memory{suffix}", delay=2)
    asked, cues = set(), set()
    for seed in range(6):
        cue = float(env.reset(jax.random.key(seed), env.default_params)[1][0])
        best, worst = env.best(jnp.float32(cue)), env.best(jnp.float32(-cue))
        seen, right, _ = episode(env, lambda obs, a=best: a, seed)
        _, wrong, _ = episode(env, lambda obs, a=worst: a, seed)
        np.testing.assert_allclose(
            returns(right, 0.0)[0], env.value(seen[0], GAMMA), rtol=1e-5, atol=1e-7
        )
        assert right[:-1] == wrong[:-1] == [0.0] * 3
        assert wrong[-1] < right[-1] == env.best_score
        asked.add(tuple(np.asarray(seen[-1]).tolist()))
        cues.add(cue)
    assert cues == {-1.0, 1.0}
    assert asked == {(0.0, 1.0)}


def test_a_constant_reward_is_truncated_or_in_the_wrong_copy_terminated() -> None:
    right = registry.make_env("Probe-ConstantReward")
    wrong = registry.make_env("Probe-ConstantReward", limit_is_terminal=True)
    for env, truncated in ((right, True), (wrong, False)):
        _, rewards, last = episode(env, lambda obs: jnp.int32(0), 0)
        assert rewards == [1.0] * 10
        assert (bool(last.truncated), bool(last.terminated)) == (truncated, not truncated)
    assert wrong.time_limit is None
    # Ten steps from the end down to one: the mean of 1 + 0.9 + ... over what is left.
    mean = np.mean([sum(GAMMA**k for k in range(left)) for left in range(1, 11)])
    np.testing.assert_allclose(wrong.value(jnp.zeros(1), GAMMA), mean, rtol=1e-6)
    np.testing.assert_allclose(right.value(jnp.zeros((2, 1)), GAMMA), [10.0, 10.0], rtol=1e-6)


def test_the_reward_scale_is_a_traced_parameter() -> None:
    env = registry.make_env("Probe-BestAction")

    def reward(scale: Any) -> Any:
        params = env.default_params._replace(reward_scale=scale)
        state, _ = env.reset(jax.random.key(0), params)
        return env.step(jax.random.key(0), state, jnp.int32(1), params)[1].reward

    np.testing.assert_allclose(jax.vmap(reward)(jnp.array([1.0, 3.0])), [1.0, 3.0])
