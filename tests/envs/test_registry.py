"""Every row against the real environment, and every environment through the vector layer."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from jaxtyping import Array, PRNGKeyArray

from rlsuite.acting import vector
from rlsuite.acting.vector import VectorState, VectorStep
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.registry import EnvRow
from rlsuite.contracts.types import Environment, EnvParams
from rlsuite.envs.drawing import drawer
from rlsuite.envs.gym_rows import light
from rlsuite.envs.registry import ROWS

# brax and MJX are an extra with minutes to compile: see test_brax and test_mjx.
ENVS = [row for row in ROWS if isinstance(row, EnvRow) and row.family not in ("brax", "mjx")]
# A value that each environment's option must accept, other than its default.
OPTION_VALUES = {
    "Acrobot-v1": {"torque_noise_max": 0.5},
    "Breakout-MinAtar": {"use_minimal_action_set": False},
    "Catch-bsuite": {"rows": 6, "columns": 3},
    "DeepSea-bsuite": {"size": 4, "unscaled_move_cost": 0.0},
    "MemoryChain-bsuite": {"num_bits": 2, "memory_length": 9},
    "UmbrellaChain-bsuite": {"n_distractor": 2, "chain_length": 7},
    "SimpleBandit-bsuite": {"num_actions": 3},
    "FourRooms-misc": {"use_visual_obs": True, "resample_goal_pos": True},
    "PointRobot-misc": {"dense_reward": True},
    "FrozenLake-misc": {"map_name": "8x8", "is_slippery": False},
    "Probe-ConstantReward": {"time_limit": 4, "limit_is_terminal": True},
    "Probe-Memory": {"delay": 3},
}


def random_actions(space: spaces.Space, key: PRNGKeyArray, n: int) -> Array:
    if isinstance(space, spaces.Discrete):
        return jax.random.randint(key, (n,), 0, int(space.n))
    assert isinstance(space, spaces.Box)
    return jax.random.uniform(key, (n, *space.shape), minval=space.low, maxval=space.high)


def rollout(env: Environment, steps: int, n: int = 2) -> Callable[..., tuple[Array, VectorStep]]:
    """(key, params) -> (first obs, steps stacked over time); one scan, so carries are stable."""
    envs = vector.make(env, n)

    def run(key: PRNGKeyArray, params: EnvParams) -> tuple[Array, VectorStep]:
        def body(state: VectorState, key: PRNGKeyArray) -> tuple[VectorState, VectorStep]:
            act_key, env_key = jax.random.split(key)
            actions = random_actions(env.action_space, act_key, n)
            return envs.step(env_key, state, actions, params)

        reset_key, key = jax.random.split(key)
        state, obs = envs.reset(reset_key, params)
        return obs, jax.lax.scan(body, state, jax.random.split(key, steps))[1]

    # Most of the time here is the compiler's; what it makes runs for a dozen steps.
    return jax.jit(run, compiler_options={"xla_backend_optimization_level": 0})


@pytest.mark.parametrize("row", ENVS, ids=lambda row: row.id)
def test_a_row_says_what_its_environment_is(row: EnvRow) -> None:
    env = registry.make_env(row.id)
    assert isinstance(env, Environment)
    assert env.id == row.id
    assert light(env.observation_space) == row.observation
    assert light(env.action_space) == row.action
    assert env.time_limit == row.time_limit
    assert env.resumable == row.resumable


@pytest.mark.parametrize("row", ENVS, ids=lambda row: row.id)
def test_every_environment_steps_through_the_vector_layer(row: EnvRow) -> None:
    env = registry.make_env(row.id)
    run = rollout(env, 12)
    first, steps = run(jax.random.key(0), env.default_params)
    check_values(env, first, steps)
    if hasattr(env.default_params, "max_steps_in_episode"):
        limited = env.default_params.replace(max_steps_in_episode=jnp.asarray(5, limit_dtype(env)))
        check_limit(run(jax.random.key(1), limited)[1], 5)


def limit_dtype(env: Environment) -> Any:
    return env.default_params.max_steps_in_episode.dtype


def check_values(env: Environment, first: Array, steps: VectorStep) -> None:
    space = env.observation_space
    assert first.dtype == steps.obs.dtype == steps.final_obs.dtype == space.dtype
    assert steps.reward.dtype == jnp.float32
    assert steps.terminated.dtype == steps.truncated.dtype == jnp.bool_
    seen = np.concatenate([np.asarray(first)[None], steps.obs, steps.final_obs])
    seen = seen.reshape(-1, *space.shape)
    # Single precision: UmbrellaChain's remaining time ends at -1.5e-8.
    assert (seen >= space.low - 1e-6).all()
    assert (seen <= space.high + 1e-6).all()
    assert np.isfinite(steps.reward).all()


def check_limit(steps: VectorStep, limit: int) -> None:
    lengths, finished = np.asarray(steps.episodes.lengths), np.asarray(steps.episodes.finished)
    assert (lengths <= limit).all()
    np.testing.assert_array_equal(steps.truncated, (lengths == limit) & ~steps.terminated)
    np.testing.assert_array_equal(finished, steps.terminated | steps.truncated)
    assert finished.any()


@pytest.mark.parametrize("env_id", OPTION_VALUES)
def test_options_reach_the_environment(env_id: str) -> None:
    plain, env = registry.make_env(env_id), registry.make_env(env_id, **OPTION_VALUES[env_id])
    shape = jax.eval_shape(env.reset, jax.random.key(0), env.default_params)[1].shape
    assert shape == env.observation_space.shape
    different = (
        env.observation_space != plain.observation_space
        or env.action_space != plain.action_space
        or env.time_limit != plain.time_limit
        or str(env.default_params) != str(plain.default_params)
        or env.length != plain.length
    )
    assert different


@pytest.mark.parametrize("row", [r for r in ENVS if "gymnax" in r.target], ids=lambda row: row.id)
def test_every_listed_option_exists(row: EnvRow) -> None:
    env, params = gymnax.make(row.id)
    constructor = inspect.signature(type(env)).parameters
    for option in row.options:
        assert hasattr(params, option) or option in constructor


def test_options_set_parameters_and_the_time_limit() -> None:
    assert registry.make_env("DeepSea-bsuite", size=5).time_limit == 5
    short = registry.make_env("CartPole-v1", max_steps_in_episode=3)
    assert short.time_limit == 3
    assert int(short.default_params.max_steps_in_episode) == 3


def test_all_of_gymnax_is_listed_but_what_downloads() -> None:
    listed = {row.id for row in ENVS if "gymnax" in row.target}
    assert listed == set(gymnax.registered_envs) - {"MNISTBandit-bsuite"}


# MuJoCo's needs OpenGL, and has tests of its own.
@pytest.mark.parametrize("row", [r for r in ENVS if r.family != "mujoco"], ids=lambda row: row.id)
def test_a_row_has_a_renderer_where_there_is_a_picture(row: EnvRow) -> None:
    env = registry.make_env(row.id)
    if row.render:
        assert callable(row.load_render())
        assert callable(drawer(env))
    else:
        with pytest.raises(UsageError, match="cannot be drawn"):
            drawer(env)


def test_ids_are_unique() -> None:
    assert len({row.id for row in ENVS}) == len(ENVS)


def test_a_wrong_id_or_option_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no environment 'CartPol-v1'.*'CartPole-v1'"):
        registry.make_env("CartPol-v1")
    with pytest.raises(UsageError, match=r"Catch-bsuite has no option 'row'.*'rows'"):
        registry.make_env("Catch-bsuite", row=3)


def test_rows_load_neither_jax_nor_a_simulator_and_gymnax_no_plots() -> None:
    code = (
        "import sys; from rlsuite.contracts import registry; registry.env('CartPole-v1'); "
        "assert not {'jax', 'gymnax', 'gymnasium'} & set(sys.modules), 'row'; "
        "registry.env('gym:CartPole-v1'); assert 'jax' not in sys.modules, 'gym row'; "
        "registry.make_env('Breakout-MinAtar'); "
        "assert not {'seaborn', 'pandas', 'matplotlib.pyplot'} & set(sys.modules), 'gymnax'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
