"""Settings of the cores, from which those of agents are put together. Loads no jax."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from rlsuite.contracts import config
from rlsuite.contracts.box import check_bounds
from rlsuite.contracts.config import Traced, knob
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.registry import EnvRow
from rlsuite.io.machine import available_memory, round_down

Init = Literal["torch", "orthogonal", "lecun_normal", "lecun_uniform"]
Rewards = Literal[
    "none", "return-range", "return-range-legacy",
    "antmaze-iql", "antmaze-odice", "antmaze-cql", "antmaze-prdc", "antmaze-rebrac",
]  # fmt: skip
Decay = Literal["none", "cosine"]
PolicyKind = Literal["gaussian", "deterministic"]
MeanKind = Literal["tanh", "linear"]


@dataclass(frozen=True)
class ActorConfig(config.Config):
    """Network and minibatches of agents that learn from stored transitions."""

    batch_size: int = knob(256, "transitions in a minibatch", ge=1)
    adam_epsilon: Traced[float] = knob(1e-8, "Adam's denominator offset", gt=0)
    hidden: tuple[int, ...] = knob((256, 256), "sizes of the actor's dense layers", ge=1)
    activation: Literal["relu", "tanh", "swish", "elu"] = knob("relu", "nonlinearity")
    init: Init = knob("torch", "how weights start; torch: U(±1/sqrt(fan_in))")

    def check_env(self, env: EnvRow) -> None:
        """Refuse a box of actions that [-1, 1] cannot be scaled to."""
        if env.action.kind == "box":
            check_bounds("this agent", env.id, env.action.low, env.action.high)


@dataclass(frozen=True)
class ActorCriticConfig(ActorConfig):
    """With critics and their targets."""

    gamma: Traced[float] = knob(0.99, "discount", ge=0, le=1)
    tau: Traced[float] = knob(0.005, "Polyak step of the target networks", gt=0, le=1)
    critic_hidden: tuple[int, ...] = knob((), "the critics', if they differ", ge=1)
    critic_layer_norm: bool = knob(False, "LayerNorm in the critics' hidden layers")


@dataclass(frozen=True)
class OffPolicyConfig(ActorCriticConfig):
    """Base of the settings of agents that learn from a replay.

    An iteration takes num_envs x num_steps environment steps and `updates` gradient steps: the
    update-to-data ratio is updates / (num_envs x num_steps), exactly. The replay is filled with
    `learning_starts` steps first; they count.
    """

    num_envs: int = knob(1, "environments stepped together", ge=1)
    num_steps: int = knob(1, "steps of each environment between updates", ge=1)
    updates: int = knob(1, "gradient steps per iteration", ge=1)
    buffer_size: int = knob(1_000_000, "transitions the replay holds", ge=1)
    learning_starts: int = knob(10_000, "environment steps before the first update", ge=0)
    prefill: Literal["uniform", "policy"] = knob("uniform", "who acts before the first update")
    n_step: int = knob(1, "rewards summed before bootstrapping", ge=1)
    reward_scale: Traced[float] = knob(1.0, "constant factor on rewards", gt=0)
    time_limits: Literal["bootstrap", "terminal"] = knob(
        "bootstrap", "a time limit's future is worth Q(final_obs), or nothing as in many ports"
    )
    normalize_observations: bool = knob(False, "standardise observations by running statistics")
    observation_clip: Traced[float] = knob(10.0, "bound of standardised observations", gt=0)
    reset: Literal["full", "pool", "cached"] = knob("full", "where auto-reset takes states from")
    pool_size: int = knob(0, "states kept by the 'pool' reset; 0 = num_envs", ge=0)

    def check(self) -> None:
        """The ring must hold what an iteration brings, and what it is filled with."""
        per = self.steps_per_iteration()
        if self.buffer_size < max(per, self.prefill_steps()):
            raise UsageError(
                f"agent.buffer_size {self.buffer_size} cannot hold what comes in before the first "
                f"update: try {max(per, self.prefill_steps())} or more"
            )
        if self.n_step > 1 and self.capacity() < self.n_step * self.num_envs:
            raise UsageError(
                f"agent.buffer_size {self.buffer_size} is shorter than agent.n_step {self.n_step}: "
                f"try {self.n_step * self.num_envs} or more"
            )

    def check_env(self, env: EnvRow) -> None:
        """Refuse such a box, and a ring that no machine like this holds."""
        super().check_env(env)
        have, row = available_memory(), row_bytes(env)
        if have and self.capacity() * row > have:
            raise UsageError(
                f"agent.buffer_size {self.buffer_size} takes "
                f"{self.capacity() * row / 2**30:,.1f} GiB on {env.id} ({row} bytes a row), "
                f"{have / 2**30:.1f} GiB are free: try {round_down(have // 2 // row)} or fewer"
            )

    def steps_per_iteration(self) -> int:
        """Environment steps between updates: what a budget is a multiple of."""
        return self.num_envs * self.num_steps

    def prefill_steps(self) -> int:
        """`learning_starts`, rounded up to whole steps of all environments."""
        return -(-self.learning_starts // self.num_envs) * self.num_envs

    def capacity(self) -> int:
        """Rows of the ring: whole steps of all environments."""
        return self.buffer_size // self.num_envs * self.num_envs


def row_bytes(env: EnvRow) -> int:
    """Bytes of one transition in the ring: two observations, action, reward, two flags."""
    action = math.prod(env.action.shape) if env.action.kind == "box" else 1
    observations = 2 * env.observation.bytes * math.prod(env.observation.shape)
    return observations + 4 * (action + 1) + 2


@dataclass(frozen=True)
class DatasetConfig(ActorConfig):
    """Base of the settings of agents that learn from a dataset. Budgets count gradient updates."""

    budget_unit: ClassVar[Literal["env_steps", "updates"]] = "updates"
    updates: int = knob(100, "gradient steps per iteration: what a budget is a multiple of", ge=1)
    standardize: bool = knob(True, "standardise observations by the dataset's mean and deviation")
    standardize_epsilon: Traced[float] = knob(1e-3, "added to that deviation", gt=0)

    def steps_per_iteration(self) -> int:
        """Gradient steps of an iteration."""
        return self.updates


@dataclass(frozen=True)
class OfflineConfig(DatasetConfig, ActorCriticConfig):
    """Of those that learn from its rewards too."""

    rewards: Rewards = knob("none", "how rewards are scaled and shifted; names are the papers'")


@dataclass(frozen=True)
class TwinDelayedConfig(ActorCriticConfig):
    """TD3's own settings, online or on a dataset. Noises are in units of the action's half range.
    Defaults are the authors'."""

    learning_rate: Traced[float] = knob(3e-4, "the actor's Adam step size", gt=0)
    critic_learning_rate: Traced[float] = knob(3e-4, "the critics' Adam step size", gt=0)
    exploration_noise: Traced[float] = knob(0.1, "deviation of the noise on actions taken", ge=0)
    policy_noise: Traced[float] = knob(0.2, "deviation of the noise on target actions", ge=0)
    noise_clip: Traced[float] = knob(0.5, "bound of that noise", ge=0)
    policy_delay: int = knob(2, "critic steps per actor and target step", ge=1)


@dataclass(frozen=True)
class ConstrainedConfig(OfflineConfig, TwinDelayedConfig):
    """Base of the settings of TD3's offline relatives. `exploration_noise` is that of `act` in the
    mode "sample"; training and evaluation draw none."""


@dataclass(frozen=True)
class SoftCoreConfig(ActorCriticConfig):
    """Settings of the soft core itself: networks, critics and the order of steps."""

    learning_rate: Traced[float] = knob(3e-4, "the actor's Adam step size", gt=0)
    critic_learning_rate: Traced[float] = knob(3e-4, "the critics' Adam step size", gt=0)
    order: Literal["critic_first", "actor_first", "simultaneous"] = knob(
        "critic_first", "which step sees the other's result; simultaneous: neither"
    )
    actor_period: int = knob(1, "critic steps per actor phase", ge=1)
    actor_updates: int = knob(1, "actor steps in a phase, each on fresh actions", ge=1)
    target_period: int = knob(1, "gradient steps per target step", ge=1)
    value: Literal["q", "v"] = knob(
        "q", "what bootstraps: target critics, or a value network and its target"
    )
    actor_critic: Literal["min", "q1"] = knob("min", "what the actor climbs: min(Q1, Q2) or Q1")
    log_std: Literal["tanh", "clip", "softplus"] = knob(
        "tanh", "ln sigma: squashed or clipped to its bounds, or ln(softplus + e^minimum)"
    )
    log_std_min: float = knob(-5.0, "lower bound of ln sigma")
    log_std_max: float = knob(2.0, "upper bound of ln sigma (not for softplus)")

    def check(self) -> None:
        """The bounds of ln sigma must be in order."""
        super().check()
        if self.log_std != "softplus" and self.log_std_min >= self.log_std_max:
            raise UsageError(
                f"agent.log_std_min {self.log_std_min:g} is not below agent.log_std_max "
                f"{self.log_std_max:g}: try -5 and 2"
            )


@dataclass(frozen=True)
class SoftConfig(SoftCoreConfig, OffPolicyConfig):
    """Base of the settings of agents on the soft core that learn from a replay."""


@dataclass(frozen=True)
class TemperatureConfig(ActorCriticConfig):
    """SAC's temperature. Entropies are those of actions in [-1, 1]."""

    temperature: Literal["learned", "fixed"] = knob("learned", "who sets alpha")
    alpha: Traced[float] = knob(1.0, "the entropy's weight; where a learned one starts", gt=0)
    temperature_learning_rate: Traced[float] = knob(3e-4, "Adam step size of ln alpha", gt=0)
    temperature_loss: Literal["alpha", "log_alpha"] = knob(
        "alpha", "what multiplies the entropy's distance; log_alpha as in SB3"
    )
    target_entropy_scale: Traced[float] = knob(
        1.0, "continuous: the target entropy is -scale x number of actions, of actions in [-1, 1]"
    )


@dataclass(frozen=True)
class CloningConfig(DatasetConfig):
    """Base of the settings of agents whose policy regresses on the data's actions. Actions are in
    [-1, 1] of the environment's box; sigma is in the same unit, half the box's width."""

    learning_rate: Traced[float] = knob(3e-4, "the policy's Adam step size", gt=0)
    decay: Decay = knob("none", "how that step size changes; cosine: to 0 at the run's last update")
    weight_decay: Traced[float] = knob(
        0.0, "L2 added to the policy's gradient before Adam scales it (not AdamW's)", ge=0
    )
    policy: PolicyKind = knob(
        "gaussian", "what is cloned: a normal of one deviation everywhere, or an action"
    )
    mean: MeanKind = knob("tanh", "what the policy's last layer passes through")
    log_std_min: float = knob(-5.0, "lower bound of ln sigma")
    log_std_max: float = knob(2.0, "upper bound of ln sigma")

    def check(self) -> None:
        """The bounds of ln sigma must be in order, around where it starts."""
        super().check()
        if not self.log_std_min < 0 < self.log_std_max:
            raise UsageError(
                f"agent.log_std_min {self.log_std_min:g} and agent.log_std_max "
                f"{self.log_std_max:g} must lie around 0, where ln sigma starts: try -5 and 2"
            )
