"""Implicit Q-Learning (Kostrikov et al., 2022). `Config` loads no jax; `make` does."""

from typing import TYPE_CHECKING

from rlsuite.io import lazy

if TYPE_CHECKING:
    from rlsuite.agents.offline.iql.agent import make as make
    from rlsuite.agents.offline.iql.config import Config as Config

__getattr__, __dir__ = lazy.agent(__name__)
