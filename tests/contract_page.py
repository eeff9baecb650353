"""An environment and an agent written from `rlsuite/contracts/types.py` alone, as somebody else
would.

`test_types.py` type-checks this file from outside the clone and trains the one on the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jax import Array

from rlsuite.acting import vector
from rlsuite.acting.vector import VectorEnv, VectorState, VectorStep
from rlsuite.contracts import config, metrics
from rlsuite.contracts.config import Traced, knob
from rlsuite.contracts.keys import Purpose, stream
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Agent, Context, Counters, Environment, Mode, TimeStep


class Params(NamedTuple):
    """How far a step leads."""

    speed: Array


class Point(NamedTuple):
    """Where the point is, and since when."""

    x: Array
    t: Array


class PointEnv:
    """Move a point to the origin."""

    id = "Point-v0"
    observation_space = spaces.Box(-2.0, 2.0, (1,), np.float32)
    action_space = spaces.Discrete(3)
    default_params = Params(jnp.float32(0.2))
    time_limit = 20
    resumable = True

    def reset(self, key: Array, params: Params) -> tuple[Point, Array]:
        """Somewhere between -1 and 1."""
        x = jax.random.uniform(key, (), minval=-1.0, maxval=1.0)
        return Point(x, jnp.int32(0)), x[None]

    def step(
        self, key: Array, state: Point, action: Array, params: Params
    ) -> tuple[Point, TimeStep]:
        """Left, nowhere or right; the nearer, the better."""
        x = jnp.clip(state.x + params.speed * (action - 1), -2.0, 2.0)
        t = state.t + 1
        out = TimeStep(x[None], -jnp.abs(x), jnp.bool_(False), t >= self.time_limit, {})
        return Point(x, t), out


@dataclass(frozen=True)
class Config(config.Config):
    """REINFORCE (Williams, 1992) with a linear softmax policy and the batch mean as baseline."""

    num_envs: int = knob(16, "environments stepped together", ge=1)
    num_steps: int = knob(20, "steps of a rollout", ge=1)
    learning_rate: Traced[float] = knob(1.0, "step size", gt=0)

    def steps_per_iteration(self) -> int:
        """Environment steps of a rollout."""
        return self.num_envs * self.num_steps


class Policy(NamedTuple):
    """Weights of the three actions' logits."""

    weights: Array


class State(NamedTuple):
    """Everything a run is."""

    policy: Policy
    env: VectorState
    obs: Array
    counters: Counters
    key: Array


class Batch(NamedTuple):
    """A rollout, [steps, environments, ...]."""

    obs: Array
    action: Array
    step: VectorStep


def make(env: Environment, config: Config) -> Agent[State, Batch, Policy]:
    """REINFORCE for an environment with discrete actions."""
    envs = vector.make(env, config.num_envs)
    return Agent(
        name="reinforce",
        env=env,
        config=config,
        steps_per_iteration=config.steps_per_iteration(),
        init=partial(init, envs, env.action_space.n),
        collect=partial(collect, envs, config.static()),
        learn=learn,
        policy=lambda state: state.policy,
        act=act,
        carry=lambda batch: (),
    )


Loop = tuple[VectorState, Array]


def features(obs: Array) -> Array:
    """The observation and a constant."""
    return jnp.concatenate([obs, jnp.ones_like(obs[..., :1])], -1)


def act(
    policy: Policy, carry: tuple[()], obs: Array, is_first: Array, key: Array, mode: Mode
) -> tuple[Array, tuple[()]]:
    """The likeliest action, or one drawn."""
    logits = features(obs) @ policy.weights
    if mode == "greedy":
        return logits.argmax(-1), carry
    return jax.random.categorical(key, logits), carry


def init(
    envs: VectorEnv, actions: int, key: Array, ctx: Context[Config], warm: Policy | None = None
) -> State:
    """All actions equally likely."""
    env, obs = envs.reset(stream(key, Purpose.RESET), ctx.env_params)
    weights = jnp.zeros((obs.shape[-1] + 1, actions)) if warm is None else warm.weights
    return State(Policy(jnp.copy(weights)), env, obs, Counters.zero(), jnp.copy(key))


def collect(
    envs: VectorEnv, static: Config, state: State, ctx: Context[Config]
) -> tuple[State, Batch]:
    """A rollout with the present policy."""

    def step(loop: Loop, key: Array) -> tuple[Loop, Batch]:
        act_key, env_key = jax.random.split(key)
        first = jnp.zeros(static.num_envs, bool)
        action, _ = act(state.policy, (), loop[1], first, act_key, "sample")
        env, out = envs.step(env_key, loop[0], action, ctx.env_params)
        return (env, out.obs), Batch(loop[1], action, out)

    key = stream(state.key, Purpose.COLLECT, state.counters.collects)
    keys = jax.random.split(key, static.num_steps)
    (env, obs), batch = jax.lax.scan(step, (state.env, state.obs), keys)
    taken = static.num_envs * static.num_steps
    counters = state.counters.replace(
        collects=state.counters.collects + 1, env_steps=state.counters.env_steps + taken
    )
    return state._replace(env=env, obs=obs, counters=counters), batch


def learn(state: State, batch: Batch, ctx: Context[Config]) -> tuple[State, Metrics]:
    """A step along grad log pi times the reward of the step above the batch's mean."""
    advantage = batch.step.reward - batch.step.reward.mean()

    def loss(policy: Policy) -> Array:
        log_probs = jax.nn.log_softmax(features(batch.obs) @ policy.weights)
        chosen = jnp.take_along_axis(log_probs, batch.action[..., None], -1)[..., 0]
        return -(chosen * advantage).mean()

    value, gradient = jax.value_and_grad(loss)(state.policy)
    rate = ctx.hp.learning_rate
    policy = jax.tree.map(lambda p, g: p - rate * g, state.policy, gradient)
    counters = state.counters.replace(iterations=state.counters.iterations + 1)
    ended = batch.step.episodes
    report: Metrics = {
        "train/return": metrics.mean(ended.returns, where=ended.finished),
        "loss/policy": metrics.Last(value),
    }
    return state._replace(policy=policy, counters=counters), report
