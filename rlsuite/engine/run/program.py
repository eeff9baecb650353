"""The compiled functions that serve every cell of a group.

Traced hyperparameters, seeds, budgets and cadences are arguments: one compilation each of `init`,
`chunk` and `evaluate` is all a group needs. `traces` counts them.

At width 1, the way to run on a CPU, a program drives one run. At width W it drives W at once, one
row each of stacked states; a row's bits do not depend on what is in the others.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key, PRNGKeyArray

from rlsuite.acting.evaluate import Evaluation, evaluate
from rlsuite.contracts import keys, metrics, registry
from rlsuite.contracts.config import Config
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.refs import shapes
from rlsuite.contracts.types import Agent, Context, EnvParams, Hyper, Mode, PolicyParams, State
from rlsuite.engine.plan.cells import Cell, Made
from rlsuite.io.machine import check_precision

# Environment steps in an iteration from which on a host callback's `collect` is compiled alone.
APART_FROM = 256
CONTEXT_AXES = Context(hp=0, env_params=0, horizon=0, data=None)  # pyright: ignore


def context(
    agent: Agent,
    config: Config,
    iterations: int,
    data: Any = None,
    inputs: Mapping[str, Any] | None = None,
    env_params: Mapping[str, float] | None = None,
) -> Context:
    """What a run is given.

    Args:
      agent: of the run.
      config: whose traced settings become scalar arrays.
      iterations: of the whole run.
      data: what it learns from, prepared.
      inputs: role -> what another run made.
      env_params: parameters of the environment that are not its defaults.
    """
    # Explicit dtypes: a weakly typed scalar is another signature to jit than a strong one.
    kinds = {int: np.int32, float: np.float32}
    # Together: thousands of runs side by side have a context each.
    hp, horizon = jax.device_put((
        {name: np.asarray(v, kinds[type(v)]) for name, v in config.hyper().items()},
        np.asarray(iterations, np.int32),
    ))  # fmt: skip
    params = jax.tree.map(jnp.asarray, with_params(agent.env.default_params, env_params or {}))
    return Context(Hyper(hp), params, horizon, data, inputs or None)


def with_params(params: EnvParams, given: Mapping[str, float]) -> EnvParams:
    """An environment's parameters, some of them others; each keeps its type."""
    if not given:
        return params
    known = params if isinstance(params, Mapping) else vars_of(params)
    new = {
        name: jnp.asarray(value, jnp.asarray(known[name]).dtype) for name, value in given.items()
    }
    if isinstance(params, Mapping):
        return {**params, **new}
    return params._replace(**new) if hasattr(params, "_replace") else replace(params, **new)


def vars_of(params: EnvParams) -> dict[str, Any]:
    """The fields of a named tuple or of a dataclass."""
    names = getattr(params, "_fields", None) or [field.name for field in fields(params)]
    return {name: getattr(params, name) for name in names}


def evaluation_key(seed: int | Int[Array, ""], iteration: int | Int[Array, ""]) -> PRNGKeyArray:
    """The evaluation stream of a run, after so many iterations."""
    return keys.stream(keys.root(seed), keys.Purpose.EVALUATE, iteration)


# Of many runs at once: key by key they would take as long as what is done with them.
roots = jax.jit(jax.vmap(keys.root))
evaluation_keys = jax.jit(jax.vmap(evaluation_key, in_axes=(0, None)))


class Progress(NamedTuple):
    """How far the runs of a chunk came: iterations taken, and whether they are over."""

    taken: Int[Array, "*width"]
    finished: Bool[Array, "*width"]


class Program:
    """An agent's functions, compiled once and driven cell after cell.

    Args:
      agent: built for the group.
      episodes: per evaluation.
      mode: how evaluation acts; None for the agent's own.
      width: runs driven at once.

    Raises:
      UsageError: jax's 64-bit mode is on.
    """

    def __init__(self, agent: Agent, episodes: int, mode: Mode | None, width: int = 1) -> None:
        check_precision()
        self.agent = agent
        self.width = width
        self.traces: Counter[str] = Counter()
        self.compile_seconds = 0.0
        self._episodes = episodes
        self._mode: Mode | None = mode
        self._compiled: dict[str, Any] = {}
        self._apart = apart(agent)
        # Bytes, as its compiled functions say; whether they were held against the estimate.
        self.memory, self.compared = 0, False
        # Roles in which each run has an input of its own; of others there is one for all.
        self.own: frozenset[str] = frozenset()

    @classmethod
    def for_cell(cls, cell: Cell, width: int = 1) -> Program:
        """Build environment and agent from a cell's names and compile nothing yet."""
        env = registry.make_env(cell.env, **cell.env_options)
        make = registry.agent(cell.agent).load_make()
        mode: Any = cell.cadence.mode
        program = cls(make(env, cell.load_config()), cell.cadence.episodes, mode, width)
        program.own = frozenset(role for role, made in cell.inputs.items() if made.own)
        return program

    # --- the traced functions -------------------------------------------------------------------

    def _init(
        self, key: PRNGKeyArray, ctx: Context, warm: PolicyParams = None
    ) -> tuple[State, Metrics]:
        self.traces["init" if warm is None else "warm"] += 1
        state = self.agent.init(key, ctx, warm=warm)
        return state, metrics.empty(jax.eval_shape(self.agent.step, state, ctx)[1])

    def _chunk(
        self, state: State, running: Metrics, ctx: Context, count: Int[Array, ""]
    ) -> tuple[State, Metrics]:
        self.traces["chunk"] += 1

        def body(_: Any, loop: tuple[State, Metrics]) -> tuple[State, Metrics]:
            state, new = self.agent.step(loop[0], ctx)
            return state, metrics.merge(loop[1], new)

        return jax.lax.fori_loop(0, count, body, (state, running))

    def _chunk_or_end(
        self, state: State, running: Metrics, ctx: Context, count: Int[Array, ""]
    ) -> tuple[State, Metrics, Progress]:
        """`_chunk`, but a state that has finished stays as it is."""
        self.traces["chunk"] += 1
        assert self.agent.finished is not None
        finished = self.agent.finished

        def going(loop: tuple[State, Metrics, Int[Array, ""]]) -> Bool[Array, ""]:
            return (loop[2] < count) & ~finished(loop[0])

        def body(loop: tuple[State, Metrics, Int[Array, ""]]) -> Any:
            state, new = self.agent.step(loop[0], ctx)
            return state, metrics.merge(loop[1], new), loop[2] + 1

        state, running, taken = jax.lax.while_loop(going, body, (state, running, jnp.int32(0)))
        return state, running, Progress(taken, finished(state))

    def _collect(self, state: State, ctx: Context) -> tuple[State, Any]:
        self.traces["collect"] += 1
        return self.agent.collect(state, ctx)

    def _learn(
        self, state: State, batch: Any, running: Metrics, ctx: Context
    ) -> tuple[State, Metrics]:
        self.traces["learn"] += 1
        state, new = self.agent.learn(state, batch, ctx)
        return state, metrics.merge(running, new)

    def _evaluate(self, state: State, key: PRNGKeyArray, ctx: Context) -> Evaluation:
        self.traces["evaluate"] += 1
        return evaluate(
            self.agent,
            self.agent.policy(state),
            key,
            ctx.env_params,
            episodes=self._episodes,
            mode=self._mode,
        )

    # --- what the runner calls ------------------------------------------------------------------

    def stack(self, rows: Sequence[Any]) -> Any:
        """One row per run -> what the functions take; missing rows repeat the last."""
        if self.width == 1:
            return rows[0]
        if isinstance(rows[0], Context):
            # Data is shared by whoever runs together, never copied for each.
            hp, env_params, horizon = (self.stack([ctx[k] for ctx in rows]) for k in range(3))
            inputs = rows[0].inputs and {
                role: self.stack([c.inputs[role] for c in rows]) if role in self.own else shared
                for role, shared in rows[0].inputs.items()
            }
            return Context(hp, env_params, horizon, rows[0].data, inputs)
        padded = [*rows, *[rows[-1]] * (self.width - len(rows))]
        return jax.tree.map(_stacked, *padded)

    def roots(self, seeds: Sequence[int]) -> Key[Array, "*width"]:
        """The runs' root keys, for `init`."""
        return keys.root(seeds[0]) if self.width == 1 else roots(self._padded(seeds))

    def evaluation_keys(self, seeds: Sequence[int], iteration: int) -> Key[Array, "*width"]:
        """The runs' keys for `evaluate`, after so many iterations."""
        if self.width == 1:
            return evaluation_key(seeds[0], iteration)
        return evaluation_keys(self._padded(seeds), np.int32(iteration))

    def _padded(self, seeds: Sequence[int]) -> Int[np.ndarray, " width"]:
        return np.asarray([*seeds, *[seeds[-1]] * (self.width - len(seeds))], np.int32)

    def measured(self, running: Metrics) -> list[dict[str, float]]:
        """Plain numbers of each run; more rows than runs where some are missing."""
        wide = self.width > 1
        return metrics.rows_to_host(running) if wide else [metrics.to_host(running)]

    def row(self, tree: Any, index: int | Int[Array, ""]) -> Any:
        """One run's part of what the functions return."""
        return tree if self.width == 1 else jax.tree.map(lambda leaf: leaf[index], tree)

    def init(
        self, key: Key[Array, "*width"], ctx: Context, warm: PolicyParams = None
    ) -> tuple[State, Metrics]:
        """The state before the first step, and empty metrics.

        Args:
          key: the runs' root keys.
          ctx: of the runs.
          warm: the policy that all of them start from.
        """
        axes = self._axes(ctx)
        if warm is None:
            return self._call("init", self._init, (), (0, axes), key, ctx)
        return self._call("warm", self._init, (), (0, axes, None), key, ctx, warm)

    def chunk(
        self, state: State, running: Metrics, ctx: Context, count: int
    ) -> tuple[State, Metrics, Progress | None]:
        """`count` iterations; `state` is donated. Metrics merge in the same order however a run
        is cut into chunks, so no cadence can change a number.

        Args:
          state: of the runs, from `init` or the last chunk.
          running: metrics so far, which those of this chunk are merged into.
          ctx: of the runs.
          count: iterations.

        Returns:
          (state, metrics, how far each run came where the agent may finish before its budget).
        """
        axes = self._axes(ctx)
        if self.agent.finished is not None:
            args = (state, running, ctx, jnp.int32(count))
            return self._call("chunk", self._chunk_or_end, (0,), (0, 0, axes, None), *args)
        if not self._apart:
            args = (state, running, ctx, jnp.int32(count))
            return *self._call("chunk", self._chunk, (0,), (0, 0, axes, None), *args), None
        for _ in range(count):
            state, batch = self._call("collect", self._collect, (0,), (0, axes), state, ctx)
            args = (state, batch, running, ctx)
            state, running = self._call("learn", self._learn, (0,), (0, 0, 0, axes), *args)
        return state, running, None

    def evaluate(self, state: State, key: Key[Array, "*width"], ctx: Context) -> Evaluation:
        """Play whole episodes.

        Args:
          state: of the runs; not donated.
          key: of the runs, from `evaluation_keys`.
          ctx: of the runs.

        Returns:
          [episodes] of each run, with the runs in front where the program is wide.
        """
        return self._call("evaluate", self._evaluate, (), (0, 0, self._axes(ctx)), state, key, ctx)

    def _axes(self, ctx: Context) -> Context:
        roles = {role: 0 if role in self.own else None for role in ctx.inputs or {}}
        return CONTEXT_AXES._replace(inputs=roles or None)

    def policy(self, state: State) -> PolicyParams:
        """What is left of the runs: `agent.policy` of each row."""
        return self.agent.policy(state) if self.width == 1 else jax.vmap(self.agent.policy)(state)

    def shapes(self, ctx: Context) -> Any:
        """Structure of one run's (state, metrics): what its checkpoint must match."""
        count = self.traces["init"]
        shapes = jax.eval_shape(self._init, keys.root(0), ctx)
        self.traces["init"] = count
        return shapes

    def _call(
        self, name: str, function: Any, donate: tuple[int, ...], axes: tuple[Any, ...], *args: Any
    ) -> Any:
        if name not in self._compiled:
            start = time.perf_counter()
            if self.width > 1:
                function = jax.vmap(function, in_axes=axes)
            compiled = jax.jit(function, donate_argnums=donate).lower(*args).compile()
            self.compile_seconds += time.perf_counter() - start
            self.memory = max(self.memory, _program_bytes(compiled))
            self._compiled[name] = compiled
        return self._compiled[name](*args)


def _stacked(*leaves: Any) -> Array:
    """One leading axis more, put together on the host: a program that joins thousands of arguments
    takes an accelerator's compiler minutes."""
    if jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key):
        data = np.stack([np.asarray(jax.random.key_data(leaf)) for leaf in leaves])
        return jax.random.wrap_key_data(jnp.asarray(data), impl=jax.random.key_impl(leaves[0]))
    return jnp.asarray(np.stack([np.asarray(leaf) for leaf in leaves]))


def apart(agent: Agent) -> bool:
    """Whether `collect` and `learn` are programs of their own.

    A program with a host callback is never written to jax's compile cache, and learning is the dear
    part to compile. With few steps between updates one dispatch more in each would cost more.
    """
    callback = getattr(agent.env, "callback", not agent.env.resumable)
    return callback and (not agent.env.resumable or agent.steps_per_iteration >= APART_FROM)


def policy_shapes(cell: Cell) -> Any:
    """Structure, shapes and types of the policy that a cell leaves."""
    env = registry.make_env(cell.env, **cell.env_options)
    agent: Agent = registry.agent(cell.agent).load_make()(env, cell.load_config())
    return jax.eval_shape(agent.policy, state_shapes(agent, cell.inputs))


def state_shapes(agent: Agent, inputs: Mapping[str, Made], data: Any = None) -> Any:
    """Structure, shapes and types of an agent's state.

    Args:
      agent: any.
      inputs: what its runs are given that others make.
      data: what it learns from; by default what the registry knows of its kind.
    """
    data = shapes(agent.name, agent.env) if data is None else data
    made = {role: policy_shapes(one.cell) for role, one in inputs.items()}
    return jax.eval_shape(agent.init, keys.root(0), context(agent, agent.config, 1, data, made))


def _program_bytes(compiled: Any) -> int:
    analysis = compiled.memory_analysis()
    if analysis is None:
        return 0
    return int(
        analysis.argument_size_in_bytes
        + analysis.output_size_in_bytes
        - analysis.alias_size_in_bytes
        + analysis.temp_size_in_bytes
    )


def tree_bytes(tree: Any) -> int:
    """Bytes of a tree of arrays or shapes."""
    return sum(
        int(leaf.size) * (8 if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else
                          leaf.dtype.itemsize)
        for leaf in jax.tree.leaves(tree)
    )  # fmt: skip
