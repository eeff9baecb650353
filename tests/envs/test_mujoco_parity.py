"""Every task against Gymnasium's own environment, from copied states and over free episodes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from mujoco_reference import reference

from rlsuite.envs.mujoco.engine import STATE, Engine
from rlsuite.envs.mujoco.library import mj
from rlsuite.envs.mujoco.options import settle
from rlsuite.envs.mujoco.specs import SPECS, Spec
from rlsuite.envs.mujoco.tasks import TASKS

pytestmark = pytest.mark.filterwarnings("ignore:.*is out of date")

# What float32 rounds by, of numbers that agree to 1e-12.
ROUNDING = 2.0**-23
QUICK_STEPS = 60


def engine(spec: Spec, **options: Any) -> Engine:
    """Ours."""
    return Engine(spec, TASKS[spec.task, spec.version], settle(spec, options))


def adopt(ours: Engine, theirs: Any, physics: np.ndarray) -> np.ndarray:
    """Put Gymnasium's environment where one of our states is; our bits, tracked part included.

    What it reads besides the state (bodies' positions) is that of its last step, so both start
    from positions that are up to date.
    """
    model, data = theirs.model, theirs.data
    mj.mj_resetData(model, data)
    mj.mj_setState(model, data, physics, STATE)
    mj.mj_forward(model, data)
    # mj_forward has moved the solver's warm start.
    mj.mj_setState(model, data, physics, STATE)
    seen = ours._buffers(1, data)
    for target, source in seen:
        target[0] = source
    return ours._pack(physics[None], ours._physics(physics[None], seen))[0]


def physics_of(theirs: Any) -> np.ndarray:
    """Gymnasium's physics state and warm start."""
    out = np.empty(mj.mj_stateSize(theirs.model, STATE))
    mj.mj_getState(theirs.model, theirs.data, out, STATE)
    return out


def actions(theirs: Any, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Uniform within the bounds, as float32 numbers in double precision."""
    space = theirs.action_space
    while True:
        yield rng.uniform(space.low, space.high).astype(np.float32).astype(np.float64)


def close(ours: Any, theirs: Any) -> None:
    """Equal to what float32 rounds by."""
    ours, theirs = np.float32(ours), np.float32(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=ROUNDING, atol=1e-12)


def same(ours: Engine, out: tuple[np.ndarray, ...], theirs: Any, given: tuple[Any, ...]) -> None:
    """One step of ours [1, ...] and of Gymnasium's."""
    bits, obs, reward, terminated = out
    physics = bits.view(np.float64)[0, : ours.width]
    np.testing.assert_allclose(physics, physics_of(theirs), rtol=0, atol=1e-12)
    close(obs[0], given[0])
    close(reward[0], given[1])
    assert bool(terminated[0]) == bool(given[2])


def reset(theirs: Any, seed: int) -> np.ndarray:
    """Gymnasium's own first observation and, from it, our state of the same physics."""
    obs, _ = theirs.reset(seed=seed)
    return np.asarray(obs)


def run(spec: Spec, seeds: range, steps: int, copied: bool, **options: Any) -> int:
    """Random actions from several resets; the steps compared.

    `copied`: each step starts from a state copied out of our last one; otherwise both run free.
    Either way the physics goes on beyond the end of the episode, to compare more than a few steps.
    """
    ours, theirs = engine(spec, **options), reference(spec, **options)
    count = 0
    for seed in seeds:
        first = reset(theirs, seed)
        qpos, qvel = (np.array(x)[None] for x in (theirs.data.qpos, theirs.data.qvel))
        bits, obs = ours.start(qpos, qvel)
        np.testing.assert_array_equal(bits.view(np.float64)[0, : ours.width], physics_of(theirs))
        close(obs[0], first)
        draw = actions(theirs, np.random.default_rng(seed))
        for _ in range(steps):
            if copied:
                bits = adopt(ours, theirs, bits.view(np.float64)[0, : ours.width].copy())
            action = next(draw)
            out = ours.step(bits, action[None])
            given = theirs.step(action)
            same(ours, out, theirs, given)
            bits, count = out[0], count + 1
    theirs.close()
    return count


ALL = list(SPECS.values())


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.id)
def test_steps_from_copied_states(spec: Spec) -> None:
    assert run(spec, range(2), QUICK_STEPS, copied=True) == 2 * QUICK_STEPS


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.id)
def test_free_episodes(spec: Spec) -> None:
    assert run(spec, range(2), QUICK_STEPS, copied=False) == 2 * QUICK_STEPS


@pytest.mark.slow
@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.id)
def test_a_thousand_steps_from_ten_copied_states(spec: Spec) -> None:
    assert run(spec, range(10), 1000, copied=True) == 10_000


@pytest.mark.slow
@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.id)
def test_whole_episodes(spec: Spec) -> None:
    assert run(spec, range(10), 1000, copied=False) == 10_000


WALK = {
    "forward_reward_weight": 0.7,
    "ctrl_cost_weight": 0.3,
    "healthy_reward": 0.9,
    "terminate_when_unhealthy": False,
    "exclude_current_positions_from_observation": False,
}
OPTIONS = [
    ("HalfCheetah-v5", {"exclude_current_positions_from_observation": False, "frame_skip": 3}),
    ("Hopper-v4", WALK | {"healthy_state_range": (-2.0, 2.0), "healthy_angle_range": (-0.1, 0.3)}),
    ("Hopper-v5", WALK | {"healthy_z_range": (1.0, 1.3)}),
    ("Walker2d-v4", WALK | {"healthy_z_range": (1.1, 1.3)}),
    ("Walker2d-v5", WALK),
    ("Swimmer-v4", {"exclude_current_positions_from_observation": False, "ctrl_cost_weight": 0.2}),
    ("Ant-v4", {"use_contact_forces": True, "contact_cost_weight": 0.1, "healthy_reward": 0.3}),
    ("Ant-v5", WALK | {"include_cfrc_ext_in_observation": False, "main_body": "front_left_leg"}),
    ("Ant-v5", {"contact_force_range": (-0.1, 0.2), "contact_cost_weight": 0.1, "main_body": 2}),
    ("Humanoid-v4", WALK),
    (
        "Humanoid-v5",
        WALK | {"include_cinert_in_observation": False, "contact_cost_range": (0.1, 0.2)},
    ),
    ("HumanoidStandup-v5", {"impact_cost_weight": 1e-4, "include_cvel_in_observation": False}),
    ("Reacher-v5", {"reward_dist_weight": 0.3, "reward_control_weight": 0.2}),
    ("Pusher-v5", {"reward_near_weight": 0.3, "reward_dist_weight": 0.2}),
    ("InvertedPendulum-v5", {"frame_skip": 4}),
    ("InvertedDoublePendulum-v5", {"healthy_reward": 3.0}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=lambda x: x if type(x) is str else "")
def test_options_mean_what_they_mean_in_gymnasium(name: str, options: dict[str, Any]) -> None:
    assert run(SPECS[f"mujoco:{name}"], range(2), 30, copied=False, **options) == 60


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.id)
def test_defaults_are_gymnasiums(spec: Spec) -> None:
    theirs = reference(spec)
    signature = inspect.signature(type(theirs).__init__).parameters
    theirs.close()
    given = {name: p.default for name, p in signature.items() if name in spec.options}
    assert given == {k: v for k, v in spec.options.items() if k != "time_limit"}
    left_out = {"self", "kwargs", "xml_file", "default_camera_config", "uph_cost_weight"}
    assert set(signature) - set(given) <= left_out
    assert gymnasium.spec(f"{spec.task}-v{spec.version}").max_episode_steps == spec.time_limit
