"""Humanoid and HumanoidStandup: the same body, paid for walking or for getting up."""

from __future__ import annotations

from typing import Any

from rlsuite.envs.mujoco.task import (
    Facts,
    Numbers,
    Physics,
    Task,
    ends,
    flat,
    squares,
    survival,
    uniform_noise,
    within,
)

OBSERVED = ("cinert", "cvel", "qfrc_actuator", "cfrc_ext")
ROOT_DOFS = 6  # no motor drives them


def _reads(c: Facts) -> tuple[str, ...]:
    shown = [n for n in OBSERVED if c.version == 4 or _shows(c, n)]
    return tuple(dict.fromkeys([*shown, "cfrc_ext"]))


def _walking_reads(c: Facts) -> tuple[str, ...]:
    return (*_reads(c), "xipos")


def _shows(c: Facts, name: str) -> bool:
    return bool(getattr(c.options, f"include_{name}_in_observation"))


def observe(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Positions but x and y, velocities, inertias and velocities of bodies, motor and contact
    forces; v5 leaves out the world's (and the root's motors'), which are always zero.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos` (metres, a quaternion, radians), `qvel` (m/s, rad/s) and those of `OBSERVED` that
        are shown.
      c: version and the options that say what is shown.
    """
    skip = 2 if getattr(c.options, "exclude_current_positions_from_observation", True) else 0
    parts = [s.qpos[..., skip:], s.qvel]
    for name in OBSERVED:
        if c.version >= 5 and not _shows(c, name):
            continue
        x = getattr(s, name)
        if name == "qfrc_actuator":
            parts.append(x[..., ROOT_DOFS:] if c.version >= 5 else x)
        else:
            parts.append(flat(x[..., 1:, :] if c.version >= 5 else x))
    return xp.concatenate(parts, axis=-1)


def mass_centre(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Where the centre of mass is along x: [1].

    Args:
      xp: numpy or jax.numpy.
      s: `xipos`, metres.
      c: `mass`, kilograms.
    """
    x = xp.sum(c.mass * s.xipos[..., 0], axis=-1) / c.mass.sum()
    return x[..., None]


def healthy(xp: Any, s: Physics, c: Facts) -> Numbers:
    """The root's height within its range.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos`, of which the third is the height.
      c: the option `healthy_z_range`, metres, bounds left out.

    Returns:
      bool, one for each state.
    """
    return within(xp, s.qpos[..., 2], c.options.healthy_z_range)


def contact_cost(xp: Any, s: Physics, weight: float, bounds: tuple[float, float]) -> Numbers:
    """Price of the squared contact forces, within bounds.

    Args:
      xp: numpy or jax.numpy.
      s: `cfrc_ext`, of each body torques (N m), then forces (N).
      weight: of their sum of squares.
      bounds: least and greatest cost.
    """
    return xp.clip(weight * squares(xp, flat(s.cfrc_ext)), *bounds)


def walk_reward(xp: Any, before: Numbers, s: Physics, action: Numbers, c: Facts) -> Numbers:
    """Velocity of the centre of mass plus survival minus the prices; v4 forgot contacts.

    Args:
      xp: numpy or jax.numpy.
      before: `mass_centre` before the step: [1], metres.
      s: after the step.
      action: [nu], as the agent gave it, not clipped.
      c: `dt`, seconds of an action, version, and the options that are weights.
    """
    o = c.options
    velocity = (mass_centre(xp, s, c)[..., 0] - before[..., 0]) / c.dt
    costs = o.ctrl_cost_weight * squares(xp, action)
    if c.version >= 5:
        costs = costs + contact_cost(xp, s, o.contact_cost_weight, o.contact_cost_range)
    return o.forward_reward_weight * velocity + survival(xp, healthy(xp, s, c), c) - costs


def fallen(xp: Any, s: Physics, c: Facts) -> Numbers:
    """The walk is over.

    Args:
      xp: numpy or jax.numpy.
      s: after the step.
      c: the options `healthy_z_range` and `terminate_when_unhealthy`.
    """
    return ends(xp, healthy(xp, s, c), c)


def standup_reward(xp: Any, before: Numbers, s: Physics, action: Numbers, c: Facts) -> Numbers:
    """Height over a physics step's length, minus the prices, plus one; v4's weights are fixed.

    Args:
      xp: numpy or jax.numpy.
      before: not read.
      s: after the step; the third of `qpos` is the height, metres.
      action: [nu], as the agent gave it, not clipped.
      c: `timestep`, seconds of a physics step, and in v5 the options that are weights.
    """
    o = c.options
    ctrl = getattr(o, "ctrl_cost_weight", 0.1)
    weight = getattr(o, "impact_cost_weight", 5e-7)
    bounds = getattr(o, "impact_cost_range", (-float("inf"), 10.0))
    impact = contact_cost(xp, s, weight, bounds)
    return s.qpos[..., 2] / c.timestep - ctrl * squares(xp, action) - impact + 1


HUMANOID = Task(observe, walk_reward, fallen, mass_centre, _walking_reads)
STANDUP = {
    4: Task(observe, standup_reward, reads=_reads, noise=uniform_noise(0.01)),
    5: Task(observe, standup_reward, reads=_reads),
}
