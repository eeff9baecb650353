"""Rows of Gymnasium's environments, looked up when asked for; imports gymnasium and no jax."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
import warnings
from collections.abc import Iterable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import load_env_creator

from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.contracts.registry import EnvRow, Space
from rlsuite.envs.datasets.recording import GOAL_PARTS

PREFIX = "gym:"
RECORD = "rlsuite.envs.render:record"
# What was found fit, while Gymnasium's registry says the same of it: a command asks many times.
_ROWS: dict[str, tuple[Any, EnvRow]] = {}


def row(env_id: str, **options: Any) -> EnvRow:
    """The row of `gym:ID`, from an instance made, reset and stepped once for the purpose.

    Args:
      env_id: with the prefix; what follows is Gymnasium's id (`module:ID` imports the module
        first, from the current folder too).
      options: of its constructor.

    Raises:
      UsageError: an unknown id or option, a missing package, a constructor that fails, a space the
        suite cannot use, or a `reset` or `step` that do not keep to Gymnasium's interface.
    """
    key = repr((env_id, sorted(options.items())))
    if key in _ROWS and _ROWS[key][0] is gymnasium.registry.get(_name(env_id)):
        return _ROWS[key][1]
    env = build(env_id, **options)
    try:
        observation = light(encoded(env.observation_space, env_id))
        action = light(playable(env.action_space, env_id), widest=True)
        with warnings.catch_warnings(action="ignore"):
            # Whoever trains on it will hear Gymnasium's warnings.
            _try(env, env_id)
        found = EnvRow(
            env_id, "rlsuite.envs.gym_adapter:make", observation, action,
            None if env.spec is None else env.spec.max_episode_steps, "gymnasium",
            options=tuple(dict.fromkeys((*_options(env), *options))), resumable=False,
            render=RECORD if "rgb_array" in (env.metadata.get("render_modes") or ()) else "",
        )  # fmt: skip
    finally:
        close(env)
    _ROWS[key] = gymnasium.registry.get(_name(env_id)), found
    return found


def _name(env_id: str) -> str:
    """Gymnasium's id, without the module."""
    return env_id.removeprefix(PREFIX).rpartition(":")[2]


def build(env_id: str, **options: Any) -> gymnasium.Env:
    """Gymnasium's environment for `gym:ID`.

    Raises:
      UsageError: an unknown id, a missing package or module, or a constructor that fails.
    """
    name = env_id.removeprefix(PREFIX)
    _import(env_id)
    try:
        return joined(gymnasium.make(name, **options))
    except gymnasium.error.DependencyNotInstalled as e:
        raise UsageError(f"{env_id} needs a package that is missing: {_line(e)}") from None
    except gymnasium.error.UnregisteredEnv:
        raise UsageError(f"no environment {env_id!r}: {nearest(env_id, known())}") from None
    except Exception as e:
        said = f"{env_id} cannot be made: {type(e).__name__}: {_line(e)}"
        raise UsageError(f"{said}{_advice(_name(env_id), options)}") from e


def _import(env_id: str) -> None:
    """Import `module` of `gym:module:ID`, as Gymnasium does, but from the current folder too, which
    is on the path of a script and not on that of an installed command."""
    module = env_id.removeprefix(PREFIX).rpartition(":")[0]
    if not module or module in sys.modules:
        return
    here = os.getcwd()
    try:
        # Last, so that nothing installed is hidden by a file that happens to lie here.
        sys.path.append(here)
        importlib.import_module(module)
    except ModuleNotFoundError as e:
        if e.name and (module == e.name or module.startswith(f"{e.name}.")):
            where = f"neither in {here} nor on the PYTHONPATH"
            raise UsageError(f"{env_id}: no module {e.name!r}, {where}") from None
        raise UsageError(f"{env_id}: module {module} needs {e.name!r}, which is missing") from e
    except Exception as e:
        raise UsageError(f"{env_id}: module {module} fails: {type(e).__name__}: {_line(e)}") from e
    finally:
        if sys.path.count(here) > 1 and sys.path[-1] == here:
            sys.path.pop()


def close(env: Any) -> None:
    """Close what is no longer needed, whatever it says of it."""
    with contextlib.suppress(Exception):
        env.close()


# --- what a simulator returns: checked and copied, for it may use one buffer again and again -----


def begin(env: gymnasium.Env, env_id: str, seed: int | None = None) -> np.ndarray:
    """Reset; the observation as agents see it (`encoded`), an array of its own.

    Args:
      env: as `build` makes it.
      env_id: for the message.
      seed: of the environment's generator; None: it goes on with the one it has.

    Raises:
      UsageError: it is something else than the space says.
    """
    out = env.reset(seed=seed)
    if not isinstance(out, tuple) or len(out) != 2:
        raise UsageError(
            f"{env_id}: reset must return (observation, info), as since Gymnasium 0.26"
        )
    return seen(env_id, env.observation_space, out[0])


def advance(
    env: gymnasium.Env, env_id: str, action: np.ndarray | np.generic
) -> tuple[np.ndarray, float, bool, bool]:
    """One step, from an action of the space `playable` gives.

    Args:
      env: as `build` makes it, reset before.
      env_id: for the message.
      action: of the space's shape, or an index from its start.

    Returns:
      (observation as agents see it, reward, terminated, truncated), nothing shared with the
      simulator. An episode that ends by itself in its last step has terminated.

    Raises:
      UsageError: something is not of the kind that Gymnasium's interface says.
    """
    out = env.step(decode(action, env.action_space))
    if not isinstance(out, tuple) or len(out) != 5:
        raise UsageError(
            f"{env_id}: step must return (observation, reward, terminated, truncated, info), as "
            "since Gymnasium 0.26"
        )
    obs = seen(env_id, env.observation_space, out[0])
    names = ("reward", "terminated", "truncated")
    reward, terminated, truncated = map(partial(_number, env_id), names, out[1:4])
    return obs, float(reward), bool(terminated), bool(truncated) and not terminated


def decode(action: np.ndarray | np.generic, space: spaces.Space) -> Any:
    """An action as Gymnasium's space has it; a new array, for the simulator may write into it."""
    if isinstance(space, spaces.Discrete):
        return space.dtype.type(action)
    assert isinstance(space, spaces.Box)
    # float32's 0.1 lies above float64's, and simulators ask whether their space contains it.
    return np.asarray(np.clip(action.astype(space.dtype), space.low, space.high))


def seen(env_id: str, space: spaces.Space, obs: Any) -> np.ndarray:
    """An observation as agents see it (`encoded`), copied.

    Args:
      env_id: for the message.
      space: the simulator's own.
      obs: as the simulator gave it.

    Returns:
      The space's shape in float32 or bytes; one-hot [n] of a Discrete one.

    Raises:
      UsageError: of another shape than the space, or of values that its type cannot hold.
    """
    if isinstance(space, spaces.Discrete):
        index = int(_number(env_id, "observation", obs)) - int(space.start)
        if not 0 <= index < space.n:
            raise UsageError(f"{env_id}: observation {obs} is outside its space, {space}")
        hot = np.zeros(int(space.n), np.float32)
        hot[index] = 1.0
        return hot
    given, dtype = np.asarray(obs), encoded_dtype(space)
    if given.shape != space.shape:
        raise UsageError(f"{env_id}: observation is {list(given.shape)}, its space {space}")
    with np.errstate(over="ignore", invalid="ignore"):
        copied = np.array(given, dtype)
    if dtype == np.uint8 and given.dtype != np.uint8 and (copied != given).any():
        raise UsageError(f"{env_id}: observation is {given.dtype}, its space {space}")
    return copied


def _number(env_id: str, what: str, value: Any) -> Any:
    array = np.asarray(value)
    if array.size != 1:
        raise UsageError(f"{env_id}: {what} is {list(array.shape)}, it must be one number")
    return array.item()


def _try(env: gymnasium.Env, env_id: str) -> None:
    """Reset and step once, so that what is wrong is said before anything is compiled."""
    doing = "reset"
    try:
        begin(env, env_id, seed=0)
        doing = "step"
        advance(env, env_id, _rest(env.action_space))
    except UsageError:
        raise
    except gymnasium.error.DependencyNotInstalled as e:
        raise UsageError(f"{env_id} needs a package that is missing: {_line(e)}") from None
    except Exception as e:
        raise UsageError(f"{env_id}: {doing} fails: {type(e).__name__}: {_line(e)}") from e


def _rest(space: spaces.Space) -> np.ndarray:
    """What is nearest to no action: Gymnasium cannot draw from a box of the largest floats."""
    if isinstance(space, spaces.Discrete):
        return np.asarray(space.start)
    assert isinstance(space, spaces.Box)
    # Of a box of no axes numpy makes a number.
    return np.asarray(np.clip(np.zeros(space.shape), space.low, space.high))


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
    as large. Networks divide them by 255 (`rlsuite.nn.networks.as_floats`).

    Raises:
      UsageError: another kind of space.
    """
    if isinstance(space, spaces.Discrete):
        return spaces.Box(0.0, 1.0, (int(space.n),), np.float32)
    if not isinstance(space, spaces.Box):
        raise UsageError(_unsupported(env_id, "observations", space))
    dtype = encoded_dtype(space)
    with np.errstate(over="ignore"):
        # float64's largest number, some environments' infinity, overflows to the real one.
        return spaces.Box(space.low.astype(dtype), space.high.astype(dtype), space.shape, dtype)


def encoded_dtype(space: spaces.Space) -> Any:
    """The type of observations that agents see: bytes of images, which networks divide by 255, else
    float32."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) < 2:
        return np.float32
    whole = bool((space.low == 0).all() and (space.high == 255).all())
    return np.uint8 if whole else np.float32


def playable(space: spaces.Space, env_id: str) -> spaces.Box | spaces.Discrete:
    """The space of actions: Discrete with int32, or a float32 Box, of its own start or shape.

    Raises:
      UsageError: another kind of space.
    """
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n), start=int(space.start), dtype=np.int32)
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        with np.errstate(over="ignore"):
            low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        return spaces.Box(low, high, space.shape, np.float32)
    raise UsageError(_unsupported(env_id, "actions", space))


def light(space: spaces.Box | spaces.Discrete, widest: bool = False) -> Space:
    """A space in a few numbers; bounds that differ by entry are none, or the `widest`."""
    if isinstance(space, spaces.Discrete):
        return Space("discrete", n=int(space.n), start=int(space.start))
    shape, size = tuple(space.shape), int(space.dtype.itemsize)
    if not widest and np.unique(space.low).size + np.unique(space.high).size > 2:
        return Space("box", shape, bytes=size)
    # Six digits: float32's 0.1 is 0.1, not 0.10000000149.
    low, high = (float(f"{bound:.6g}") for bound in (space.low.min(), space.high.max()))
    return Space("box", shape, low=low, high=high, bytes=size)


def _options(env: gymnasium.Env) -> tuple[str, ...]:
    named = inspect.signature(type(env.unwrapped).__init__).parameters.values()
    own = [p.name for p in named if p.kind in _PLAIN and p.name not in ("self", "render_mode")]
    return ("max_episode_steps", "render_mode", *own)


_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _advice(name: str, options: dict[str, Any]) -> str:
    """The constructor's arguments that are missing, unknown, or could be given."""
    try:
        spec = gymnasium.spec(name)
        creator: Any = spec.entry_point
        if isinstance(creator, str):
            creator = load_env_creator(creator)
        named = inspect.signature(creator).parameters
    except Exception:
        return ""
    own = {n: p for n, p in named.items() if p.kind in _PLAIN}
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in named.values())
    given = {**spec.kwargs, **options}
    missing = [n for n, p in own.items() if p.default is p.empty and n not in given]
    for option in () if open_ended else options:
        if option not in own and option != "max_episode_steps":
            return f"; it has no option {option!r}: {nearest(option, own)}"
    if missing:
        return (
            f"; in a grid file give env_options = {{ {', '.join(f'{n} = ...' for n in missing)} }}"
        )
    return f"; its options (env_options of a grid file) are {', '.join(own)}" if own else ""


def _line(error: Exception) -> str:
    # Gymnasium adds what it called to what the constructor said.
    return " ".join(str(error).partition(" was raised from the environment creator")[0].split())


def _unsupported(env_id: str, what: str, space: spaces.Space) -> str:
    kinds, wrapper = "Discrete or a Box of floats", "TransformAction"
    if what == "observations":
        kinds, wrapper = "Box or Discrete", "FlattenObservation"
    hint = f"register it inside gymnasium.wrappers.{wrapper}"
    return f"{env_id} has {type(space).__name__} {what}: rlsuite takes {kinds}, {hint}"
