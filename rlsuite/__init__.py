"""rlsuite: policy optimisation in JAX. Importing it loads neither jax nor an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsuite import lazy

__version__ = "0.1.0"

_LAZY = {
    **dict.fromkeys(
        (
            "context", "load", "load_dataset", "load_results", "make", "make_env", "save", "search",
            "train",
        ),
        "rlsuite.library",
    ),
    "UsageError": "rlsuite.errors",
    "check_env": "rlsuite.vector",
}  # fmt: skip
__all__ = [
    "UsageError",
    "__version__",
    "check_env",
    "context",
    "load",
    "load_dataset",
    "load_results",
    "make",
    "make_env",
    "save",
    "search",
    "train",
]

if TYPE_CHECKING:
    from rlsuite.errors import UsageError
    from rlsuite.library import (
        context,
        load,
        load_dataset,
        load_results,
        make,
        make_env,
        save,
        search,
        train,
    )
    from rlsuite.vector import check_env


__getattr__ = lazy.attributes(__name__, _LAZY)


def __dir__() -> list[str]:
    """So that tab completion shows what is imported on demand too."""
    return lazy.names(globals(), _LAZY)
