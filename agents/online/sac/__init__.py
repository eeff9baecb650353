"""Soft Actor-Critic (Haarnoja et al., 2018). `Config` loads no jax; `make` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlsuite.agents.online.sac.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.online.sac.agent import make

__all__ = ["Config", "make"]


def __getattr__(name: str) -> Any:
    if name == "make":
        from rlsuite.agents.online.sac.agent import make

        return make
    raise AttributeError(name)
