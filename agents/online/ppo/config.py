"""PPO's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite import config
from rlsuite.config import Traced, knob
from rlsuite.errors import UsageError
from rlsuite.registry import EnvRow


@dataclass(frozen=True)
class Config(config.Config):
    """Proximal Policy Optimization Algorithms (Schulman et al., 2017, arXiv 1707.06347).

    Collect num_steps x num_envs transitions with the current policy, compute GAE advantages, then
    take `epochs` passes of minibatch Adam on an importance-weighted surrogate held near the old
    policy by a drift (the clip; a KL penalty; DPO), plus value regression and an entropy bonus.
    Defaults are CleanRL's classic-control settings.
    """

    num_envs: int = knob(4, "environments stepped together", ge=1)
    num_steps: int = knob(128, "steps of each environment in a rollout", ge=1)
    epochs: int = knob(4, "passes over each rollout", ge=1)
    minibatches: int = knob(4, "minibatches per pass", ge=1)
    learning_rate: Traced[float] = knob(2.5e-4, "Adam step size", gt=0)
    anneal_learning_rate: bool = knob(True, "fall linearly to 0 over the run")
    adam_b1: Traced[float] = knob(0.9, "Adam's first decay", ge=0, lt=1)
    adam_b2: Traced[float] = knob(0.999, "Adam's second decay", ge=0, lt=1)
    adam_epsilon: Traced[float] = knob(1e-5, "Adam's denominator offset", gt=0)
    gamma: Traced[float] = knob(0.99, "discount", ge=0, le=1)
    gae_lambda: Traced[float] = knob(0.95, "trace decay of GAE", ge=0, le=1)
    entropy_coef: Traced[float] = knob(0.01, "weight of the entropy bonus", ge=0)
    value_coef: Traced[float] = knob(0.5, "weight of the value loss", ge=0)
    gradient_clip: Literal["global_norm", "element", "none"] = knob(
        "global_norm", "how gradients are clipped"
    )
    max_grad_norm: Traced[float] = knob(0.5, "the gradient clip's bound", gt=0)
    drift: Literal["clip", "kl", "kl_fixed", "dpo", "none"] = knob(
        "clip", "what holds the new policy near the old"
    )
    clip_epsilon: Traced[float] = knob(0.2, "the clip's half width, for ratio and value", gt=0)
    kl_coef: Traced[float] = knob(1.0, "(initial) weight of the KL penalty", ge=0)
    kl_target: Traced[float] = knob(0.01, "KL that the adaptive weight steers to", gt=0)
    dpo_alpha: Traced[float] = knob(2.0, "DPO's constant for A >= 0", gt=0)
    dpo_beta: Traced[float] = knob(0.6, "DPO's constant for A < 0", gt=0)
    value_clip: bool = knob(True, "clip the value update like the ratio")
    advantage_normalization: Literal["minibatch", "batch", "none"] = knob(
        "minibatch", "where advantages are standardised"
    )
    time_limits: Literal["bootstrap", "terminal"] = knob(
        "bootstrap", "a time limit's future is worth V(final_obs), or nothing as in many ports"
    )
    normalize_observations: bool = knob(False, "standardise observations by running statistics")
    observation_clip: Traced[float] = knob(10.0, "bound of standardised observations", gt=0)
    normalize_rewards: bool = knob(False, "divide rewards by the deviation of discounted sums")
    reward_clip: Traced[float] = knob(10.0, "bound of normalised rewards", gt=0)
    reward_scale: Traced[float] = knob(1.0, "constant factor on rewards", gt=0)
    network: Literal["mlp", "cnn", "gru"] = knob("mlp", "kind of network")
    hidden: tuple[int, ...] = knob((64, 64), "sizes of the dense layers", ge=1)
    critic_hidden: tuple[int, ...] = knob((), "the critic's, if they differ", ge=1)
    rnn_size: int = knob(128, "GRU units", ge=1)
    activation: Literal["tanh", "relu", "swish"] = knob("tanh", "nonlinearity of dense layers")
    init: Literal["orthogonal", "lecun_normal", "lecun_uniform"] = knob(
        "orthogonal", "how weights start"
    )
    action_distribution: Literal["gaussian", "tanh_gaussian"] = knob(
        "gaussian", "policy on continuous tasks"
    )
    reset: Literal["full", "pool", "cached"] = knob("full", "where auto-reset takes states from")
    pool_size: int = knob(0, "states kept by the 'pool' reset; 0 = num_envs", ge=0)

    def check(self) -> None:
        """The minibatches must divide what is shuffled."""
        if self.network == "gru":
            if self.num_envs % self.minibatches:
                raise UsageError(
                    f"agent.minibatches {self.minibatches} does not divide agent.num_envs "
                    f"{self.num_envs} (a recurrent network shuffles whole environments): try "
                    f"{largest_divisor(self.num_envs, self.minibatches)}"
                )
        elif (batch := self.num_envs * self.num_steps) % self.minibatches:
            raise UsageError(
                f"agent.minibatches {self.minibatches} does not divide the batch of {batch} "
                f"(num_envs x num_steps): try {largest_divisor(batch, self.minibatches)}"
            )

    def check_env(self, env: EnvRow) -> None:
        """Refuse settings that mean nothing on an environment."""
        if env.action.kind == "discrete" and self.action_distribution != "gaussian":
            raise UsageError(
                f"agent.action_distribution {self.action_distribution!r} needs continuous actions "
                f"but {env.id} has {env.action}: leave it at 'gaussian'"
            )
        if self.network == "cnn" and len(env.observation.shape) != 3:
            raise UsageError(
                f"agent.network 'cnn' needs image observations but {env.id} has "
                f"{env.observation}: use 'mlp'"
            )

    def steps_per_iteration(self) -> int:
        """Environment steps in one rollout: what a budget is a multiple of."""
        return self.num_envs * self.num_steps


def largest_divisor(n: int, at_most: int) -> int:
    """The largest divisor of n that is not above `at_most`."""
    return next(d for d in range(min(n, at_most), 0, -1) if n % d == 0)
