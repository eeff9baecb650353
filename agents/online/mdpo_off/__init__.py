"""Mirror Descent Policy Optimization, off-policy (Tomar et al., 2022). `Config` loads no jax."""

from typing import TYPE_CHECKING

from rlsuite.io import lazy

if TYPE_CHECKING:
    from rlsuite.agents.online.mdpo_off.agent import make as make
    from rlsuite.agents.online.mdpo_off.config import Config as Config

__getattr__, __dir__ = lazy.agent(__name__)
