"""Soft Actor-Critic (Haarnoja et al., 2018). `Config` loads no jax; `make` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsuite import lazy
from rlsuite.agents.online.sac.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.online.sac.agent import make

__all__ = ["Config", "make"]


__getattr__ = lazy.attributes(__name__, {"make": f"{__name__}.agent"})
