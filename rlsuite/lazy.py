"""Packages whose heavy half is imported when it is asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def attributes(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` that imports on demand.

    Args:
      package: the module's `__name__`, for the message.
      homes: attribute -> module that has it.
    """

    def find(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(homes[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find


def names(present: Mapping[str, Any], homes: Mapping[str, str]) -> list[str]:
    """A module's `__dir__`: what it has and what it would import on demand, for tab completion.

    Args:
      present: the module's `globals()`.
      homes: as for `attributes`.
    """
    return sorted({*present, *homes})


def agent(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of an agent's package: `Config`, and `make`, which loads jax.

    Args:
      package: the module's `__name__`; it has `config` and `agent`.
    """
    homes = {"Config": f"{package}.config", "make": f"{package}.agent"}
    return attributes(package, homes), lambda: names(vars(sys.modules[package]), homes)
