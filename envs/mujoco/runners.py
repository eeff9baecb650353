"""HalfCheetah, Hopper, Walker2d and Swimmer: paid for velocity along x."""

from __future__ import annotations

from typing import Any

from rlsuite.envs.mujoco.task import (
    Facts,
    Numbers,
    Physics,
    Task,
    ends,
    mixed_noise,
    squares,
    survival,
    within,
)


def x_position(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Where the root is along x: [1].

    Args:
      xp: not read.
      s: `qpos`, of which the first is the place along x, metres.
      c: not read.
    """
    return s.qpos[..., :1]


def progress(before: Numbers, s: Physics, c: Facts) -> Numbers:
    """Weighted mean velocity along x during the step, units per second.

    Args:
      before: `x_position` before the step: [1], metres.
      s: after the step.
      c: `dt`, seconds of an action, and the option `forward_reward_weight`.
    """
    return c.options.forward_reward_weight * ((s.qpos[..., 0] - before[..., 0]) / c.dt)


def run_reward(xp: Any, before: Numbers, s: Physics, action: Numbers, c: Facts) -> Numbers:
    """Velocity minus a price on the action.

    Args:
      xp: numpy or jax.numpy.
      before: `x_position` before the step: [1], metres.
      s: after the step.
      action: [nu], as the agent gave it, not clipped.
      c: `dt`, seconds of an action, and the options that are weights.
    """
    return progress(before, s, c) - c.options.ctrl_cost_weight * squares(xp, action)


def _observation(xp: Any, s: Physics, c: Facts, skipped: int, velocity: Numbers) -> Numbers:
    skip = skipped if c.options.exclude_current_positions_from_observation else 0
    return xp.concatenate([s.qpos[..., skip:], velocity], axis=-1)


def observe_cheetah(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Positions but x, velocities.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos` (metres, radians) and `qvel` (m/s, rad/s).
      c: the option `exclude_current_positions_from_observation`; without it x is shown too.
    """
    return _observation(xp, s, c, 1, s.qvel)


def observe_swimmer(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Positions but x and y, velocities.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos` (metres, radians) and `qvel` (m/s, rad/s).
      c: the option `exclude_current_positions_from_observation`; without it x and y are shown too.
    """
    return _observation(xp, s, c, 2, s.qvel)


def observe_walker(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Positions but x, velocities clipped to +-10.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos` (metres, radians) and `qvel` (m/s, rad/s).
      c: the option `exclude_current_positions_from_observation`; without it x is shown too.
    """
    return _observation(xp, s, c, 1, xp.clip(s.qvel, -10, 10))


def upright(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Height and pitch within their ranges.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos`, of which the second is the height (metres), the third the pitch (radians).
      c: the options `healthy_z_range` and `healthy_angle_range`, bounds left out.

    Returns:
      bool, one for each state.
    """
    z, angle = s.qpos[..., 1], s.qpos[..., 2]
    o = c.options
    return within(xp, z, o.healthy_z_range) & within(xp, angle, o.healthy_angle_range)


def hopper_healthy(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Upright, and nothing but x and height out of its range.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos` and `qvel`.
      c: the options of `upright`, and `healthy_state_range` for all the rest.

    Returns:
      bool, one for each state.
    """
    rest = xp.concatenate([s.qpos[..., 2:], s.qvel], axis=-1)
    inside = xp.all(within(xp, rest, c.options.healthy_state_range), axis=-1)
    return inside & upright(xp, s, c)


def _walk(healthy: Any) -> Task:
    def reward(xp: Any, before: Numbers, s: Physics, action: Numbers, c: Facts) -> Numbers:
        alive = survival(xp, healthy(xp, s, c), c)
        return progress(before, s, c) + alive - c.options.ctrl_cost_weight * squares(xp, action)

    def terminated(xp: Any, s: Physics, c: Facts) -> Numbers:
        return ends(xp, healthy(xp, s, c), c)

    return Task(observe_walker, reward, terminated, track=x_position)


HALF_CHEETAH = Task(observe_cheetah, run_reward, track=x_position, noise=mixed_noise())
SWIMMER = Task(observe_swimmer, run_reward, track=x_position)
HOPPER = _walk(hopper_healthy)
WALKER2D = _walk(upright)
