"""The soft core as a replay-based algorithm."""

from __future__ import annotations

from functools import partial

from rlsuite.agents.online.off_policy.state import Algorithm
from rlsuite.agents.online.soft import core as soft
from rlsuite.agents.online.soft.core import Core


def algorithm(name: str, core: Core) -> Algorithm:
    """The core as a replay-based algorithm."""
    return Algorithm(
        name=name,
        init=partial(soft.init, core),
        policy=lambda learner: learner.policy.actor,
        act=partial(soft.act, core),
        update=partial(soft.update, core),
        warm=partial(soft.warm, core),
    )
