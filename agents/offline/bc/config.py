"""Behaviour cloning's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rlsuite.agents.cores.config import CloningConfig, PolicyKind
from rlsuite.contracts.config import knob


@dataclass(frozen=True)
class Config(CloningConfig):
    """Behaviour cloning as offline papers compare with it; 10 % BC is that of the Decision
    Transformer (Chen et al., 2021, arXiv 2106.01345).

    Regression on the data's actions; with a `fraction` below 1, on those of the trajectories with
    the highest discounted returns only. Trajectories are the dataset's episodes (CORL cuts at
    terminals and after 1000 rows, which straddles episodes that a time limit ended). Defaults are
    CORL's.
    """

    removed: ClassVar[Mapping[str, Any]] = {
        "gamma": 0.99, "tau": 0.005, "critic_hidden": [], "critic_layer_norm": False,
        "rewards": "none",
    }  # fmt: skip
    policy: PolicyKind = knob(
        "deterministic", "what is cloned: a normal of one deviation everywhere, or an action"
    )
    fraction: float = knob(1.0, "share of trajectories kept, the best; 1: all", gt=0, le=1)
    return_discount: float = knob(0.99, "discount of the returns they are chosen by", ge=0, le=1)
