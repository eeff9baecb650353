"""On-policy mirror descent policy optimisation (Tomar et al., 2022). `Config` loads no jax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsuite import lazy
from rlsuite.agents.online.mdpo.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.online.mdpo.agent import make

__all__ = ["Config", "make"]


__getattr__ = lazy.attributes(__name__, {"make": f"{__name__}.agent"})
