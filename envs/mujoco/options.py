"""Options as users give them, checked against their defaults; loads no simulator."""

from __future__ import annotations

from numbers import Real
from typing import Any

from rlsuite.contracts.errors import UsageError
from rlsuite.envs.mujoco.specs import Spec

Value = Any


def settle(spec: Spec, given: dict[str, Any]) -> dict[str, Any]:
    """Every option of a task with its value.

    Args:
      spec: the task.
      given: what the user chose, names already checked by the registry.

    Raises:
      UsageError: a value of another kind than the default's.
    """
    found = spec.options
    for name, value in given.items():
        found[name] = _check(spec.id, name, value, found[name])
    return found


def _check(env_id: str, name: str, value: Value, default: Value) -> Value:
    if name == "main_body":
        right, wanted = isinstance(value, int | str), "a body's number or name"
    elif isinstance(default, bool):
        right, wanted = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        right = isinstance(value, int) and not isinstance(value, bool) and value > 0
        wanted = "a whole number of at least 1"
    elif isinstance(default, tuple):
        right = isinstance(value, list | tuple) and len(value) == 2 and all(map(_number, value))
        right, wanted = right and value[0] <= value[1], "two numbers, the lower first"
        value = tuple(map(float, value)) if right else value
    else:
        right, wanted = _number(value), "a number"
        value = float(value) if right else value
    if not right:
        raise UsageError(f"{env_id}: {name} is {wanted}, not {value!r} (default {default!r})")
    return value


def _number(value: Value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and value == value
