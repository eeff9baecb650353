"""Probe environments: worlds so small that the right value and the right action are known.

An agent that fails one says by its failure which of its parts is wrong (after Andy Jones'
"Debugging RL, without the agonizing pain", 2021, and rejax's probes). Each comes with two actions
and, under the suffix -Continuous, with one number in [-1, 1]:

  ConstantReward     1 a step, cut by a time limit: V = 1/(1-gamma). Critic, bootstrap at limits.
  ObservationValue   one step, reward = the observation, ±1: V = obs. Critic reads observations.
  TwoStepDiscount    0 then 1: V = gamma, then 1. Discounting.
  BestAction         one step, one action is better. Policy gradient.
  ObservationAction  one step, the better action is the observation's sign. Both together.
  DelayedReward      the action's reward comes a step later. Bootstrapping of action values.
  Memory             the better action is the sign of a cue that is seen no more. Recurrence.

Reward for an action: discrete, +1 for the better of the two and -1 for the other; continuous,
-(a - target)^2 with targets ±0.5 (0.5 in BestAction). `value` and `action` of each probe say what
is right.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from rlsuite.envs.probe import Probe, State


class ConstantReward(Probe):
    """Reward 1 for ever, seen through a time limit.

    Args:
      env_id: see `Probe`.
      time_limit: steps.
      limit_is_terminal: the copy that (wrongly) takes the limit for the end of the world; its
        value depends on the hidden time and is at most (1-gamma^limit)/(1-gamma).
    """

    def __init__(
        self, env_id: str, *, time_limit: int = 10, limit_is_terminal: bool = False
    ) -> None:
        super().__init__(env_id)
        self.length = time_limit
        self.time_limit = None if limit_is_terminal else time_limit
        self.limit_is_terminal = limit_is_terminal

    def ending(self, state: State) -> tuple[Bool[Array, ""], Bool[Array, ""]]:
        """A time limit, or the mistake."""
        over, never = state.time >= self.length, jnp.bool_(False)
        return (over, never) if self.limit_is_terminal else (never, over)

    def reward(self, state: State, action: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Always 1."""
        return jnp.float32(1), state.earned

    def value(self, obs: Float[Array, "*b s"], gamma: float) -> Float[Array, "*b"]:
        """1/(1-gamma); for the terminal copy, the mean over the times an episode visits."""
        if not self.limit_is_terminal:
            return jnp.full(obs.shape[:-1], 1 / (1 - gamma))
        left = jnp.arange(1, self.length + 1)
        return jnp.full(obs.shape[:-1], ((1 - gamma**left) / (1 - gamma)).mean())


class ObservationValue(Probe):
    """One step whose reward is the observation."""

    def observe(self, state: State) -> Float[Array, " s"]:
        """The sign."""
        return state.sign[None]

    def reward(self, state: State, action: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The sign."""
        return state.sign, state.earned

    def value(self, obs: Float[Array, "*b s"], gamma: float) -> Float[Array, "*b"]:
        """The observation."""
        return obs[..., 0]


class TwoStepDiscount(Probe):
    """Two steps; only the second is rewarded. The observation is the time."""

    length = 2

    def observe(self, state: State) -> Float[Array, " s"]:
        """0, then 1."""
        return jnp.minimum(state.time, 1).astype(jnp.float32)[None]

    def reward(self, state: State, action: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """0, then 1."""
        return state.time.astype(jnp.float32), state.earned

    def value(self, obs: Float[Array, "*b s"], gamma: float) -> Float[Array, "*b"]:
        """gamma, then 1."""
        return jnp.where(obs[..., 0] > 0.5, 1.0, gamma)


class BestAction(Probe):
    """One step; the second action, or 0.5, is best."""

    def reward(self, state: State, action: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The action's score."""
        return self.score(action, jnp.float32(1)), state.earned

    def value(self, obs: Float[Array, "*b s"], gamma: float) -> Float[Array, "*b"]:
        """That of the best action."""
        return jnp.full(obs.shape[:-1], self.best_score)

    def action(self, obs: Float[Array, "*b s"]) -> Array:
        """The same for every observation."""
        return self.best(jnp.ones(obs.shape[:-1]))


class ObservationAction(Probe):
    """One step; the best action has the observation's sign."""

    def observe(self, state: State) -> Float[Array, " s"]:
        """The sign."""
        return state.sign[None]

    def reward(self, state: State, action: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The action's score."""
        return self.score(action, state.sign), state.earned

    def value(self, obs: Float[Array, "*b s"], gamma: float) -> Float[Array, "*b"]:
        """That of the best action."""
        return jnp.full(obs.shape[:-1], self.best_score)

    def action(self, obs: Float[Array, "*b s"]) -> Array:
        """The observation's sign."""
        return self.best(obs[..., 0])


class DelayedReward(Probe):
    """The first action's score is shown in the second observation and paid after it.

    Observation: (time, the score earned, in [-1, 1]).
    """

    size = 2
    length = 2

    def observe(self, state: State) -> Float[Array, " s"]:
        """The time, and what will be paid."""
        time = jnp.minimum(state.time, 1).astype(jnp.float32)
        return jnp.stack([time, jnp.where(state.time == 1, self._shown(state), 0.0)])

    def _shown(self, state: State) -> Float[Array, ""]:
        # The continuous score reaches -2.25; halving twice keeps the observation in its box.
        return state.earned / 4 if self.continuous else state.earned

    def reward(self, state: State, action: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Nothing, then what was earned."""
        earned = jnp.where(state.time == 0, self.score(action, jnp.float32(1)), state.earned)
        return jnp.where(state.time == 0, 0.0, state.earned), earned

    def value(self, obs: Float[Array, "*b s"], gamma: float) -> Float[Array, "*b"]:
        """gamma times the best score, then what was earned."""
        paid = obs[..., 1] * (4 if self.continuous else 1)
        return jnp.where(obs[..., 0] > 0.5, paid, gamma * self.best_score)

    def action(self, obs: Float[Array, "*b s"]) -> Array:
        """The best at first; in the second step any does."""
        return self.best(jnp.ones(obs.shape[:-1]))


class Memory(Probe):
    """A cue of ±1, `delay` blank steps, then the best action has the cue's sign.

    Observation: (the cue at first, else 0; whether the action counts now). Without memory the
    expected score is at best 0 (continuous: -0.25); with it 1 (continuous: 0).

    Args:
      env_id: see `Probe`.
      delay: blank steps between the cue and the action that counts.
    """

    size = 2

    def __init__(self, env_id: str, *, delay: int = 1) -> None:
        super().__init__(env_id)
        self.length = delay + 2

    def observe(self, state: State) -> Float[Array, " s"]:
        """The cue, and whether it is asked for."""
        cue = jnp.where(state.time == 0, state.sign, 0.0)
        return jnp.stack([cue, (state.time == self.length - 1).astype(jnp.float32)])

    def reward(self, state: State, action: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The last action's score."""
        asked = state.time == self.length - 1
        return jnp.where(asked, self.score(action, state.sign), 0.0), state.earned

    def value(self, obs: Float[Array, "*b s"], gamma: float) -> Float[Array, "*b"]:
        """Of an agent that remembers: the best score, discounted (blank steps: from the cue on)."""
        asked = obs[..., 1] > 0.5
        return self.best_score * jnp.where(asked, 1.0, gamma ** (self.length - 1))


_PROBES: dict[str, type[Probe]] = {
    kind.__name__: kind
    for kind in (
        ConstantReward, ObservationValue, TwoStepDiscount, BestAction,
        ObservationAction, DelayedReward, Memory,
    )
}  # fmt: skip


def make(env_id: str, **options: Any) -> Probe:
    """A probe by its id, e.g. `Probe-BestAction` or `Probe-BestAction-Continuous`."""
    name = env_id.removeprefix("Probe-").removesuffix("-Continuous")
    return _PROBES[name](env_id, **options)
