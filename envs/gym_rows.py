"""Rows of Gymnasium's environments, looked up when asked for; imports gymnasium and no jax."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlsuite.envs.datasets.recording import GOAL_PARTS
from rlsuite.errors import UsageError, nearest
from rlsuite.registry import EnvRow, Space

PREFIX = "gym:"
RECORD = "rlsuite.envs.render:record"


def row(env_id: str) -> EnvRow:
    """The row of `gym:ID`, from an instance made for the purpose.

    Args:
      env_id: with the prefix; what follows is Gymnasium's id (`module:ID` imports the module
        first, as in Gymnasium).

    Raises:
      UsageError: an unknown id, a missing package, or a space the suite cannot use.
    """
    env = build(env_id)
    try:
        limit = None if env.spec is None else env.spec.max_episode_steps
        return EnvRow(
            env_id,
            "rlsuite.envs.gym_adapter:make",
            light(encoded(env.observation_space, env_id)),
            light(playable(env.action_space, env_id)),
            limit,
            "gymnasium",
            options=_options(env),
            resumable=False,
            render=RECORD if "rgb_array" in env.metadata.get("render_modes", ()) else "",
        )
    finally:
        env.close()


def build(env_id: str, **options: Any) -> gymnasium.Env:
    """Gymnasium's environment for `gym:ID`.

    Raises:
      UsageError: as `row`.
    """
    name = env_id.removeprefix(PREFIX)
    try:
        return joined(gymnasium.make(name, **options))
    except gymnasium.error.DependencyNotInstalled as e:
        raise UsageError(f"{env_id} needs a package that is missing: {_line(e)}") from None
    except gymnasium.error.UnregisteredEnv:
        raise UsageError(f"no environment {env_id!r}: {nearest(env_id, known())}") from None
    except (gymnasium.error.Error, ImportError) as e:
        raise UsageError(f"Gymnasium cannot make {name!r}: {_line(e)}") from None


def joined(env: gymnasium.Env) -> gymnasium.Env:
    """Observations of a task with a goal (three vectors) as one, as Minari's are read."""
    space = env.observation_space
    if not isinstance(space, spaces.Dict) or set(space.spaces) != set(GOAL_PARTS):
        return env
    boxes = [b for b in map(space.spaces.get, GOAL_PARTS) if isinstance(b, spaces.Box)]
    if len(boxes) < len(GOAL_PARTS) or any(len(box.shape) != 1 for box in boxes):
        return env
    low, high = (np.concatenate([getattr(box, end) for box in boxes]) for end in ("low", "high"))
    one = spaces.Box(low, high, dtype=low.dtype)  # pyright: ignore[reportArgumentType]
    return gymnasium.wrappers.TransformObservation(
        env, lambda obs: np.concatenate([obs[name] for name in GOAL_PARTS]), one
    )


def known() -> Iterable[str]:
    """Every id Gymnasium has registered, with the prefix."""
    return (PREFIX + name for name in gymnasium.registry)


def encoded(space: spaces.Space, env_id: str) -> spaces.Box:
    """The Box that agents see: Discrete observations become one-hot, numbers float32.

    Images, bytes of 0 to 255 on two axes or more, keep them: a replay of floats would be four times
    as large. Networks divide them by 255 (`rlsuite.networks.as_floats`).

    Raises:
      UsageError: another kind of space.
    """
    if isinstance(space, spaces.Discrete):
        return spaces.Box(0.0, 1.0, (int(space.n),), np.float32)
    if not isinstance(space, spaces.Box):
        raise UsageError(_unsupported(env_id, "observations", space))
    image = space.dtype == np.uint8 and len(space.shape) > 1
    image = image and bool((space.low == 0).all() and (space.high == 255).all())
    dtype = np.uint8 if image else np.float32
    with np.errstate(over="ignore"):
        # float64's largest number, some environments' infinity, overflows to the real one.
        return spaces.Box(space.low.astype(dtype), space.high.astype(dtype), space.shape, dtype)


def playable(space: spaces.Space, env_id: str) -> spaces.Box | spaces.Discrete:
    """The space of actions that agents see: Discrete from 0, or a float32 Box.

    Raises:
      UsageError: another kind of space.
    """
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n), dtype=np.int32)
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        return spaces.Box(low, high, space.shape, np.float32)
    raise UsageError(_unsupported(env_id, "actions", space))


def light(space: spaces.Box | spaces.Discrete) -> Space:
    """A space in a few numbers; bounds only where every entry has the same."""
    if isinstance(space, spaces.Discrete):
        return Space("discrete", n=int(space.n))
    shape = tuple(space.shape)
    low, high = np.unique(space.low), np.unique(space.high)
    if low.size == high.size == 1:
        # Six digits: float32's 0.1 is 0.1, not 0.10000000149.
        return Space("box", shape, low=float(f"{low[0]:.6g}"), high=float(f"{high[0]:.6g}"))
    return Space("box", shape)


def _options(env: gymnasium.Env) -> tuple[str, ...]:
    named = inspect.signature(type(env.unwrapped).__init__).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    own = [p.name for p in named if p.kind in plain and p.name not in ("self", "render_mode")]
    return ("max_episode_steps", *own)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _unsupported(env_id: str, what: str, space: spaces.Space) -> str:
    kinds = "Box or Discrete" if what == "observations" else "Discrete or a Box of floats"
    return f"{env_id} has {type(space).__name__} {what}: rlsuite takes {kinds}"
