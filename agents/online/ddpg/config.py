"""DDPG's settings."""

from __future__ import annotations

from dataclasses import dataclass

from rlsuite.agents.cores.config import OffPolicyConfig
from rlsuite.contracts.config import Traced, knob


@dataclass(frozen=True)
class Config(OffPolicyConfig):
    """Continuous Control with Deep Reinforcement Learning (Lillicrap et al., 2016, arXiv
    1509.02971).

    The actor climbs the critic, the critic regresses on r + gamma Q'(s', mu'(s')), targets follow
    slowly. Sizes, rates and Gaussian exploration are TD3's authors' re-tuned ones ("OurDDPG"); the
    paper's own (critic decay, batch norm, Ornstein-Uhlenbeck noise) learn far less.
    """

    learning_starts: int = knob(25_000, "environment steps before the first update", ge=0)
    learning_rate: Traced[float] = knob(3e-4, "the actor's Adam step size", gt=0)
    critic_learning_rate: Traced[float] = knob(3e-4, "the critic's Adam step size", gt=0)
    exploration_noise: Traced[float] = knob(0.1, "deviation of the noise on actions taken", ge=0)
    policy_delay: int = knob(1, "critic steps per actor and target step", ge=1)
