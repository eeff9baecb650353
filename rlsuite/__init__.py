"""rlsuite: policy optimisation in JAX. Importing it loads neither jax nor an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsuite.lazy import attributes

__version__ = "0.1.0"

_LAZY = {
    "check_env": "rlsuite.vector",
    "make_env": "rlsuite.registry",
    "train": "rlsuite.library",
    "load_dataset": "rlsuite.library",
    "save": "rlsuite.library",
    "load": "rlsuite.library",
    "UsageError": "rlsuite.errors",
}
__all__ = [
    "UsageError", "__version__", "check_env", "load", "load_dataset", "make_env", "save", "train",
]  # fmt: skip

if TYPE_CHECKING:
    from rlsuite.errors import UsageError
    from rlsuite.library import load, load_dataset, save, train
    from rlsuite.registry import make_env
    from rlsuite.vector import check_env


__getattr__ = attributes(__name__, _LAZY)
