"""A2PR (Liu et al., 2024). `Config` loads no jax; `make` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsuite import lazy
from rlsuite.agents.offline.a2pr.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.offline.a2pr.agent import make

__all__ = ["Config", "make"]


__getattr__ = lazy.attributes(__name__, {"make": f"{__name__}.agent"})
