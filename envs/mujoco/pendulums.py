"""InvertedPendulum and InvertedDoublePendulum: paid for staying up."""

from __future__ import annotations

from typing import Any

from rlsuite.envs.mujoco.task import Facts, Numbers, Physics, Task, mixed_noise, uniform_noise

LEAN = 0.2
LOW = 1.0


def observe_single(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Positions and velocities of cart and pole.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos` (metres, radians) and `qvel` (m/s, rad/s).
      c: not read.
    """
    return xp.concatenate([s.qpos, s.qvel], axis=-1)


def single_fallen(xp: Any, s: Physics, c: Facts) -> Numbers:
    """The pole leans too far, or something is not finite.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos`, of which the second is the pole's angle; beyond 0.2 radians it has fallen; and
        `qvel`.
      c: not read.
    """
    finite = xp.all(xp.isfinite(observe_single(xp, s, c)), axis=-1)
    return ~finite | (xp.abs(s.qpos[..., 1]) > LEAN)


def single_reward(xp: Any, before: Numbers, s: Physics, action: Numbers, c: Facts) -> Numbers:
    """One a step; v5 pays nothing for the step that falls.

    Args:
      xp: numpy or jax.numpy.
      before: not read.
      s: after the step.
      action: not read: it costs nothing.
      c: version.
    """
    fallen = single_fallen(xp, s, c)
    return xp.where(fallen & (c.version >= 5), 0.0, 1.0)


def observe_double(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Cart, sines and cosines of the poles, velocities and constraint forces within +-10.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos` (metres, radians), `qvel` (m/s, rad/s) and `qfrc_constraint` (N, N m).
      c: version, for v5 shows the cart's force alone.
    """
    angles = s.qpos[..., 1:]
    forces = xp.clip(s.qfrc_constraint, -10, 10)
    parts = [
        s.qpos[..., :1], xp.sin(angles), xp.cos(angles), xp.clip(s.qvel, -10, 10),
        forces[..., :1] if c.version >= 5 else forces,
    ]  # fmt: skip
    return xp.concatenate(parts, axis=-1)


def double_fallen(xp: Any, s: Physics, c: Facts) -> Numbers:
    """The tip is too low.

    Args:
      xp: not read.
      s: `site_xpos`, of which the tip is the first; it is too low at 1 metre or less.
      c: not read.
    """
    return s.site_xpos[..., 0, 2] <= LOW


def double_reward(xp: Any, before: Numbers, s: Physics, action: Numbers, c: Facts) -> Numbers:
    """A bonus for being up, minus distance of the tip from its place, minus velocities.

    Args:
      xp: numpy or jax.numpy.
      before: not read.
      s: after the step: `site_xpos` of the tip (metres), at best x 0 and height 2, and the poles'
        `qvel` (rad/s).
      action: not read: it costs nothing.
      c: version and, in v5, the option `healthy_reward`.
    """
    x, y = s.site_xpos[..., 0, 0], s.site_xpos[..., 0, 2]
    v1, v2 = s.qvel[..., 1], s.qvel[..., 2]
    alive = xp.full_like(x, 10.0)
    if c.version >= 5:
        alive = c.options.healthy_reward * xp.where(double_fallen(xp, s, c), 0.0, 1.0)
    distance = 0.01 * x**2 + (y - 2) ** 2
    return alive - distance - (1e-3 * v1**2 + 5e-3 * v2**2)


def _double_reads(c: Facts) -> tuple[str, ...]:
    return ("site_xpos", "qfrc_constraint")


INVERTED_PENDULUM = {
    4: Task(observe_single, single_reward, single_fallen, noise=uniform_noise(0.01)),
    5: Task(observe_single, single_reward, single_fallen),
}
INVERTED_DOUBLE_PENDULUM = {
    version: Task(
        observe_double, double_reward, double_fallen, reads=_double_reads, noise=mixed_noise(scale)
    )
    for version, scale in ((4, 0.1), (5, None))
}
