"""Deep Deterministic Policy Gradient (Lillicrap et al., 2016). `Config` loads no jax."""

from typing import TYPE_CHECKING

from rlsuite.io import lazy

if TYPE_CHECKING:
    from rlsuite.agents.online.ddpg.agent import make as make
    from rlsuite.agents.online.ddpg.config import Config as Config

__getattr__, __dir__ = lazy.agent(__name__)
