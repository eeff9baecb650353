"""On-policy MDPO's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.agents.cores.on_policy_config import SeparateConfig
from rlsuite.contracts.config import Traced, knob


@dataclass(frozen=True)
class Config(SeparateConfig):
    """Mirror Descent Policy Optimization (Tomar et al., ICLR 2022, arXiv 2005.09814), on-policy.

    Each iteration takes m full-batch Adam steps on E[r A] - KL(pi || pi_k) / t_k, started at pi_k:
    no line search, no clip. t_k falls linearly from 1 to 0 over the run. The value function is
    fitted separately. m = 1 is the vanilla policy gradient, for the KL's gradient at pi_k is 0.
    Defaults are the paper's 'loaded' version.
    """

    num_envs: int = knob(1, "environments stepped together", ge=1)
    num_steps: int = knob(2048, "steps of each environment in a rollout", ge=1)
    # The paper lists an annealed step size; the released code keeps it constant.
    anneal_learning_rate: bool = knob(False, "fall linearly to 0 over the run")
    entropy_coef: Traced[float] = knob(0.0, "weight of the entropy bonus", ge=0)
    normalize_observations: bool = knob(True, "standardise observations by running statistics")
    normalize_rewards: bool = knob(True, "divide rewards by the deviation of discounted sums")
    learning_rate: Traced[float] = knob(3e-4, "Adam step size of the policy", gt=0)
    policy_steps: int = knob(10, "m: full-batch Adam steps of the policy on each rollout", ge=1)
    mirror_step: Traced[float] = knob(1.0, "t (at first): the divergence weighs 1/t", gt=0)
    mirror_schedule: Literal["linear", "constant"] = knob("linear", "t over the run")
    divergence: Literal["kl", "tsallis"] = knob("kl", "from the old policy to the new")
    tsallis_q: Traced[float] = knob(2.0, "q' of the Tsallis divergence; 1 is the KL", ge=1, le=2)
