"""Conservative Q-Learning (Kumar et al., 2020). `Config` loads no jax; `make` does."""

from typing import TYPE_CHECKING

from rlsuite.io import lazy

if TYPE_CHECKING:
    from rlsuite.agents.offline.cql.agent import make as make
    from rlsuite.agents.offline.cql.config import Config as Config

__getattr__, __dir__ = lazy.agent(__name__)
