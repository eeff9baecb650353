"""The MuJoCo tasks on MJX: the same tasks, physics within float32 and the solver's tolerance."""

from __future__ import annotations

import jax
import numpy as np
import pytest

pytest.importorskip("mujoco.mjx", reason="the brax extra, which brings MJX, is not installed")


from mjx_errors import measure

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.envs.gym_rows import light

TASKS = [row.id.removeprefix("mjx:") for row in registry.envs().values() if row.family == "mjx"]
CHEAP = "InvertedPendulum-v5"


@pytest.mark.parametrize(
    "task",
    [pytest.param(t, marks=() if t == CHEAP else pytest.mark.slow) for t in TASKS],
)
def test_a_row_says_what_its_task_is_and_states_keep_their_types(task: str) -> None:
    """Traced, not compiled: on a CPU a compilation takes minutes."""
    row, env = registry.env(f"mjx:{task}"), registry.make_env(f"mjx:{task}")
    assert light(env.observation_space) == row.observation
    assert light(env.action_space) == row.action
    state, obs = jax.eval_shape(env.reset, jax.random.key(0), ())
    action = jax.ShapeDtypeStruct(env.action_space.shape, np.float32)
    after, out = jax.eval_shape(env.step, jax.random.key(0), state, action, ())
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
        lambda x: (x.shape, x.dtype), state
    )
    assert (out.obs.shape, out.reward.shape, out.terminated.dtype) == (obs.shape, (), bool)


def test_what_mjx_lacks_has_no_id() -> None:
    with pytest.raises(UsageError, match="no environment 'mjx:Humanoid-v5'"):
        registry.make_env("mjx:Humanoid-v5")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["InvertedPendulum-v5", "Hopper-v4"])
def test_physics_agrees_with_the_c_library(task: str) -> None:
    """One step from each of 80 copied states, and ten steps on its own from eight. Measured:
    observations 4e-6 (of up to 10), rewards 5e-7, 6e-6 after ten steps; bounds are ten times that.
    Compiles for minutes."""
    found = measure(task, steps=10)
    assert found.obs < 4e-5
    assert found.reward < 5e-6
    assert found.apart < 6e-5
    assert found.ends == 0
