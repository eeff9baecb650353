"""A fixed policy earns the same, in distribution, in ours and in Gymnasium's environments."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from mujoco_reference import reference
from scipy import stats

from rlsuite.acting import vector
from rlsuite.contracts import registry
from rlsuite.envs.mujoco.specs import SPECS, Spec

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*is out of date")]

EPISODES = 100


def weights(spec: Spec) -> np.ndarray:
    """A linear policy, the same for both."""
    draw = np.random.default_rng(spec.version)
    return draw.normal(size=(spec.obs_size, spec.actions)).astype(np.float32) / spec.obs_size**0.5


def ours(spec: Spec, policy: np.ndarray) -> np.ndarray:
    """Returns of first episodes, all side by side."""
    env = registry.make_env(spec.id)
    envs = vector.make(env, EPISODES)

    def body(loop: tuple[Any, ...], t: Array) -> tuple[tuple[Any, ...], None]:
        state, obs, alive, total = loop
        action = spec.bound * jnp.tanh(obs @ policy)
        state, out = envs.step(jax.random.fold_in(jax.random.key(1), t), state, action, ())
        total = total + jnp.where(alive, out.reward, 0.0)
        return (state, out.obs, alive & ~out.episodes.finished, total), None

    @jax.jit
    def play() -> Array:
        state, obs = envs.reset(jax.random.key(0), ())
        start = (state, obs, jnp.ones(EPISODES, bool), jnp.zeros(EPISODES))
        return jax.lax.scan(body, start, jnp.arange(spec.time_limit))[0][-1]

    return np.asarray(play())


def theirs(spec: Spec, policy: np.ndarray) -> np.ndarray:
    """Returns of whole episodes, one after the other."""
    env, returns = reference(spec), []
    for seed in range(EPISODES):
        obs, total = env.reset(seed=seed)[0], 0.0
        for _ in range(spec.time_limit):
            action = spec.bound * np.tanh(obs.astype(np.float32) @ policy)
            obs, reward, ended, _, _ = env.step(action)
            total += reward
            if ended:
                break
        returns.append(total)
    env.close()
    return np.array(returns)


@pytest.mark.parametrize("spec", list(SPECS.values()), ids=lambda spec: spec.id)
def test_returns_have_the_same_distribution(spec: Spec) -> None:
    policy = weights(spec)
    found: Any = stats.ks_2samp(ours(spec, policy), theirs(spec, policy))
    assert found.pvalue > 1e-3
