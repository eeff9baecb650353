"""Deep Deterministic Policy Gradient (Lillicrap et al., 2016). `Config` loads no jax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlsuite.agents.online.ddpg.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.online.ddpg.agent import make

__all__ = ["Config", "make"]


def __getattr__(name: str) -> Any:
    if name == "make":
        from rlsuite.agents.online.ddpg.agent import make

        return make
    raise AttributeError(name)
