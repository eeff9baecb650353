"""IQL's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.agents.cores.config import CloningConfig, Decay, Init, OfflineConfig, Rewards
from rlsuite.contracts.config import Traced, knob


@dataclass(frozen=True)
class Config(CloningConfig, OfflineConfig):
    """Offline Reinforcement Learning with Implicit Q-Learning (Kostrikov, Nair and Levine, 2022,
    arXiv 2110.06169).

    V is an upper expectile of Q over the data's own actions, Q regresses on r + gamma V(s'), and
    the policy clones the data weighed by exp(beta (Q - V)): no action that is not in the data is
    ever valued. Defaults are the authors' on locomotion.
    """

    critic_learning_rate: Traced[float] = knob(3e-4, "the critics' Adam step size", gt=0)
    value_learning_rate: Traced[float] = knob(3e-4, "V's Adam step size", gt=0)
    expectile: Traced[float] = knob(0.7, "tau: V's expectile; 0.5 is the mean", gt=0, lt=1)
    beta: Traced[float] = knob(3.0, "inverse temperature of the advantage; 0: cloning", ge=0)
    max_weight: Traced[float] = knob(100.0, "bound of exp(beta A)", gt=0)
    order: Literal["value_first", "simultaneous"] = knob(
        "value_first",
        "which V policy and Q see: after its step as the authors', or before it as CORL's",
    )
    clip_actions: bool = knob(True, "data actions within 1 - 1e-5 of zero")
    decay: Decay = knob(
        "cosine", "how the policy's step size changes; cosine: to 0 at the run's last update"
    )
    init: Init = knob("orthogonal", "how weights start; torch: U(±1/sqrt(fan_in))")
    standardize: bool = knob(False, "standardise observations by the dataset's mean and deviation")
    rewards: Rewards = knob(
        "return-range", "how rewards are scaled and shifted; names are the papers'"
    )
