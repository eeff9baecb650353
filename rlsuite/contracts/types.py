# pyright: strict, reportUnknownMemberType=false
"""The contracts: what an environment and an agent are. Write either from this page alone.

**Environment.** One instance, pure functions, no auto-reset inside. `reset` draws an initial state,
`step` advances it and says separately whether the episode *terminated* (the future is worth
nothing) or was *truncated* (cut by a time limit: the future still has a value). Parameters are a
pytree and may be traced or batched. See `rlsuite.acting.vector` for what agents see: N copies with
same-step auto-reset and the true final observation of every episode. An environment may also have
  `callback`        True where steps are calls to the host from inside a compiled program;
  `reset_rows(keys[n], wanted[n], params) -> (states, observations)`   where resets are expensive:
                    `reset` under `vmap`, rows that are not wanted may hold anything of the shape;
  `vectorize(num_envs) -> VectorEnv`   for simulators on the host: their own vector form.

**Agent.** A frozen container of pure functions, made by a factory `make(env, config)`:

    state = agent.init(key, ctx)                    # everything: parameters ... counters
    state, batch = agent.collect(state, ctx)        # acts
    state, metrics = agent.learn(state, batch, ctx) # updates; agent.step does both
    policy = agent.policy(state)                    # a pytree of what acting needs
    action, carry = agent.act(policy, carry, obs, is_first, key, mode)

`learn` never touches the environment and is reverse-differentiable in `ctx`. Nothing large is ever
closed over: data arrives in `ctx.data`. What a driver relies on besides:
  - `config` is an `rlsuite.contracts.config.Config`, a frozen dataclass of `knob`s with the method
    `steps_per_iteration()` and, where `init` acts, `prefill_steps()`. Of it are used: `hyper()`,
    the `Traced` fields, which become `ctx.hp`; `static()`, all the others, which decide what is
    compiled and are what the agent's functions are bound to; `to_mapping()`, which is kept with the
    results; `check_env(env_row)`, if there is one, to refuse settings before anything is compiled.
  - `init` runs under `jit`, `vmap` and `eval_shape`: no branching on values, no files. It must also
    take data that `prepare` has not seen, of which only the shapes matter then.
  - No two leaves of a state share a buffer, with each other or with what `init` was given: a state
    is donated to the program that advances it. `jnp.copy` what comes from `key`, `warm` or `ctx`.
  - A metric that is not finite ends the run: it is kept, marked and counted. A `Mean` of nothing
    is no number and is left out, so report `metrics.mean(values, where=finished)`.
  - `train/return` is the mean return of the episodes that ended while the agent collected, with the
    environment's own rewards and the acting policy; agents on a dataset have none.
    `eval/return` comes from evaluations, the driver's own.

**What others are given.** A fitted model or a rule is made once and used by many runs: it is the
policy of an agent whose row says `makes="model"`, which is trained, resumed and kept like any other
but not evaluated. Who is given one says so in its own row, `inputs=(Input("model", "model",
"dynamics"),)`: role, kind and the agent that makes it unless the user names another or a file. Its
functions find it as `ctx.inputs["model"]`. Make it a `flax.struct.PyTreeNode`: what is no array
(layers, activations) then travels with it. `finished` ends a fit before its budget is spent.

**To launch it by name** a package lists a row under the entry point `rlsuite.agents`:

    ROWS = [AgentRow(name="mine", module="my_package", summary="what it is")]

`my_package.config:Config`, `my_package.agent:make` and `my_package/presets.toml` are then found
(the row can name others; presets may be missing). The module of the row and that of `Config` load
no jax. Environments do the same with `EnvRow`s under `rlsuite.envs`. From then on the agent trains,
sweeps, resumes, evaluates and reports from the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
from flax import struct
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rlsuite.contracts.config import Config
from rlsuite.contracts.metrics import Metrics

# Any pytree of arrays: only the environment's or the agent's own functions know more.
Tree = Any
EnvState = Tree
EnvParams = Tree
State = Tree
Batch = Tree
PolicyParams = Tree
Carry = Tree
Mode = Literal["greedy", "sample", "explore"]

StateT = TypeVar("StateT")
StateT_co = TypeVar("StateT_co", covariant=True)
BatchT = TypeVar("BatchT")
PolicyT = TypeVar("PolicyT")
PolicyT_contra = TypeVar("PolicyT_contra", contravariant=True)
ConfigT = TypeVar("ConfigT")


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
    """A simulator as pure functions. Plain class attributes will do: `time_limit = 50`."""

    @property
    def id(self) -> str:
        """The registry's name, or any other if it is in none."""
        ...

    @property
    def observation_space(self) -> spaces.Box:
        """The shape and bounds of an observation. One of uint8 with two axes or more is an image:
        networks see it divided by 255."""
        ...

    @property
    def action_space(self) -> Any:
        """A gymnasium `Box` or `Discrete`: `step` takes an array of its shape, or an index."""
        ...

    @property
    def default_params(self) -> EnvParams:
        """A pytree; may be traced, and batched by whoever maps over whole runs."""
        ...

    @property
    def time_limit(self) -> int | None:
        """Steps after which `truncated` is set, or None."""
        ...

    @property
    def resumable(self) -> bool:
        """False where the state lives outside the pytree (host simulators)."""
        ...

    def reset(self, key: PRNGKeyArray, params: EnvParams, /) -> tuple[EnvState, Array]:
        """Draw an initial state and its observation."""
        ...

    def step(
        self, key: PRNGKeyArray, state: EnvState, action: Array, params: EnvParams, /
    ) -> tuple[EnvState, TimeStep]:
        """Advance one step. Never resets.

        Args:
          key: of what is random in the step.
          state: of `reset` or of the step before.
          action: of the action space's shape, or one of its numbers.
          params: as `default_params`, perhaps traced.

        Returns:
          The state after the step, of the same structure, and what the step led to.
        """
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
        return Hyper({**self.__dict__["_values"], **changes})

    def tree_flatten_with_keys(self) -> tuple[tuple[Any, ...], tuple[str, ...]]:
        """Leaves in the order of their names."""
        values: dict[str, Any] = self.__dict__["_values"]
        names = tuple(sorted(values))
        return tuple((jax.tree_util.GetAttrKey(n), values[n]) for n in names), names

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], leaves: tuple[Any, ...]) -> Hyper:
        """The inverse."""
        return cls(dict(zip(names, leaves, strict=True)))


class Context(NamedTuple, Generic[ConfigT]):
    """What a run is given and does not own. Any part may be batched or shared by whoever maps.

    `rlsuite.context(agent, ...)` makes one. `Context[Config]` says whose settings it holds: type
    checkers then know the names in `ctx.hp`.

    Attributes:
      hp: the traced fields of the agent's `Config` as scalar arrays (a `Hyper`).
      env_params: of the training environment.
      horizon: iterations this run will execute; annealing is a function of iterations / horizon.
      data: what the agent learns from (a dataset, with what `prepare` derived), shared by all.
      inputs: role -> what another run made (a fitted model, a rule): the policy of the agent that
        makes it, shared or one for each of those who run together. None where there are none.
    """

    hp: ConfigT
    env_params: EnvParams
    horizon: Int[Array, ""]
    data: Tree = None
    inputs: Tree = None


# beartype, which checks every call in the tests, knows no named tuple with a generic base.
del Context.__orig_bases__  # pyright: ignore


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


class Init(Protocol[StateT_co, PolicyT_contra]):
    """How a run starts: everything it is before the first iteration."""

    def __call__(
        self, key: PRNGKeyArray, ctx: Context[Any], /, warm: PolicyT_contra | None = None
    ) -> StateT_co:
        """The first state; `warm` is a policy to start from, copied."""
        ...


class Act(Protocol[PolicyT_contra]):
    """How a policy acts; any leading axes `*b`, none for one observation."""

    def __call__(
        self,
        policy: PolicyT_contra,
        carry: Carry,
        obs: Array,
        is_first: Bool[Array, "*b"],
        key: PRNGKeyArray,
        mode: Mode,
        /,
    ) -> tuple[Array, Carry]:
        """(action[*b, ...], carry); `mode` is static, a carry is zeroed where `is_first`."""
        ...


def _as_it_is(data: Tree) -> Tree:
    return data


@dataclass(frozen=True)
class Agent(Generic[StateT, BatchT, PolicyT]):
    """A learning algorithm bound to an environment's spaces and a static configuration.

    Attributes:
      name: the registry's name.
      env: what it was made for.
      config: what it was made from; its traced values are the default `ctx.hp`.
      steps_per_iteration: environment steps one `collect` takes.
      init: (key, ctx, warm=None) -> state. `warm` is a policy to start from.
      collect: (state, ctx) -> (state, batch).
      learn: (state, batch, ctx) -> (state, metrics).
      policy: state -> the policy, a pytree.
      act: (policy, carry, obs[*b, ...], is_first[*b], key, mode) -> (action[*b, ...], carry).
      carry: batch shape -> the carry an episode starts from.
      evaluation_mode: how the agent's own paper evaluates.
      prefill: environment steps `init` takes.
      prepare: data -> data, on the host: what the agent derives from what it learns from, once for
        all runs (a neighbour table, a selection). `init` must do without it.
      finished: state -> whether the run is over before its budget is spent (a fit that gets no
        better); None: never. A state that has finished is not advanced.
      scratch: bytes that a run takes beside its state and batch while it learns.
    """

    name: str
    env: Environment
    config: Config
    steps_per_iteration: int
    init: Init[StateT, PolicyT]
    collect: Callable[[StateT, Context[Any]], tuple[StateT, BatchT]]
    learn: Callable[[StateT, BatchT, Context[Any]], tuple[StateT, Metrics]]
    policy: Callable[[StateT], PolicyT]
    act: Act[PolicyT]
    carry: Callable[[tuple[int, ...]], Carry]
    evaluation_mode: Mode = "sample"
    prefill: int = 0
    prepare: Callable[[Tree], Tree] = _as_it_is
    finished: Callable[[StateT], Bool[Array, ""]] | None = None
    scratch: int = 0

    def step(self, state: StateT, ctx: Context[Any]) -> tuple[StateT, Metrics]:
        """One iteration: learn ∘ collect."""
        state, batch = self.collect(state, ctx)
        return self.learn(state, batch, ctx)
