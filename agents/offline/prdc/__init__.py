"""PRDC (Ran et al., 2023). `Config` loads no jax; `make` does."""

from typing import TYPE_CHECKING

from rlsuite.io import lazy

if TYPE_CHECKING:
    from rlsuite.agents.offline.prdc.agent import make as make
    from rlsuite.agents.offline.prdc.config import Config as Config

__getattr__, __dir__ = lazy.agent(__name__)
