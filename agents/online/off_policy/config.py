"""Settings that every replay-based agent has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from rlsuite import config
from rlsuite.box import check_bounds
from rlsuite.config import Traced, knob
from rlsuite.engine.environment import available_memory, round_down
from rlsuite.errors import UsageError
from rlsuite.registry import EnvRow

Init = Literal["torch", "orthogonal", "lecun_normal", "lecun_uniform"]


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
    return 4 * (2 * math.prod(env.observation.shape) + action + 1) + 2
