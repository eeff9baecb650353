"""Mirror Descent Policy Optimization, off-policy (Tomar et al., 2022). `Config` loads no jax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsuite import lazy
from rlsuite.agents.online.mdpo_off.config import Config

if TYPE_CHECKING:
    from rlsuite.agents.online.mdpo_off.agent import make

__all__ = ["Config", "make"]


__getattr__ = lazy.attributes(__name__, {"make": f"{__name__}.agent"})
