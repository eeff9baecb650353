"""Proximal Policy Optimization (Schulman et al., 2017). `Config` loads no jax; `make` does."""

from typing import TYPE_CHECKING

from rlsuite.io import lazy

if TYPE_CHECKING:
    from rlsuite.agents.online.ppo.agent import make as make
    from rlsuite.agents.online.ppo.config import Config as Config

__getattr__, __dir__ = lazy.agent(__name__)
