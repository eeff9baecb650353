"""Ant: paid for velocity along x and for staying up, charged for action and contact forces."""

from __future__ import annotations

from typing import Any

from rlsuite.envs.mujoco.task import (
    Facts,
    Numbers,
    Physics,
    Task,
    ends,
    flat,
    mixed_noise,
    squares,
    survival,
)


def uses_contacts(c: Facts) -> bool:
    """v4 leaves contact forces out of reward and observation unless asked."""
    return c.version >= 5 or bool(c.options.use_contact_forces)


def reads(c: Facts) -> tuple[str, ...]:
    """Bodies' positions; contact forces where they count."""
    return ("xpos", "cfrc_ext") if uses_contacts(c) else ("xpos",)


def body_position(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Where the torso (v5: the main body) is along x: [1].

    Args:
      xp: not read.
      s: `xpos`, metres.
      c: `bodies` and, in v5, the option `main_body`: a body's name or number.
    """
    chosen = c.options.main_body if c.version >= 5 else "torso"
    index = c.bodies[chosen] if isinstance(chosen, str) else chosen
    return s.xpos[..., index, :1]


def contact_forces(xp: Any, s: Physics, c: Facts) -> Numbers:
    """External forces on bodies within their range: [nbody, 6].

    Args:
      xp: numpy or jax.numpy.
      s: `cfrc_ext`, of each body torques (N m), then forces (N).
      c: the option `contact_force_range`, least and greatest.
    """
    return xp.clip(s.cfrc_ext, *c.options.contact_force_range)


def observe(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Positions but x and y, velocities, and contact forces (v5 without the world's) if chosen.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos` (metres, a quaternion, radians), `qvel` (m/s, rad/s) and, where shown, `cfrc_ext`.
      c: version and the options that say what is shown.
    """
    skip = 2 if c.options.exclude_current_positions_from_observation else 0
    parts = [s.qpos[..., skip:], s.qvel]
    if c.version >= 5 and c.options.include_cfrc_ext_in_observation:
        parts.append(flat(contact_forces(xp, s, c)[..., 1:, :]))
    elif c.version == 4 and uses_contacts(c):
        parts.append(flat(contact_forces(xp, s, c)))
    return xp.concatenate(parts, axis=-1)


def healthy(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Everything finite, the torso's height within its range, bounds included.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos`, of which the third is the torso's height, and `qvel`.
      c: the option `healthy_z_range`, metres.

    Returns:
      bool, one for each state.
    """
    state = xp.concatenate([s.qpos, s.qvel], axis=-1)
    low, high = c.options.healthy_z_range
    z = s.qpos[..., 2]
    return xp.all(xp.isfinite(state), axis=-1) & (low <= z) & (z <= high)


def reward(xp: Any, before: Numbers, s: Physics, action: Numbers, c: Facts) -> Numbers:
    """Velocity of the body plus survival minus the prices.

    Args:
      xp: numpy or jax.numpy.
      before: `body_position` before the step: [1], metres.
      s: after the step.
      action: [nu], as the agent gave it, not clipped.
      c: `dt`, seconds of an action, and the options that are weights.
    """
    velocity = (body_position(xp, s, c)[..., 0] - before[..., 0]) / c.dt
    weight = c.options.forward_reward_weight if c.version >= 5 else 1.0
    costs = c.options.ctrl_cost_weight * squares(xp, action)
    if uses_contacts(c):
        forces = flat(contact_forces(xp, s, c))
        costs = costs + c.options.contact_cost_weight * squares(xp, forces)
    return velocity * weight + survival(xp, healthy(xp, s, c), c) - costs


def terminated(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Fallen, jumped or broken.

    Args:
      xp: numpy or jax.numpy.
      s: after the step.
      c: the options `healthy_z_range` and `terminate_when_unhealthy`.
    """
    return ends(xp, healthy(xp, s, c), c)


ANT = Task(observe, reward, terminated, body_position, reads, mixed_noise())
