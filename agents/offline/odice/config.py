"""ODICE's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.agents.cores.config import CloningConfig, MeanKind, OfflineConfig, Rewards
from rlsuite.contracts.config import Traced, knob
from rlsuite.contracts.errors import UsageError


@dataclass(frozen=True)
class Config(CloningConfig, OfflineConfig):
    """ODICE: Revealing the Mystery of Distribution Correction Estimation via Orthogonal-gradient
    Update (Mao et al., 2024, arXiv 2402.00348).

    V minimises (1 - lambda) V(s) + lambda f*(r + gamma V(s') - V(s)) on the data; of the gradient
    through V(s') only what is orthogonal to that through V(s) is added. The policy clones the data
    weighed by the residual. Defaults are the authors' on locomotion: their script's lambda and eta
    (those of the paper per dataset were not found in any source). What lambda means depends on the
    scale of rewards.
    """

    odice_lambda: Traced[float] = knob(
        0.6, "weight of the conjugate against the mean of V", gt=0, lt=1
    )
    eta: Traced[float] = knob(1.0, "weight of the backward gradient; 0: semi-gradient", ge=0)
    gradient: Literal["orthogonal", "semi", "true"] = knob(
        "orthogonal", "what of V(s')'s gradient counts: the projected part, nothing, all of it"
    )
    weight: Literal["repo", "theory"] = knob(
        "repo", "what weighs cloning: max(0, y) as the authors' code, or f*'(y)"
    )
    divergence: Literal["pearson", "reverse-kl"] = knob("pearson", "f")
    max_weight: Traced[float] = knob(100.0, "bound of that weight", gt=0)
    value_learning_rate: Traced[float] = knob(2e-4, "V's Adam step size", gt=0)
    twin: bool = knob(True, "two V's, the target is the smaller; else one")
    learning_rate: Traced[float] = knob(2e-4, "the policy's Adam step size", gt=0)
    weight_decay: Traced[float] = knob(
        1e-4, "L2 added to the policy's gradient before Adam scales it (not AdamW's)", ge=0
    )
    mean: MeanKind = knob("linear", "what the policy's last layer passes through")
    hidden: tuple[int, ...] = knob((1024, 1024), "sizes of the policy's dense layers", ge=1)
    critic_hidden: tuple[int, ...] = knob((256, 256), "V's", ge=1)
    critic_layer_norm: bool = knob(True, "LayerNorm in V's hidden layers")
    standardize: bool = knob(False, "standardise observations by the dataset's mean and deviation")
    rewards: Rewards = knob(
        "return-range", "how rewards are scaled and shifted; names are the papers'"
    )

    def check(self) -> None:
        """Only a projected gradient is weighed by eta."""
        super().check()
        if self.gradient != "orthogonal" and self.eta != Config.eta:
            raise UsageError(
                f"agent.eta {self.eta:g} weighs what is orthogonal: it needs "
                f"agent.gradient = 'orthogonal', not {self.gradient!r}"
            )
