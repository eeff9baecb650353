"""Import a package without the slow modules that it names but does not need."""

from __future__ import annotations

import contextlib
import importlib
import sys
import types
from collections.abc import Iterator


@contextlib.contextmanager
def deferred(*names: str) -> Iterator[None]:
    """Let imports inside the block bind stand-ins for these modules.

    A stand-in imports the real module at its first use, so nothing that worked stops working; what
    is never used is never loaded. Modules already loaded are left alone, and afterwards the
    stand-ins are out of `sys.modules`: other importers get the real ones.

    Args:
      names: modules not to load yet; a submodule's parent package is loaded as usual.
    """
    added = [name for name in names if name not in sys.modules]
    sys.modules.update({name: _stand_in(name) for name in added})
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


def _stand_in(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    # A module's own __getattr__ is asked for what the module lacks: here, everything.
    module.__getattr__ = lambda attribute: getattr(  # pyright: ignore[reportAttributeAccessIssue]
        importlib.import_module(name), attribute
    )
    return module
