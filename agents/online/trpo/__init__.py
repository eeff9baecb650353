"""Trust Region Policy Optimization (Schulman et al., 2015). `Config` loads no jax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsuite import lazy
from rlsuite.agents.online.trpo.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.online.trpo.agent import make

__all__ = ["Config", "make"]


__getattr__ = lazy.attributes(__name__, {"make": f"{__name__}.agent"})
