"""The settings that every on-policy agent has, and those of the ones that fit V separately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.contracts import config
from rlsuite.contracts.box import check_bounds
from rlsuite.contracts.config import Traced, knob
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.registry import EnvRow


@dataclass(frozen=True)
class OnPolicy(config.Config):
    """Rollouts, advantages, normalisation, networks and Adam; the step sizes are each agent's."""

    num_envs: int = knob(4, "environments stepped together", ge=1)
    num_steps: int = knob(128, "steps of each environment in a rollout", ge=1)
    anneal_learning_rate: bool = knob(True, "fall linearly to 0 over the run")
    adam_b1: Traced[float] = knob(0.9, "Adam's first decay", ge=0, lt=1)
    adam_b2: Traced[float] = knob(0.999, "Adam's second decay", ge=0, lt=1)
    adam_epsilon: Traced[float] = knob(1e-5, "Adam's denominator offset", gt=0)
    gamma: Traced[float] = knob(0.99, "discount", ge=0, le=1)
    gae_lambda: Traced[float] = knob(0.95, "trace decay of GAE", ge=0, le=1)
    entropy_coef: Traced[float] = knob(0.01, "weight of the entropy bonus", ge=0)
    gradient_clip: Literal["global_norm", "element", "none"] = knob(
        "global_norm", "how gradients are clipped"
    )
    max_grad_norm: Traced[float] = knob(0.5, "the gradient clip's bound", gt=0)
    clip_epsilon: Traced[float] = knob(0.2, "the clip's half width, for ratio and value", gt=0)
    value_clip: bool = knob(True, "clip the value update like the ratio")
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

    def check_env(self, env: EnvRow) -> None:
        """Refuse settings that mean nothing on an environment."""
        if env.action.kind == "discrete" and self.action_distribution != "gaussian":
            raise UsageError(
                f"agent.action_distribution {self.action_distribution!r} needs continuous actions "
                f"but {env.id} has {env.action}: leave it at 'gaussian'"
            )
        if env.action.kind == "box" and self.action_distribution != "gaussian":
            who = f"action_distribution {self.action_distribution!r}"
            check_bounds(who, env.id, env.action.low, env.action.high)
        if self.network == "cnn" and len(env.observation.shape) != 3:
            raise UsageError(
                f"agent.network 'cnn' needs image observations but {env.id} has "
                f"{env.observation}: use 'mlp'"
            )

    def steps_per_iteration(self) -> int:
        """Environment steps in one rollout: what a budget is a multiple of."""
        return self.num_envs * self.num_steps

    def check_minibatches(self, field: str, count: int) -> None:
        """Refuse minibatches that do not divide what is shuffled."""
        batch = self.num_envs * self.num_steps
        if batch % count:
            raise UsageError(
                f"agent.{field} {count} does not divide the batch of {batch} "
                f"(num_envs x num_steps): try {largest_divisor(batch, count)}"
            )

    def check_spread(self, samples: int, over: str, instead: str) -> None:
        """Refuse to standardise advantages over one sample: less its own mean it is 0, always, and
        the policy would never learn.

        Args:
          samples: how many are standardised together.
          over: what they are, for the message.
          instead: the setting that leaves them as they are.
        """
        if samples == 1:
            raise UsageError(
                f"advantages are standardised over {over} of 1 sample, where all would be 0 and "
                f"nothing learned: give it more samples, or set {instead}"
            )


@dataclass(frozen=True)
class SeparateConfig(OnPolicy):
    """Of agents that step the policy on the whole rollout and fit V by an optimiser of its own, on
    minibatches."""

    value_learning_rate: Traced[float] = knob(3e-4, "Adam step size of the value function", gt=0)
    value_epochs: int = knob(5, "passes of the value function over each rollout", ge=1)
    value_minibatches: int = knob(16, "minibatches in each of these passes", ge=1)
    normalize_advantages: bool = knob(True, "standardise advantages over the rollout")

    def check(self) -> None:
        """The policy and V must not share weights, and the minibatches must divide the rollout."""
        if self.network == "gru":
            raise UsageError(
                "agent.network 'gru' shares its core between policy and value function, which "
                "this agent fits separately: use 'mlp' or 'cnn' (agent 'ppo' takes 'gru')"
            )
        self.check_minibatches("value_minibatches", self.value_minibatches)
        if self.normalize_advantages:
            samples = self.num_envs * self.num_steps
            self.check_spread(samples, "a rollout", "agent.normalize_advantages false")


def largest_divisor(n: int, at_most: int) -> int:
    """The largest divisor of n that is not above `at_most`."""
    return next(d for d in range(min(n, at_most), 0, -1) if n % d == 0)
