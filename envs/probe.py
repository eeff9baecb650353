"""What the probe environments share; `rlsuite.envs.probes` has the probes themselves."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rlsuite.contracts.types import TimeStep

TARGET = 0.5


class Params(NamedTuple):
    """What may be traced: a factor on every reward."""

    reward_scale: Float[Array, ""]


class State(NamedTuple):
    """Steps taken and what the episode is about: the sign that decides which action is better."""

    time: Int[Array, ""]
    sign: Float[Array, ""]
    earned: Float[Array, ""]


class Probe:
    """What the probes share: a sign drawn at reset, a fixed length, a reward for each step.

    A probe overrides `observe`, `reward`, `value` and `action`.

    Args:
      env_id: with the suffix -Continuous, one continuous action in place of two discrete ones.
    """

    resumable = True
    size = 1
    length = 1

    def __init__(self, env_id: str) -> None:
        self.id = env_id
        self.continuous = env_id.endswith("-Continuous")
        self.observation_space = spaces.Box(-1.0, 1.0, (self.size,), np.float32)
        self.action_space: Any = spaces.Discrete(2, dtype=np.int32)
        if self.continuous:
            self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.default_params = Params(jnp.float32(1))
        self.time_limit: int | None = None

    def reset(self, key: PRNGKeyArray, params: Params) -> tuple[State, Float[Array, " s"]]:
        """See `rlsuite.contracts.types.Environment`."""
        sign = jnp.where(jax.random.bernoulli(key), 1.0, -1.0)
        state = State(jnp.int32(0), sign, jnp.float32(0))
        return state, self.observe(state)

    def step(
        self, key: PRNGKeyArray, state: State, action: Array, params: Params
    ) -> tuple[State, TimeStep]:
        """See `rlsuite.contracts.types.Environment`.

        Args:
          key: not read: nothing is random but the reset.
          state: of `reset` or of the step before.
          action: an index, or [1] where continuous.
          params: the factor on every reward.
        """
        reward, earned = self.reward(state, action)
        state = State(state.time + 1, state.sign, earned)
        terminated, truncated = self.ending(state)
        scaled = reward * params.reward_scale
        return state, TimeStep(self.observe(state), scaled, terminated, truncated, {})

    def ending(self, state: State) -> tuple[Bool[Array, ""], Bool[Array, ""]]:
        """(terminated, truncated): by default the world ends after `length` steps."""
        return state.time >= self.length, jnp.bool_(False)

    def score(self, action: Array, sign: Float[Array, ""]) -> Float[Array, ""]:
        """What an action is worth when the better one has this sign; at best 1, continuous 0."""
        if self.continuous:
            return -jnp.square(action.reshape(()) - TARGET * sign)
        return jnp.where((action > 0) == (sign > 0), 1.0, -1.0)

    def best(self, sign: Array) -> Array:
        """The better action for this sign."""
        if self.continuous:
            return (TARGET * sign)[..., None]
        return (sign > 0).astype(jnp.int32)

    @property
    def best_score(self) -> float:
        """What the better action is worth."""
        return 0.0 if self.continuous else 1.0

    def observe(self, state: State) -> Float[Array, " s"]:
        """The observation: by default always 0."""
        return jnp.zeros(self.size)

    def reward(self, state: State, action: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(this step's reward, what to remember as earned)."""
        raise NotImplementedError

    def value(self, obs: Float[Array, "*b s"], gamma: float) -> Float[Array, "*b"]:
        """The optimal value of an observation, with `reward_scale` 1."""
        raise NotImplementedError

    def action(self, obs: Float[Array, "*b s"]) -> Array | None:
        """The optimal action for an observation; None where none is better."""
        return None
