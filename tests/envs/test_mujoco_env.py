"""MuJoCo tasks behind the contract: bits, batches, time limits, options, recorded episodes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from mujoco_reference import reference

from rlsuite.acting import vector
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import TimeStep
from rlsuite.envs import host
from rlsuite.envs.mujoco.env import MujocoEnv, MujocoState
from rlsuite.envs.mujoco.library import mj
from rlsuite.envs.mujoco.specs import SPECS

pytestmark = pytest.mark.filterwarnings("ignore:.*is out of date")

TASKS = ("mujoco:Hopper-v5", "mujoco:Ant-v5")
SHARED = os.environ.get("RLSUITE_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")
EXPERTS = Path(SHARED) / "recorded" / "mujoco_expert"


def equal(a: Any, b: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def actions(env: MujocoEnv, seed: int, *lead: int) -> Array:
    bound = float(env.action_space.high[0])
    shape = (*lead, *env.action_space.shape)
    return jax.random.uniform(jax.random.key(seed), shape, minval=-bound, maxval=bound)


def play(env: MujocoEnv, state: MujocoState, acts: Array) -> tuple[MujocoState, TimeStep]:
    """One compiled scan over acts[t, nu]."""

    def body(state: MujocoState, action: Array) -> tuple[MujocoState, TimeStep]:
        return env.step(jax.random.key(0), state, action, ())

    return jax.lax.scan(body, state, acts)


@pytest.mark.parametrize("env_id", TASKS)
def test_a_step_is_the_same_eager_compiled_scanned_and_mapped(env_id: str) -> None:
    env = registry.make_env(env_id)
    acts = actions(env, 1, 5, 3)
    keys = jax.random.split(jax.random.key(2), 3)
    states, first = jax.vmap(env.reset, in_axes=(0, None))(keys, ())
    mapped = jax.jit(jax.vmap(play, in_axes=(None, 0, 1)), static_argnums=0)(env, states, acts)
    twice = jax.vmap(jax.vmap(lambda s, a: play(env, s, a)))(
        jax.tree.map(lambda x: x[None], states), acts.swapaxes(0, 1)[None]
    )
    equal(jax.tree.map(lambda x: x[0], twice), mapped)
    state, obs = env.reset(keys[1], ())
    equal(obs, first[1])
    for t in range(5):
        state, out = env.step(jax.random.key(9), state, acts[t, 1], ())
        equal(out, jax.tree.map(lambda x, t=t: x[1, t], mapped[1]))
    equal(state, jax.tree.map(lambda x: x[1], mapped[0]))


def test_a_step_in_while_and_cond() -> None:
    env = registry.make_env("mujoco:Hopper-v5")
    state, _ = env.reset(jax.random.key(0), ())
    action = jnp.zeros(3)

    def step(state: MujocoState) -> MujocoState:
        return env.step(jax.random.key(0), state, action, ())[0]

    @jax.jit
    def thrice(state: MujocoState, go: Array) -> MujocoState:
        end = jax.lax.while_loop(lambda s: s.steps < 3, step, state)
        return jax.lax.cond(go, step, lambda s: s, end)

    equal(thrice(state, jnp.array(True)), step(step(step(step(state)))))
    equal(thrice(state, jnp.array(False)), step(step(step(state))))


@pytest.mark.parametrize("env_id", TASKS)
def test_a_state_saved_in_mid_episode_goes_on_bit_for_bit(env_id: str) -> None:
    env = registry.make_env(env_id)
    acts = actions(env, 3, 40)
    state, _ = env.reset(jax.random.key(4), ())
    whole = play(env, state, acts)
    middle, before = play(env, state, acts[:20])
    saved = jax.tree.map(lambda leaf: np.asarray(leaf).tobytes(), middle)
    # Another instance, which has never seen the episode and has been busy with another.
    other = registry.make_env(env_id)
    play(other, other.reset(jax.random.key(5), ())[0], actions(env, 6, 7))
    restored = MujocoState(
        jnp.asarray(np.frombuffer(saved.physics, np.uint32)),
        jnp.asarray(np.frombuffer(saved.steps, np.int32)[0]),
    )
    end, after = play(other, restored, acts[20:])
    equal(end, whole[0])
    equal(jax.tree.map(lambda a, b: np.concatenate([a, b]), before, after), whole[1])


def test_the_warm_start_is_part_of_the_state() -> None:
    """Without it the next step differs, which is why it is carried."""
    engine = registry.make_env("mujoco:HalfCheetah-v5").engine
    draw = np.random.default_rng(0)
    bits, differences = engine.start(np.zeros((1, 9)), np.zeros((1, 9)))[0], []
    for _ in range(40):
        action = draw.uniform(-1, 1, (1, 6))
        cold = bits.copy().view(np.float64)
        cold[:, engine.width - engine.model.nv : engine.width] = 0
        bits, tepid = (engine.step(b, action)[0] for b in (bits, cold.view(np.uint32)))
        differences.append(np.abs(bits.view(np.float64) - tepid.view(np.float64))[0, :19].max())
    assert 0 < max(differences) < 1e-3


@pytest.mark.parametrize("spec", [s for s in SPECS.values() if s.version == 5], ids=lambda s: s.id)
def test_the_search_for_islands_changes_no_bit_where_it_is_left_out(spec: Any) -> None:
    """Reacher and Pusher, of several trees, keep the search."""
    engine = registry.make_env(spec.id).engine
    islands, single = int(mj.mjtDisableBit.mjDSBL_ISLAND), engine.model.ntree == 1
    assert bool(engine.model.opt.disableflags & islands) == single
    assert single == (spec.task not in ("Pusher", "Reacher"))
    draw = np.random.default_rng(0)
    velocities = draw.uniform(-0.1, 0.1, (4, engine.model.nv))
    bits, _ = engine.start(engine.facts.qpos0 + np.zeros((4, 1)), velocities)
    for _ in range(60 if single else 0):
        action = draw.uniform(-1, 1, (4, engine.model.nu))
        engine.model.opt.disableflags = 0
        searched = engine.step(bits, action)
        engine.model.opt.disableflags = islands
        bits, *rest = engine.step(bits, action)
        equal(searched, (bits, *rest))


def test_mujocos_clock_stops_unless_somebody_has_callbacks() -> None:
    code = (
        "import itertools, mujoco as m; ticks = itertools.count(); {}; "
        "import rlsuite.envs.mujoco.library; "
        "model = m.MjModel.from_xml_string('<mujoco/>'); data = m.MjData(model); "
        "m.mj_step(model, data); print(data.timer[0].duration, next(ticks))"
    )

    def said(before: str) -> list[float]:
        command = [sys.executable, "-c", code.format(before)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [float(x) for x in out.split()]

    assert said("pass") == [0, 0]
    duration, ticks = said("m.set_mjcb_time(lambda: float(next(ticks)))")
    assert duration > 0
    assert ticks > duration


def test_the_time_limit_truncates_and_never_terminates() -> None:
    env = registry.make_env("mujoco:HalfCheetah-v5", time_limit=4)
    envs = vector.make(env, 2)
    state, _ = envs.reset(jax.random.key(0), ())
    step, ended = jax.jit(envs.step), []
    for t in range(9):
        state, out = step(jax.random.key(t), state, jnp.zeros((2, 6)), ())
        assert not out.terminated.any()
        ended.append(bool(out.truncated.all()))
        assert bool(out.truncated.any()) == ended[-1]
        assert (out.obs == out.final_obs).all() != ended[-1]
    assert ended == [False, False, False, True, False, False, False, True, False]


def test_a_row_does_not_depend_on_which_others_are_reset() -> None:
    env = registry.make_env("mujoco:Hopper-v5")
    keys = jax.random.split(jax.random.key(0), 4)
    every, obs = jax.vmap(env.reset, in_axes=(0, None))(keys, ())
    wanted = jnp.array([False, True, False, True])
    some, some_obs = env.reset_rows(keys, wanted, ())
    equal(some.physics[wanted], every.physics[wanted])
    equal(some_obs[wanted], obs[wanted])
    assert not some.physics[~wanted].any()


@pytest.mark.parametrize("spec", list(SPECS.values()), ids=lambda spec: spec.id)
def test_resets_are_distributed_as_gymnasiums(spec: Any) -> None:
    """Extremes and moments of each position and velocity over many resets."""
    env = registry.make_env(spec.id)
    keys = jax.random.split(jax.random.key(0), 400)
    noise = np.asarray(jax.vmap(env.engine.task.noise, in_axes=(0, None))(keys, env.engine.facts))
    qpos, qvel = env.engine.task.place(np, noise.astype(np.float64), env.engine.facts)
    ours = np.concatenate([qpos, qvel], -1)
    theirs = np.stack(list(gymnasium_starts(spec, 400)))
    spread = theirs.std(0)
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), atol=1e-9 + 5 * spread.max() / 20)
    np.testing.assert_allclose(ours.std(0), spread, rtol=0.2, atol=1e-9)
    # The kind of noise: a uniform's kurtosis is 1.8, a normal's 3.
    moving = spread > 1e-9
    assert ((ours.std(0) > 1e-9) == moving).all()
    if not moving.any():
        return
    kinds = [
        ((x - x.mean(0)) ** 4).mean(0) / x.var(0) ** 2 for x in (ours[:, moving], theirs[:, moving])
    ]
    np.testing.assert_array_equal(kinds[0] > 2.4, kinds[1] > 2.4)


def gymnasium_starts(spec: Any, count: int) -> Any:
    env = reference(spec)
    for seed in range(count):
        env.reset(seed=seed)
        yield np.concatenate([env.data.qpos, env.data.qvel])
    env.close()


@pytest.mark.parametrize(
    ("env_id", "options", "message"),
    [
        ("mujoco:Hoper-v5", {}, r"no environment.*'mujoco:Hopper-v5'"),
        ("mujoco:Hopper-v3", {}, r"no environment.*'mujoco:Hopper-v[45]'"),
        ("mujoco:Hopper-v5", {"reset_noise": 1}, r"no option 'reset_noise'.*'reset_noise_scale'"),
        ("mujoco:Hopper-v4", {"frame_skip": 2}, "no option 'frame_skip'"),
        (
            "mujoco:Hopper-v5",
            {"time_limit": 0},
            "time_limit is a whole number of at least 1, not 0",
        ),
        ("mujoco:Hopper-v5", {"healthy_z_range": 1.0}, "healthy_z_range is two numbers"),
        ("mujoco:Hopper-v5", {"healthy_z_range": (2, 1)}, "the lower first"),
        ("mujoco:Hopper-v5", {"terminate_when_unhealthy": 1}, "true or false, not 1"),
        ("mujoco:Hopper-v5", {"ctrl_cost_weight": "dear"}, "ctrl_cost_weight is a number"),
        ("mujoco:Ant-v5", {"main_body": "tors"}, r"no body 'tors'.*'torso'"),
        ("mujoco:Ant-v5", {"main_body": 99}, "no body 99"),
    ],
)
def test_bad_options_are_answered_in_one_line(env_id: str, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        registry.make_env(env_id, **options)
    assert "\n" not in str(caught.value)


def test_rows_and_their_checks_load_neither_jax_nor_mujoco() -> None:
    code = (
        "import sys; from rlsuite.contracts import registry; assert "
        "registry.env('mujoco:Ant-v5').options; "
        "assert not {'jax', 'mujoco', 'gymnasium', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_pure_call_is_one_call_for_all_rows() -> None:
    shapes = []

    def double(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray]:
        shapes.append((x.shape, y.shape))
        return (2 * x + y[:, None],)

    result = (jax.ShapeDtypeStruct((2,), jnp.float32),)

    def call(x: Array, y: Array) -> Array:
        return host.pure_call(double, result, x, y)[0]

    x, y = jnp.arange(24.0).reshape(3, 4, 2), jnp.arange(4.0)
    out = jax.jit(jax.vmap(jax.vmap(call), in_axes=(0, None)))(x, y)
    np.testing.assert_array_equal(out, 2 * x + y[None, :, None])
    assert shapes == [((12, 2), (12,))]
    np.testing.assert_array_equal(call(x[0, 1], y[1]), 2 * x[0, 1] + 1)
    assert shapes[1:] == [((1, 2), (1,))]


@pytest.mark.skipif(not EXPERTS.is_dir(), reason=f"no recorded episodes at {EXPERTS.name}")
@pytest.mark.parametrize(("task", "nq"), [("HalfCheetah", 9), ("Hopper", 6)])
def test_recorded_expert_steps_replay(task: str, nq: int) -> None:
    """Hopper only in the median: clipped velocities cannot be put back."""
    data = np.load(EXPERTS / f"{task}-v4_fall2023.npz")
    obs, action = data["observations"].astype(np.float64), data["actions"].astype(np.float64)
    env = registry.make_env(f"mujoco:{task}-v4")
    qpos = np.concatenate([np.zeros((len(obs), 1)), obs[:, : nq - 1]], -1)
    bits, seen = env.engine.start(qpos, obs[:, nq - 1 :])
    np.testing.assert_allclose(seen, obs, atol=1e-6)
    _, after, reward, _ = env.engine.step(bits, action)
    error = np.abs(after - data["next_observations"]).max(-1)
    scale = np.maximum(1, np.abs(data["next_observations"]).max(-1))
    paid = np.abs(reward - data["rewards"])
    worst = np.max if task == "HalfCheetah" else np.median
    assert worst(error / scale) < 2e-6
    assert worst(paid) < 1e-5
