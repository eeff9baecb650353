"""PRDC (Ran et al., 2023). `Config` loads no jax; `make` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsuite import lazy
from rlsuite.agents.offline.prdc.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.offline.prdc.agent import make

__all__ = ["Config", "make"]


__getattr__ = lazy.attributes(__name__, {"make": f"{__name__}.agent"})
