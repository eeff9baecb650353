"""On-policy mirror descent policy optimisation (Tomar et al., 2022). `Config` loads no jax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlsuite.agents.online.mdpo.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.online.mdpo.agent import make

__all__ = ["Config", "make"]


def __getattr__(name: str) -> Any:
    if name == "make":
        from rlsuite.agents.online.mdpo.agent import make

        return make
    raise AttributeError(name)
