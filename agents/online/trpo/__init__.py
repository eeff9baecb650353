"""Trust Region Policy Optimization (Schulman et al., 2015). `Config` loads no jax."""

from typing import TYPE_CHECKING

from rlsuite.io import lazy

if TYPE_CHECKING:
    from rlsuite.agents.online.trpo.agent import make as make
    from rlsuite.agents.online.trpo.config import Config as Config

__getattr__, __dir__ = lazy.agent(__name__)
