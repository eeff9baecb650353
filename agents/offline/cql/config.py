"""CQL's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.agents.cores.config import Init, OfflineConfig, SoftCoreConfig, TemperatureConfig
from rlsuite.contracts.config import Traced, knob
from rlsuite.contracts.errors import UsageError


@dataclass(frozen=True)
class Config(TemperatureConfig, SoftCoreConfig, OfflineConfig):
    """Conservative Q-Learning for Offline Reinforcement Learning (Kumar et al., 2020, arXiv
    2006.04779).

    SAC on a dataset whose critics also bring down a soft maximum of Q over actions and raise Q of
    the data's. The soft maximum is estimated at uniform actions and at the policy's in s and s',
    weighed by their densities. Defaults are CORL's on locomotion, networks aside: those are in its
    preset.
    """

    conservative: bool = knob(
        True, "whether critics pay the penalty; false, with `backup_entropy`: SAC on the data"
    )
    cql_alpha: Traced[float] = knob(10.0, "weight of the penalty", ge=0)
    cql_actions: int = knob(10, "actions drawn of each of the three kinds", ge=1)
    cql_temperature: Traced[float] = knob(1.0, "T of the soft maximum", gt=0)
    lagrange: bool = knob(False, "a learned multiplier in front, which holds the gap at a target")
    target_gap: Traced[float] = knob(0.8, "with `lagrange`: the gap it aims at")
    gap_floor: Traced[float] = knob(-1e9, "a row's gap below this is not brought down further")
    backup_entropy: bool = knob(False, "whether targets are charged for the policy's entropy")
    max_target: bool = knob(False, "targets take the best of `cql_actions` actions in s'")

    learning_rate: Traced[float] = knob(3e-5, "the actor's Adam step size", gt=0)
    temperature_learning_rate: Traced[float] = knob(3e-5, "Adam step size of ln alpha", gt=0)
    temperature_loss: Literal["alpha", "log_alpha"] = knob(
        "log_alpha", "what multiplies the entropy's distance; log_alpha as in SB3"
    )
    order: Literal["critic_first", "actor_first", "simultaneous"] = knob(
        "simultaneous", "which step sees the other's result; simultaneous: neither"
    )
    log_std: Literal["tanh", "clip", "softplus"] = knob(
        "clip", "ln sigma: squashed or clipped to its bounds, or ln(softplus + e^minimum)"
    )
    log_std_min: float = knob(-20.0, "lower bound of ln sigma")
    log_std_start: float = knob(-1.0, "where ln sigma's output starts: its bias")
    hidden: tuple[int, ...] = knob((256, 256, 256), "sizes of the actor's dense layers", ge=1)
    actor_init: Init = knob("torch", "how the actor's weights start; `init` is the critics'")
    init: Init = knob("orthogonal", "how the critics' weights start; torch: U(±1/sqrt(fan_in))")
    head_gain: float = knob(
        1e-2, "gain of the last layers' start: Xavier's (actor), orthogonal (critics)", gt=0
    )

    def check(self) -> None:
        """A multiplier needs a penalty to multiply."""
        super().check()
        if self.lagrange and not self.conservative:
            raise UsageError(
                "agent.lagrange = true multiplies a penalty: it needs agent.conservative = true"
            )
