"""Reacher and Pusher: an arm, paid for closeness.

v4 pays for where things were before the step, v5 for where they are after it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from rlsuite.envs.mujoco.task import Facts, Numbers, Physics, Task, squares

# Draws of which the first that is allowed counts; that none is has probability below 1e-26.
CANDIDATES = 64
REACH = 0.2
KEEP_OFF = 0.17
AT_REST = 0.005


def first_allowed(points: Array, allowed: Array) -> Array:
    """Points [k, 2] and which of them may be used -> [2]; rejection without a loop."""
    return points[jnp.argmax(allowed)]


def between(s: Physics, c: Facts, a: str, b: str) -> Numbers:
    """From body b to body a: [3].

    Args:
      s: `xpos`, metres.
      c: `bodies`.
      a: name of the body that is pointed at.
      b: name of the body that it is seen from.
    """
    return s.xpos[..., c.bodies[a], :] - s.xpos[..., c.bodies[b], :]


def _norm(xp: Any, x: Numbers) -> Numbers:
    return xp.sqrt(squares(xp, x))


def _reads(c: Facts) -> tuple[str, ...]:
    return ("xpos",)


def reacher_distance(xp: Any, s: Physics, c: Facts) -> Numbers:
    """From the target to the fingertip: [1].

    Args:
      xp: numpy or jax.numpy.
      s: `xpos`, metres.
      c: `bodies`.
    """
    return _norm(xp, between(s, c, "fingertip", "target"))[..., None]


def reacher_reward(xp: Any, before: Numbers, s: Physics, action: Numbers, c: Facts) -> Numbers:
    """Minus distance, minus the price of the action.

    Args:
      xp: numpy or jax.numpy.
      before: `reacher_distance` before the step: [1], metres. Only v4 reads it.
      s: after the step. Only v5 reads it.
      action: [2], as the agent gave it, not clipped.
      c: version and, in v5, the options that are weights.
    """
    if c.version == 4:
        return -before[..., 0] - squares(xp, action)
    distance = reacher_distance(xp, s, c)[..., 0]
    o = c.options
    return -distance * o.reward_dist_weight - squares(xp, action) * o.reward_control_weight


def reacher_observe(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Cosines and sines of the joints, target, joint velocities, target to fingertip.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos` (two angles in radians, the target's x and y in metres), `qvel` and `xpos`.
      c: version, for v4 shows the third coordinate of the gap too, and `bodies`.
    """
    theta = s.qpos[..., :2]
    gap = between(s, c, "fingertip", "target")[..., : 3 if c.version == 4 else 2]
    parts = [xp.cos(theta), xp.sin(theta), s.qpos[..., 2:], s.qvel[..., :2], gap]
    return xp.concatenate(parts, axis=-1)


def reacher_noise(key: PRNGKeyArray, c: Facts) -> Array:
    """Joint angles, a target within reach, joint velocities: [6]."""
    angles, target, velocities = jax.random.split(key, 3)
    points = jax.random.uniform(target, (CANDIDATES, 2), minval=-REACH, maxval=REACH)
    goal = first_allowed(points, jnp.linalg.norm(points, axis=-1) < REACH)
    qpos = jax.random.uniform(angles, (2,), minval=-0.1, maxval=0.1)
    qvel = jax.random.uniform(velocities, (2,), minval=-AT_REST, maxval=AT_REST)
    return jnp.concatenate([qpos, goal, qvel])


def reacher_place(xp: Any, noise: Numbers, c: Facts) -> tuple[Numbers, Numbers]:
    """The target is where it was drawn, and rests.

    Args:
      xp: numpy or jax.numpy.
      noise: [6] of `reacher_noise`: radians, metres, rad/s, two of each.
      c: `qpos0` and `qvel0`, which angles and their velocities are added to.

    Returns:
      (qpos[4], qvel[4]).
    """
    qpos = xp.concatenate([c.qpos0[:2] + noise[..., :2], noise[..., 2:4]], axis=-1)
    still = xp.zeros_like(noise[..., :2])
    return qpos, xp.concatenate([c.qvel0[:2] + noise[..., 4:], still], axis=-1)


def pusher_distances(xp: Any, s: Physics, c: Facts) -> Numbers:
    """From the arm's tip and from the goal to the object: [2].

    Args:
      xp: numpy or jax.numpy.
      s: `xpos`, metres.
      c: `bodies`.
    """
    tip = _norm(xp, between(s, c, "object", "tips_arm"))
    goal = _norm(xp, between(s, c, "object", "goal"))
    return xp.stack([tip, goal], axis=-1)


def pusher_reward(xp: Any, before: Numbers, s: Physics, action: Numbers, c: Facts) -> Numbers:
    """Minus weighted distances, minus the price of the action.

    Args:
      xp: numpy or jax.numpy.
      before: `pusher_distances` before the step: [2], metres. Only v4 reads them.
      s: after the step. Only v5 reads it.
      action: [7], as the agent gave it, not clipped.
      c: version and, in v5, the options that are weights.
    """
    if c.version == 4:
        return -before[..., 1] - 0.1 * squares(xp, action) - 0.5 * before[..., 0]
    tip, goal = (pusher_distances(xp, s, c)[..., i] for i in range(2))
    o = c.options
    price = squares(xp, action) * o.reward_control_weight
    return -goal * o.reward_dist_weight - price - tip * o.reward_near_weight


def pusher_observe(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Joint angles and velocities, where the tip, the object and the goal are.

    Args:
      xp: numpy or jax.numpy.
      s: `qpos` and `qvel`, of which the first seven are the arm's (radians), and `xpos` (metres).
      c: `bodies`.
    """
    places = [s.xpos[..., c.bodies[name], :] for name in ("tips_arm", "object", "goal")]
    return xp.concatenate([s.qpos[..., :7], s.qvel[..., :7], *places], axis=-1)


def pusher_noise(key: PRNGKeyArray, c: Facts) -> Array:
    """Where the object lies, not too near the goal, and joint velocities: [9]."""
    where, velocities = jax.random.split(key)
    low, high = jnp.array([-0.3, -0.2]), jnp.array([0.0, 0.2])
    points = jax.random.uniform(where, (CANDIDATES, 2), minval=low, maxval=high)
    spot = first_allowed(points, jnp.linalg.norm(points, axis=-1) > KEEP_OFF)
    qvel = jax.random.uniform(velocities, (7,), minval=-AT_REST, maxval=AT_REST)
    return jnp.concatenate([spot, qvel])


def pusher_place(xp: Any, noise: Numbers, c: Facts) -> tuple[Numbers, Numbers]:
    """The arm in the model's own pose, the object where it was drawn, the goal at the origin.

    Args:
      xp: numpy or jax.numpy.
      noise: [9] of `pusher_noise`: the object's two slides (metres), seven velocities (rad/s).
      c: `qpos0`, and `qvel0`, which the velocities are added to.

    Returns:
      (qpos[11], qvel[11]).
    """
    lead = noise.shape[:-1]
    arm = xp.broadcast_to(xp.asarray(c.qpos0[:7]), (*lead, 7))
    qpos = xp.concatenate([arm, noise[..., :2], xp.zeros((*lead, 2))], axis=-1)
    return qpos, xp.concatenate([c.qvel0[:7] + noise[..., 2:], xp.zeros((*lead, 4))], axis=-1)


REACHER = Task(
    reacher_observe, reacher_reward, track=reacher_distance, reads=_reads, noise=reacher_noise,
    place=reacher_place,
)  # fmt: skip
PUSHER = Task(
    pusher_observe, pusher_reward, track=pusher_distances, reads=_reads, noise=pusher_noise,
    place=pusher_place,
)  # fmt: skip
