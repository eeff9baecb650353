"""TRPO's settings."""

from __future__ import annotations

from dataclasses import dataclass

from rlsuite.agents.cores.on_policy_config import SeparateConfig
from rlsuite.contracts.config import Traced, knob
from rlsuite.contracts.errors import UsageError


@dataclass(frozen=True)
class Config(SeparateConfig):
    """Trust Region Policy Optimization (Schulman et al., ICML 2015, arXiv 1502.05477).

    Each iteration takes one natural-gradient step on the importance-weighted surrogate, as long as
    a mean KL(old || new) of `max_kl` allows to second order, and shortens it until the measured KL
    keeps the bound and the surrogate has not fallen; if no length does, the policy stays. The value
    function is fitted separately. Trust region as in Lehmann (2024, arXiv 2401.13662); the KL is
    summed over action dimensions.
    """

    num_envs: int = knob(1, "environments stepped together", ge=1)
    num_steps: int = knob(2048, "steps of each environment in a rollout", ge=1)
    anneal_learning_rate: bool = knob(False, "the value function's step size falls to 0")
    entropy_coef: Traced[float] = knob(0.0, "weight of the entropy bonus", ge=0)
    normalize_observations: bool = knob(True, "standardise observations by running statistics")
    normalize_rewards: bool = knob(True, "divide rewards by the deviation of discounted sums")
    value_clip: bool = knob(False, "clip the value update to clip_epsilon around the old value")
    clip_epsilon: Traced[float] = knob(0.2, "half width of the value update's clip", gt=0)
    max_kl: Traced[float] = knob(0.01, "delta: the bound of the mean KL(old || new)", gt=0)
    damping: Traced[float] = knob(0.1, "zeta: added to the Fisher matrix's diagonal", ge=0)
    cg_iterations: int = knob(10, "iterations of conjugate gradients", ge=1)
    cg_tolerance: Traced[float] = knob(1e-10, "squared residual at which they stop", ge=0)
    fisher_every: int = knob(1, "the Fisher matrix sees every n-th sample", ge=1)
    backtrack_steps: int = knob(10, "lengths that the line search tries", ge=1)
    backtrack_factor: Traced[float] = knob(0.8, "each length over the one before", gt=0, lt=1)

    def check(self) -> None:
        """As for every agent that fits V separately; the Fisher matrix needs a sample."""
        super().check()
        if self.fisher_every > (batch := self.num_envs * self.num_steps):
            raise UsageError(
                f"agent.fisher_every {self.fisher_every} leaves no sample of a batch of {batch} "
                f"(num_envs x num_steps): at most {batch}"
            )
