"""Behaviour cloning, of all data or of the best
trajectories. `Config` loads no jax; `make` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsuite import lazy
from rlsuite.agents.offline.bc.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.offline.bc.agent import make

__all__ = ["Config", "make"]


__getattr__ = lazy.attributes(__name__, {"make": f"{__name__}.agent"})
