"""SAC's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.agents.cores.config import SoftConfig, TemperatureConfig
from rlsuite.contracts.config import Traced, knob
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.registry import EnvRow


@dataclass(frozen=True)
class Config(TemperatureConfig, SoftConfig):
    """Soft Actor-Critic Algorithms and Applications (Haarnoja et al., 2018, arXiv 1812.05905);
    discrete actions: Christodoulou, 2019, arXiv 1910.07207.

    Off-policy maximum-entropy actor-critic: critics regress on the reward plus the next action's
    value and entropy, the actor minimises KL(pi || exp(Q/alpha)/Z), and alpha follows a target
    entropy. With discrete actions expectations are sums. Entropies are those of actions in
    [-1, 1]. Defaults are the paper's; ln sigma is squashed as in CleanRL.
    """

    target_entropy_ratio: Traced[float] = knob(
        0.98, "discrete: the target entropy is ratio x ln(number of actions)", ge=0, le=1
    )
    network: Literal["mlp", "cnn"] = knob("mlp", "cnn: MinAtar's convolution below the layers")

    def check_env(self, env: EnvRow) -> None:
        """Refuse settings that mean nothing on an environment."""
        super().check_env(env)
        if self.network == "cnn" and len(env.observation.shape) != 3:
            raise UsageError(
                f"agent.network 'cnn' needs image observations but {env.id} has "
                f"{env.observation}: use 'mlp'"
            )
        if self.value == "v" and env.action.kind == "discrete":
            raise UsageError(
                f"agent.value 'v' needs continuous actions but {env.id} has {env.action}: use 'q'"
            )
