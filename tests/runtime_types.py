"""The type checker that `conftest.py` installs on every function of the suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

# An int where a float is annotated is fine for Python and for pyright; so it is here.
_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check calls of functions, not the making of dataclasses.

    jax rebuilds state dataclasses around whatever it likes (shapes, axes, None), and
    configurations check their own fields with better words.
    """
    return function if function.__name__ == "__init__" else _check(function)
