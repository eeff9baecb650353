"""Mirror Descent Policy Optimization, off-policy (Tomar et al., 2022). `Config` loads no jax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlsuite.agents.online.mdpo_off.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.online.mdpo_off.agent import make

__all__ = ["Config", "make"]


def __getattr__(name: str) -> Any:
    if name == "make":
        from rlsuite.agents.online.mdpo_off.agent import make

        return make
    raise AttributeError(name)
