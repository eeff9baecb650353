"""Training in your own process, or on worker processes: `rlsuite.train` and what it returns.

On a CPU one seed runs after the other on one compiled program, on an accelerator as many at once as
its memory holds. Training in your own process makes no promise of equal bits with the command line,
whose workers are single-threaded.
"""

from __future__ import annotations

import contextlib
import importlib.util
import operator
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from rlsuite.acting.evaluate import summary
from rlsuite.contracts import keys, metrics
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.contracts.types import Agent, Context, Mode, PolicyParams, PolicyT, State, Tree
from rlsuite.engine.plan.checks import executed_budget
from rlsuite.engine.run.program import Program, context, tree_bytes
from rlsuite.engine.run.runner import boundaries
from rlsuite.engine.store.store import Rows

if TYPE_CHECKING:
    import polars as pl

# Of an accelerator's free memory, what training may take: the rest is for what it needs besides.
MEMORY_SHARE = 0.8


class Moment(NamedTuple):
    """What a callback is told after every row of metrics and every evaluation.

    Attributes:
      seeds: that run together.
      step: environment steps, or updates, that each has taken.
      values: metric -> a number for each of these seeds, NaN where there is none.
    """

    seeds: tuple[int, ...]
    step: int
    values: Mapping[str, Float[np.ndarray, " seeds"]]


# Returns True to stop these seeds; anything else goes on.
Callback = Callable[[Moment], bool | np.bool_ | None]


class PerSeed(Sequence[Any]):
    """One tree for each seed, taken out of those that were trained together when asked for."""

    def __init__(self, parts: Sequence[tuple[Tree, int]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(max(rows, 1) for _, rows in self._parts)

    def together(self, places: Sequence[int], width: int) -> Tree:
        """The trees at these places as they were trained, where just they ran side by side in a
        program of this width; else None. Row by row a thousand seeds take a minute."""
        first = 0
        for tree, rows in self._parts:
            if first == places[0] and rows == len(places):
                return tree if len(jax.tree.leaves(tree)[0]) == width else None
            first += max(rows, 1)
        return None

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = operator.index(index) + (len(self) if index < 0 else 0)
        for tree, rows in self._parts if at >= 0 else ():
            if at < max(rows, 1):
                return jax.tree.map(operator.itemgetter(at), tree) if rows else tree
            at -= max(rows, 1)
        raise IndexError(f"there are {len(self)} seeds")


@dataclass(frozen=True)
class Result(Generic[PolicyT]):
    """What `rlsuite.train` returns.

    Attributes:
      steps: at each evaluation: environment steps, or an offline agent's updates.
      returns: mean return of each seed's evaluations, NaN after a seed was stopped.
      policies: the trained policy of each seed.
      metrics: of each seed, training metrics over the whole run; from worker processes, over its
        last interval.
      seeds: in the same order.
      status: of each seed: done, nan (a metric or an evaluation was not finite) or stopped (by the
        callback).
      rows: of each seed, metric -> [(step, seconds of training, value), ...].
      states: the whole state of each seed, for `warm`; empty from worker processes.
      iterations: that each seed's state has behind it.
    """

    steps: Int[np.ndarray, " evaluations"]
    returns: Float[np.ndarray, "seeds evaluations"]
    policies: Sequence[PolicyT]
    metrics: list[dict[str, float]]
    seeds: list[int] = field(default_factory=list)
    status: list[str] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    states: Sequence[State] = ()
    iterations: list[int] = field(default_factory=list)

    def curve(self, metric: str) -> tuple[Int[np.ndarray, " points"], Float[np.ndarray, "..."]]:
        """A metric over the run: (steps[points], values[seeds, points]), NaN where it has none.

        Raises:
          UsageError: no seed has such a metric.
        """
        known = sorted({name for rows in self.rows for name in rows})
        if metric not in known:
            raise UsageError(f"no metric {metric!r}: {nearest(metric, known)}")
        told = [{step: value for step, _, value in rows.get(metric, [])} for rows in self.rows]
        steps = sorted({step for row in told for step in row})
        values = [[row.get(step, float("nan")) for step in steps] for row in told]
        return np.array(steps, np.int64), np.array(values, np.float64)

    def to_polars(self) -> pl.DataFrame:
        """All metrics as one frame: seed, metric, step, seconds, value."""
        import polars as pl

        told = [
            (seed, metric, *row)
            for seed, rows in zip(self.seeds, self.rows, strict=True)
            for metric, entries in rows.items()
            for row in entries
        ]
        kinds = {"seed": pl.Int64, "metric": pl.String, "step": pl.Int64}
        schema = {**kinds, "seconds": pl.Float64, "value": pl.Float64}
        return pl.DataFrame(told, schema=schema, orient="row")


@dataclass(frozen=True)
class Start:
    """Where seeds start: anew, from a policy, or from whole states after some iterations."""

    policy: PolicyParams = None
    states: Sequence[State] = ()
    iterations: int = 0


@dataclass(frozen=True)
class Plan:
    """What happens to every seed, in iterations from the start of this call."""

    iterations: int
    logs: frozenset[int]
    evaluations: frozenset[int]
    start: Start
    first_step: int
    per: int

    @property
    def points(self) -> list[int]:
        """Where the program stops to speak."""
        return sorted(self.logs | self.evaluations | {self.iterations})

    def step(self, at: int) -> int:
        """The x-axis after so many iterations of this call."""
        return self.first_step + at * self.per


def plan(agent: Agent, total_steps: int, evaluations: int, logs: int, start: Start) -> Plan:
    """Iterations and cadence of a call; of a run that goes on, `total_steps` more.

    Args:
      agent: any.
      total_steps: in the unit of the agent's budget: environment steps, or gradient updates.
      evaluations: how many, evenly spaced, the last at the end.
      logs: how many, evenly spaced, the last at the end; at most one an iteration.
      start: where the seeds start.

    Raises:
      UsageError: a budget below one iteration.
    """
    per = agent.steps_per_iteration
    if start.states:
        iterations = total_steps // per
        if iterations < 1:
            raise UsageError(f"total_steps {total_steps} is below one iteration of {per} steps")
    else:
        iterations, _ = executed_budget(agent.config, total_steps)
    return Plan(
        iterations,
        frozenset(boundaries(iterations, min(logs, iterations), first=False)),
        frozenset(boundaries(iterations, evaluations, first=False)),
        start,
        agent.prefill + start.iterations * per,
        per,
    )


# --- together ---------------------------------------------------------------------------------


class Session:
    """Some seeds of one agent, as many as a program is wide, from their start to their end.

    Args:
      program: compiled for the agent.
      seeds: at most as many as the program is wide.
      places: of these seeds among all, to find their start.
      plan: of every seed.
      ctx: of every seed.
    """

    def __init__(
        self, program: Program, seeds: Sequence[int], places: Sequence[int], plan: Plan,
        ctx: Context[Any],
    ) -> None:  # fmt: skip
        self.program, self.seeds, self.plan = program, tuple(seeds), plan
        self.contexts = [ctx] * len(seeds)
        self.ctx = program.stack(self.contexts)
        self.places = places
        self.rows: list[Rows] = [{} for _ in seeds]
        self.status = ["done"] * len(seeds)
        self.whole: metrics.Metrics = {}
        self.seconds = 0.0
        self.state: State = None
        self.iterations = [plan.start.iterations] * len(seeds)
        # Seeds whose agent said that it has finished before the budget was spent.
        self.over = [False] * len(seeds)

    def run(self, tell: Callable[[Moment], bool]) -> None:
        """Every iteration; `tell` says whether to stop."""
        running = self._begin()
        self.whole, at = metrics.empty(running), 0
        for point in self.plan.points:
            alive = [self.status[i] == "done" and not over for i, over in enumerate(self.over)]
            running = self._advance(running, point - at, alive)
            at = point
            values = {}
            if point in self.plan.logs or point == self.plan.iterations:
                values |= self._log(running)
                running = metrics.empty(running)
            if point in self.plan.evaluations:
                values |= self._evaluate(at)
            self._record(self.plan.step(at), values, alive)
            stop = tell(Moment(self.seeds, self.plan.step(at), values))
            if stop and at < self.plan.iterations:
                self.status = ["stopped" if s == "done" else s for s in self.status]
            if stop or "done" not in self.status or all(self.over):
                return

    def _begin(self) -> metrics.Metrics:
        agent = self.program.agent
        if not self.plan.start.states:
            roots, policy = self.program.roots(self.seeds), self.plan.start.policy
            self.state, running = self.program.init(roots, self.ctx, policy)
            return running
        # Copies: what advances a state consumes it, and these belong to an earlier result.
        whole, width = self.plan.start.states, self.program.width
        side = whole.together(self.places, width) if isinstance(whole, PerSeed) else None
        states = self.program.stack([whole[i] for i in self.places]) if side is None else side
        self.state = jax.tree.map(jnp.copy, states)
        one = jax.eval_shape(self.program.row, self.state, 0)
        empty = metrics.empty(jax.eval_shape(agent.step, one, self.contexts[0])[1])
        return self.program.stack([empty] * len(self.seeds))

    def _advance(
        self, running: metrics.Metrics, count: int, alive: Sequence[bool]
    ) -> metrics.Metrics:
        began, compiling = time.perf_counter(), self.program.compile_seconds
        self.state, running, came = self.program.chunk(self.state, running, self.ctx, count)
        jax.block_until_ready(running)
        host = None if came is None else jax.tree.map(np.atleast_1d, jax.device_get(came))
        for i in range(len(self.seeds)):
            if alive[i]:
                self.iterations[i] += count if host is None else int(host.taken[i])
            self.over[i] = self.over[i] or (host is not None and bool(host.finished[i]))
        compiling = self.program.compile_seconds - compiling
        self.seconds += time.perf_counter() - began - compiling
        return running

    def _log(self, running: metrics.Metrics) -> dict[str, np.ndarray]:
        self.whole = metrics.merge(self.whole, running)
        return self._columns(self.program.measured(running)[: len(self.seeds)])

    def _columns(self, rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
        """Metric -> a number for each seed, NaN where there is none; one of them that is not finite
        ends its seed."""
        for i, row in enumerate(rows):
            # A mean of nothing is left out, so what is not finite here is a fault.
            if not all(np.isfinite(list(row.values()))):
                self.status[i] = "nan"
        names = sorted({name for row in rows for name in row})
        return {n: np.array([row.get(n, np.nan) for row in rows], np.float64) for n in names}

    def _evaluate(self, at: int) -> dict[str, np.ndarray]:
        at += self.plan.start.iterations
        chosen = self.program.evaluation_keys(self.seeds, at)
        out = jax.device_get(self.program.evaluate(self.state, chosen, self.ctx))
        return self._columns([summary(self.program.row(out, i)) for i in range(len(self.seeds))])

    def _record(self, step: int, values: dict[str, np.ndarray], alive: Sequence[bool]) -> None:
        """Rows of the seeds that had not ended before: what another's program still does with the
        state of one that turned to NaN is no result."""
        for i, rows in enumerate(self.rows):
            for name, column in values.items() if alive[i] else ():
                if not np.isnan(column[i]) or self.status[i] == "nan":
                    rows.setdefault(name, []).append((step, self.seconds, float(column[i])))

    def policy(self) -> PolicyParams:
        """The policies, stacked where the program is wide; copies, for the state may be donated."""
        return jax.tree.map(jnp.copy, self.program.policy(self.state))

    def finals(self) -> list[dict[str, float]]:
        """Metrics over the whole run."""
        return self.program.measured(self.whole)[: len(self.seeds)]


def run_here(
    agent: Agent[Any, Any, Any], seeds: list[int], plan: Plan, cadence: tuple[int, Mode | None],
    data: Tree, width: int | str, tell: Callable[[Moment], bool],
    inputs: Mapping[str, Tree] | None = None,
) -> Result[Any]:  # fmt: skip
    """Train in this process.

    Args:
      agent: any.
      seeds: in the order of the result.
      plan: of every seed.
      cadence: (episodes, mode) of an evaluation.
      data: prepared.
      width: seeds at once, or "auto".
      tell: called with what happens; True stops the seeds it is told of.
      inputs: role -> what another run made, for all seeds.
    """
    ctx = context(agent, agent.config, plan.start.iterations + plan.iterations, data, inputs)
    wide = chosen_width(agent, ctx, len(seeds), width)
    program = compiled(agent, *cadence, wide, (data, inputs))
    sessions = []
    for first in range(0, len(seeds), program.width):
        places = range(first, min(first + program.width, len(seeds)))
        session = Session(program, [seeds[i] for i in places], places, plan, ctx)
        session.run(tell)
        sessions.append(session)
    counts = [0 if program.width == 1 else len(s.seeds) for s in sessions]
    rows = [row for s in sessions for row in s.rows]
    steps = [plan.step(at) for at in sorted(plan.evaluations)]
    return Result(
        np.array(steps, np.int64),
        evaluation_returns(rows, steps),
        PerSeed([(s.policy(), n) for s, n in zip(sessions, counts, strict=True)]),
        [final for s in sessions for final in s.finals()],
        seeds,
        [status for s in sessions for status in s.status],
        rows,
        PerSeed([(s.state, n) for s, n in zip(sessions, counts, strict=True)]),
        [count for s in sessions for count in s.iterations],
    )


# The last programs, newest last: training the same agent again compiles nothing.
_PROGRAMS: list[tuple[Agent[Any, Any, Any], tuple[Any, ...], Program]] = []
MOST_PROGRAMS = 4


def compiled(
    agent: Agent[Any, Any, Any], episodes: int, mode: Mode | None, width: int, data: Tree
) -> Program:
    """The program of an agent; the one of an earlier call where it fits.

    Args:
      agent: the same object as in the earlier call.
      episodes: of an evaluation.
      mode: of an evaluation.
      width: seeds at once.
      data: prepared, and inputs; of another structure or shape, another program.
    """
    leaves, structure = jax.tree.flatten(data)
    shapes = [(x.shape, str(x.dtype)) for x in map(jnp.asarray, leaves)]
    key = (episodes, mode, width, str(structure), *shapes)
    for i, (known, its_key, program) in enumerate(_PROGRAMS):
        if known is agent and its_key == key:
            _PROGRAMS.append(_PROGRAMS.pop(i))
            return program
    _PROGRAMS.append((agent, key, Program(agent, episodes, mode, width)))
    del _PROGRAMS[:-MOST_PROGRAMS]
    return _PROGRAMS[-1][2]


def evaluation_returns(rows: list[Rows], steps: Sequence[int]) -> Float[np.ndarray, "seeds evals"]:
    """`eval/return` of each seed at each step, NaN where there is none."""
    told = [{step: value for step, _, value in row.get("eval/return", [])} for row in rows]
    values = [[row.get(step, float("nan")) for step in steps] for row in told]
    return np.array(values, np.float32).reshape(len(rows), len(steps))


def chosen_width(agent: Agent, ctx: Context[Any], count: int, width: int | str) -> int:
    """How many seeds to run at once: one on a CPU, else a power of two that fits into memory.

    Args:
      agent: any.
      ctx: of the runs.
      count: seeds there are.
      width: asked for, or "auto".

    Raises:
      UsageError: several on a CPU in a process that was not started for it, or no width.
    """
    if width == "auto":
        return 1 if jax.default_backend() == "cpu" else fitting_width(agent, ctx, count)
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise UsageError(f"width must be 'auto' or at least 1, not {width!r}")
    if width > 1 and jax.default_backend() == "cpu" and os.environ.get("PJRT_NPROC") != "1":
        raise UsageError(
            "vmapped training can hang on a CPU in a process that was started without its flags: "
            "call os.environ.update(rlsuite.engine.launch.process_env.worker_environment('cpu')) "
            "before "
            "jax is imported, or leave out width and give workers="
        )
    return min(width, count)


def fitting_width(agent: Agent, ctx: Context[Any], count: int) -> int:
    """The largest power of two of runs whose states and rollouts fit into the device's memory.

    Args:
      agent: any.
      ctx: of the runs; its data and inputs are held once for all.
      count: seeds there are, which bounds it.
    """
    stats = jax.devices()[0].memory_stats() or {}
    free = stats.get("bytes_limit", 0) - stats.get("bytes_in_use", 0)
    state = jax.eval_shape(agent.init, keys.root(0), ctx)
    batch = jax.eval_shape(agent.collect, state, ctx)[1]
    # Every seed's state is kept to the end. Of those under way: the state as it is replaced; the
    # batch, its working form and one shuffled copy.
    kept, each = count * tree_bytes(state), tree_bytes(state) + 3 * tree_bytes(batch)
    shared = tree_bytes((ctx.data, ctx.inputs))
    fitting = max(int((MEMORY_SHARE * (free - shared) - kept) / (each + agent.scratch)), 1)
    return 1 << (min(fitting, count).bit_length() - 1)


# --- what is shown ----------------------------------------------------------------------------


@contextlib.contextmanager
def shown(progress: bool | None, total: int, unit: str) -> Iterator[Callable[[Moment, int], None]]:
    """A bar in a terminal or a notebook, lines elsewhere; by default nothing in a log.

    Args:
      progress: True or False; None for only where somebody watches.
      total: steps of all seeds.
      unit: what they are.

    Returns:
      What to call with each moment and the steps of all seeds so far.
    """
    console = Console(highlight=False)
    watched = console.is_terminal or console.is_jupyter
    if progress is False or (progress is None and not watched):
        yield lambda moment, steps: None
        return
    bare = console.is_jupyter and importlib.util.find_spec("ipywidgets") is None
    if not watched or bare:
        yield lambda moment, steps: console.print(_line(moment, steps / total, unit))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("importing and compiling", total=total)
        yield lambda moment, steps: bar.update(
            task, completed=steps, description=_line(moment, steps / total, unit)
        )


def _line(moment: Moment, done: float, unit: str) -> str:
    name = "eval/return" if "eval/return" in moment.values else "train/return"
    values = moment.values.get(name, np.array([np.nan]))
    known = values[~np.isnan(values)]
    told = f", {name} {known.mean():.1f}" if len(known) else ""
    seeds = f"seed {moment.seeds[0]}" if len(moment.seeds) == 1 else f"{len(moment.seeds)} seeds"
    return f"{done:4.0%} {seeds} at {moment.step:,} {unit}{told}"


# --- worker processes -------------------------------------------------------------------------


def run_in_workers(
    request: Any, workers: int, out: Path, agent: Agent[Any, Any, Any], data: Tree, quiet: bool
) -> Result[Any]:
    """Train on worker processes into a run folder, and read back what they made.

    Args:
      request: an `engine.plan.spec.Request`.
      workers: how many processes.
      out: the folder; what is finished in it is not run again.
      agent: what the request says, to read the policies.
      data: shapes of what it learns from.
      quiet: show nothing.

    Raises:
      UsageError: a run failed, naming its error.
    """
    from rlsuite.engine.launch import execute
    from rlsuite.engine.launch.session import Workers
    from rlsuite.engine.plan import spec
    from rlsuite.engine.run import tree
    from rlsuite.engine.store import store
    from rlsuite.io import files

    cells = spec.expand([request])
    folder = store.Store(out)
    cells = folder.prepare(cells, ["rlsuite.train"])
    pool = Workers(workers, "cpu", execute.modules(cells))
    outcome = execute.execute(folder, cells, pool, Console(quiet=quiet), out)
    if outcome.failed or outcome.left:
        raise UsageError(next(iter(outcome.failed.values()), f"{outcome.left} runs are left"))
    state = jax.eval_shape(agent.init, keys.root(0), context(agent, agent.config, 1, data))
    template = jax.eval_shape(agent.policy, state)
    read = [files.read_arrays(folder.path(cell.id, "done")) for cell in cells]
    policies = [tree.from_arrays(template, arrays, "policy", str(out)) for arrays, _ in read]
    rows = [store.unpack_rows(arrays) for arrays, _ in read]
    # The first is of the policy before training, which `rlsuite.train` here does not evaluate.
    steps = sorted({step for row in rows for step, *_ in row.get("eval/return", [])})[1:]
    return Result(
        np.array(steps, np.int64), evaluation_returns(rows, steps), policies,
        [{n: e[-1][2] for n, e in row.items() if not n.startswith("eval/")} for row in rows],
        [cell.seed for cell in cells], [meta["status"] for _, meta in read], rows,
        iterations=[meta["iteration"] for _, meta in read],
    )  # fmt: skip
