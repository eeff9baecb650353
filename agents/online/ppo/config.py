"""PPO's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.agents.cores.on_policy_config import OnPolicy, largest_divisor
from rlsuite.contracts.config import Traced, knob
from rlsuite.contracts.errors import UsageError


@dataclass(frozen=True)
class Config(OnPolicy):
    """Proximal Policy Optimization Algorithms (Schulman et al., 2017, arXiv 1707.06347).

    Collect num_steps x num_envs transitions with the current policy, compute GAE advantages, then
    take `epochs` passes of minibatch Adam on an importance-weighted surrogate held near the old
    policy by a drift (the clip; a KL penalty; DPO; MDPO's), plus value regression and an entropy
    bonus. Defaults are CleanRL's classic-control settings.
    """

    epochs: int = knob(4, "passes over each rollout", ge=1)
    minibatches: int = knob(4, "minibatches per pass", ge=1)
    learning_rate: Traced[float] = knob(2.5e-4, "Adam step size", gt=0)
    value_coef: Traced[float] = knob(0.5, "weight of the value loss", ge=0)
    drift: Literal[
        "clip", "kl", "kl_fixed", "dpo", "mdpo", "mdpo_fixed", "mdpo_tsallis", "none"
    ] = knob("clip", "what holds the new policy near the old")
    kl_coef: Traced[float] = knob(1.0, "(initial) weight of the KL penalty", ge=0)
    kl_target: Traced[float] = knob(0.01, "KL that the adaptive weight steers to", gt=0)
    dpo_alpha: Traced[float] = knob(2.0, "DPO's constant for A >= 0", gt=0)
    dpo_beta: Traced[float] = knob(0.6, "DPO's constant for A < 0", gt=0)
    mirror_step: Traced[float] = knob(1.0, "MDPO's t (at first): its drift weighs 1/t", gt=0)
    tsallis_q: Traced[float] = knob(2.0, "q' of MDPO's Tsallis drift; 1 is the KL", ge=1, le=2)
    advantage_normalization: Literal["minibatch", "batch", "none"] = knob(
        "minibatch", "where advantages are standardised"
    )

    def check(self) -> None:
        """The minibatches must divide what is shuffled."""
        if self.network != "gru":
            self.check_minibatches("minibatches", self.minibatches)
        elif self.num_envs % self.minibatches:
            raise UsageError(
                f"agent.minibatches {self.minibatches} does not divide agent.num_envs "
                f"{self.num_envs} (a recurrent network shuffles whole environments): try "
                f"{largest_divisor(self.num_envs, self.minibatches)}"
            )
        samples, over = self.num_envs * self.num_steps, self.advantage_normalization
        if over != "none":
            samples = samples // self.minibatches if over == "minibatch" else samples
            self.check_spread(samples, f"a {over}", "agent.advantage_normalization 'none'")
