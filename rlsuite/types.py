"""The contracts: what an environment and an agent are. Write either from this page alone.

**Environment.** One instance, pure functions, no auto-reset inside. `reset` draws an initial state,
`step` advances it and says separately whether the episode *terminated* (the future is worth
nothing) or was *truncated* (cut by a time limit: the future still has a value). Parameters are a
pytree and may be traced or batched. See `rlsuite.vector` for what agents see: N copies with
same-step auto-reset and the true final observation of every episode.

**Agent.** A frozen container of pure functions, made by a factory `make(env, config)`:

    state = agent.init(key, ctx)                    # everything: parameters ... counters
    state, batch = agent.collect(state, ctx)        # acts
    state, metrics = agent.learn(state, batch, ctx) # updates; agent.step does both
    policy = agent.policy(state)                    # a pytree of what acting needs
    action, carry = agent.act(policy, carry, obs, is_first, key, mode)

`learn` never touches the environment and is reverse-differentiable in `ctx`. Nothing large is ever
closed over: data arrives in `ctx.data`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from rlsuite.metrics import Metrics

EnvState = PyTree
EnvParams = PyTree
State = Any
Batch = Any
PolicyParams = Any
Carry = PyTree
Mode = Literal["greedy", "sample", "explore"]


class TimeStep(NamedTuple):
    """What one step of one environment returns.

    `obs` is what the step led to, also at the end of an episode. `terminated` never includes a
    time limit; `truncated` is only that.
    """

    obs: Array
    reward: Float[Array, ""]
    terminated: Bool[Array, ""]
    truncated: Bool[Array, ""]
    info: dict[str, Array]


@runtime_checkable
class Environment(Protocol):
    """A simulator as pure functions.

    Attributes:
      id: the registry's name.
      observation_space, action_space: gymnasium spaces (Box, or Discrete for actions). Observations
        of uint8 with two axes or more are images: networks see them divided by 255.
      default_params: a pytree; may be traced, and batched by whoever maps over whole runs.
      time_limit: steps after which `truncated` is set, or None.
      resumable: False where the state lives outside the pytree (host simulators).
      callback: optional; True where steps are calls to the host from inside a compiled program.
    """

    id: str
    observation_space: Any
    action_space: Any
    default_params: EnvParams
    time_limit: int | None
    resumable: bool

    def reset(self, key: PRNGKeyArray, params: EnvParams) -> tuple[EnvState, Array]:
        """Draw an initial state and its observation."""
        ...

    def step(
        self, key: PRNGKeyArray, state: EnvState, action: Array, params: EnvParams
    ) -> tuple[EnvState, TimeStep]:
        """Advance one step. Never resets."""
        ...


@jax.tree_util.register_pytree_with_keys_class
class Hyper:
    """The traced hyperparameters by name: `hp.learning_rate` is a scalar array."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__["_values"] = dict(values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"no traced hyperparameter {name!r}") from None

    def replace(self, **changes: Any) -> Hyper:
        """A copy with some values changed."""
        return Hyper({**self._values, **changes})

    def tree_flatten_with_keys(self) -> tuple[tuple[Any, ...], tuple[str, ...]]:
        """Leaves in the order of their names."""
        names = tuple(sorted(self._values))
        return tuple((jax.tree_util.GetAttrKey(n), self._values[n]) for n in names), names

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], leaves: tuple[Any, ...]) -> Hyper:
        """The inverse."""
        return cls(dict(zip(names, leaves, strict=True)))


class Context(NamedTuple):
    """What a run is given and does not own. Any part may be batched or shared by whoever maps.

    Attributes:
      hp: traced hyperparameters.
      env_params: of the training environment.
      horizon: iterations this run will execute; annealing is a function of iterations / horizon.
      data: a dataset, a neighbour table, a fitted model, a rule; shared by default.
    """

    hp: Any
    env_params: EnvParams
    horizon: Int[Array, ""]
    data: PyTree = None


class Counters(struct.PyTreeNode):
    """How far a run is.

    `env_steps` counts prefill too; `collects` keys the acting stream, so that acting twice without
    learning in between draws anew.
    """

    iterations: Int[Array, ""]
    collects: Int[Array, ""]
    env_steps: Int[Array, ""]

    @classmethod
    def zero(cls) -> Counters:
        """Separate arrays: one buffer under two names cannot be donated."""
        return cls(*(jnp.zeros((), jnp.int32) for _ in range(3)))


@dataclass(frozen=True)
class Agent:
    """A learning algorithm bound to an environment's spaces and a static configuration.

    Attributes:
      name: the registry's name.
      env: what it was made for.
      config: what it was made from; its traced values are the default `ctx.hp`.
      steps_per_iteration: environment steps one `collect` takes.
      prefill: environment steps `init` takes.
      prepare: data -> data, on the host: what the agent derives from what it learns from, once for
        all runs (a neighbour table, a selection). `init` must do without it.
      init: (key, ctx, warm=None) -> state. `warm` is a PolicyParams to start from.
      collect: (state, ctx) -> (state, batch).
      learn: (state, batch, ctx) -> (state, metrics).
      policy: state -> PolicyParams.
      act: (policy, carry, obs[*b, ...], is_first[*b], key, mode) -> (action[*b, ...], carry);
        `mode` is static; a carry is zeroed where `is_first`.
      carry: batch shape -> the carry an episode starts from.
      evaluation_mode: how the agent's own paper evaluates it.
    """

    name: str
    env: Environment
    config: Any
    steps_per_iteration: int
    init: Callable[..., State]
    collect: Callable[[State, Context], tuple[State, Batch]]
    learn: Callable[[State, Batch, Context], tuple[State, Metrics]]
    policy: Callable[[State], PolicyParams]
    act: Callable[..., tuple[Array, Carry]]
    carry: Callable[[tuple[int, ...]], Carry]
    evaluation_mode: Mode = "sample"
    prefill: int = 0
    prepare: Callable[[Any], Any] = lambda data: data

    def step(self, state: State, ctx: Context) -> tuple[State, Metrics]:
        """One iteration: learn ∘ collect."""
        state, batch = self.collect(state, ctx)
        return self.learn(state, batch, ctx)
