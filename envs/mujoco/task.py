"""What defines a task: functions of the physics, on any array module.

`xp` is numpy or jax.numpy. Every array may have leading axes in front of the shapes given here
(the C engine hands over a batch, MJX a single state): index from the end, with `...`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

Numbers = Any


@dataclass
class Physics:
    """What a task may look at, MuJoCo's names and float64 (C engine) or float32 (MJX).

    Positions of bodies and sites and whatever follows are those of the last force evaluation, a
    fraction of a physics step before `qpos`, as Gymnasium leaves them; after a reset they are up
    to date, and `cfrc_ext` is zero.

    Attributes:
      qpos, qvel: [nq], [nv], after the step.
      xpos, xipos: [nbody, 3], of bodies' frames and of their centres of mass.
      site_xpos: [nsite, 3].
      cinert, cvel, cfrc_ext: [nbody, 10], [nbody, 6], [nbody, 6].
      qfrc_actuator, qfrc_constraint: [nv].
    """

    qpos: Numbers
    qvel: Numbers
    xpos: Numbers = None
    xipos: Numbers = None
    site_xpos: Numbers = None
    cinert: Numbers = None
    cvel: Numbers = None
    cfrc_ext: Numbers = None
    qfrc_actuator: Numbers = None
    qfrc_constraint: Numbers = None


@dataclass(frozen=True)
class Facts:
    """What a task knows besides the state.

    Attributes:
      options: by name, as attributes.
      version: 4 or 5.
      timestep, dt: seconds of a physics step and of an action.
      qpos0, qvel0: the model's own initial state.
      bodies: name -> index.
      mass: [nbody].
    """

    options: SimpleNamespace
    version: int
    timestep: float
    dt: float
    qpos0: np.ndarray
    qvel0: np.ndarray
    bodies: Mapping[str, int]
    mass: np.ndarray


Noise = Callable[[PRNGKeyArray, Facts], Array]
Place = Callable[[Any, Numbers, Facts], tuple[Numbers, Numbers]]


def uniform_noise(scale: float | None = None) -> Noise:
    """Uniform within +-scale (default: the option) on every position and velocity."""

    def draw(key: PRNGKeyArray, c: Facts) -> Array:
        s = c.options.reset_noise_scale if scale is None else scale
        return jax.random.uniform(key, (c.qpos0.size + c.qvel0.size,), minval=-s, maxval=s)

    return draw


def mixed_noise(scale: float | None = None) -> Noise:
    """Positions uniform within +-scale, velocities normal with standard deviation `scale`."""

    def draw(key: PRNGKeyArray, c: Facts) -> Array:
        s = c.options.reset_noise_scale if scale is None else scale
        positions, velocities = jax.random.split(key)
        qpos = jax.random.uniform(positions, (c.qpos0.size,), minval=-s, maxval=s)
        return jnp.concatenate([qpos, s * jax.random.normal(velocities, (c.qvel0.size,))])

    return draw


def add_noise(xp: Any, noise: Numbers, c: Facts) -> tuple[Numbers, Numbers]:
    """The model's initial state plus noise[nq + nv] -> qpos, qvel.

    Args:
      xp: not read.
      noise: metres, radians, or either a second, as the entry it is added to.
      c: `qpos0` and `qvel0`.
    """
    nq = c.qpos0.size
    return c.qpos0 + noise[..., :nq], c.qvel0 + noise[..., nq:]


def no_track(xp: Any, s: Physics, c: Facts) -> Numbers:
    """Nothing of this state is needed after the next step.

    Args:
      xp: numpy or jax.numpy.
      s: for its leading axes.
      c: not read.

    Returns:
      Zeros of shape [0].
    """
    return xp.zeros((*s.qpos.shape[:-1], 0))


def never(xp: Any, s: Physics, c: Facts) -> Numbers:
    """The task has no end of its own.

    Args:
      xp: numpy or jax.numpy.
      s: for its leading axes.
      c: not read.

    Returns:
      False for each state.
    """
    return xp.zeros(s.qpos.shape[:-1], bool)


@dataclass(frozen=True)
class Task:
    """A task as functions.

    Attributes:
      observe: (xp, physics, facts) -> [obs].
      reward: (xp, track of the state before, physics after, action[nu], facts) -> [].
      terminated: (xp, physics, facts) -> bool [].
      track: (xp, physics, facts) -> [k]; carried in the state to the next step's reward.
      reads: facts -> the `Physics` fields that are needed besides qpos and qvel.
      noise: (key, facts) -> float32[m], what a reset draws.
      place: (xp, noise[m], facts) -> (qpos, qvel).
    """

    observe: Callable[[Any, Physics, Facts], Numbers]
    reward: Callable[[Any, Numbers, Physics, Numbers, Facts], Numbers]
    terminated: Callable[[Any, Physics, Facts], Numbers] = never
    track: Callable[[Any, Physics, Facts], Numbers] = no_track
    reads: Callable[[Facts], tuple[str, ...]] = field(default=lambda c: ())
    noise: Noise = field(default_factory=uniform_noise)
    place: Place = add_noise


def flat(x: Numbers) -> Numbers:
    """[..., a, b] -> [..., a * b]."""
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


def within(xp: Any, x: Numbers, bounds: tuple[float, float]) -> Numbers:
    """Strictly between two bounds, element by element; false for NaN.

    Args:
      xp: not read.
      x: any shape.
      bounds: low and high, in the unit of `x`.
    """
    low, high = bounds
    return (low < x) & (x < high)


def survival(xp: Any, healthy: Numbers, c: Facts) -> Numbers:
    """The reward for being healthy; v4 pays it for an ending step too, if ill health ends one.

    Args:
      xp: numpy or jax.numpy.
      healthy: bool, one for each state after the step.
      c: version and the options `healthy_reward`, paid a step, and `terminate_when_unhealthy`.
    """
    always = c.version == 4 and c.options.terminate_when_unhealthy
    return c.options.healthy_reward * xp.where(always, True, healthy)


def ends(xp: Any, healthy: Numbers, c: Facts) -> Numbers:
    """Ill health ends the episode, if so chosen.

    Args:
      xp: not read.
      healthy: bool, one for each state after the step.
      c: the option `terminate_when_unhealthy`.
    """
    return ~healthy & bool(c.options.terminate_when_unhealthy)


def squares(xp: Any, x: Numbers) -> Numbers:
    """Sum of squares along the last axis."""
    return xp.sum(xp.square(x), axis=-1)
