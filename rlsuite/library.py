"""The suite inside your own script: make, train, evaluate, save and load without the command line.

On a CPU, jax 0.10 can hang in *vmapped* training scans and get some sums wrong. `train` runs one
seed after the other there, or on worker processes (`workers=`), and is safe. If you vmap an agent
yourself, update `os.environ` with `rlsuite.engine.launch.process_env.worker_environment("cpu")`
before jax is imported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex, cast, overload

import jax
import numpy as np
from gymnasium import spaces

from rlsuite.contracts import registry
from rlsuite.contracts.config import check_seeds
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.contracts.refs import load as load_data
from rlsuite.contracts.refs import resolve, shapes
from rlsuite.contracts.types import (
    Agent,
    Context,
    Environment,
    Mode,
    PolicyParams,
    PolicyT,
    State,
    Tree,
)
from rlsuite.engine.plan import cells
from rlsuite.engine.plan.checks import check_actions, check_fit, check_need, executed_budget
from rlsuite.engine.plan.spec import Request
from rlsuite.engine.run import program, tree
from rlsuite.io import files
from rlsuite.training import (
    Callback,
    Moment,
    Plan,
    Result,
    Start,
    plan,
    run_here,
    run_in_workers,
    shown,
)

if TYPE_CHECKING:
    from rlsuite.analysis.load.frames import Frames
    from rlsuite.engine.launch.search import Search

# What `make` was asked for, by the agent's address: what workers build it from.
_MADE: dict[int, Request] = {}


def make_env(env_id: str, **options: Any) -> Environment:
    """Build an environment by id, see `rlsuite list envs`.

    Raises:
      UsageError: an unknown id or option.
    """
    return registry.make_env(env_id, **options)


def make(
    name: str,
    env: Environment | str,
    preset: str | None = None,
    *,
    dataset: str = "",
    **settings: Any,
) -> Agent[Any, Any, Any]:
    """An agent by name, for an environment.

        agent = rlsuite.make("ppo", "CartPole-v1", preset="purejaxrl", learning_rate=1e-3)

    Args:
      name: see `rlsuite list agents`.
      env: an environment or its id.
      preset: named settings, see `rlsuite list presets`.
      dataset: the name of the dataset whose set of the preset is meant, if it has such.
      settings: fields of the agent's `Config`, laid over the preset's.

    Raises:
      UsageError: an unknown agent, preset or setting, or one that the environment does not fit.
    """
    row = registry.agent(name)
    task = make_env(env) if isinstance(env, str) else env
    described = describe(task)
    check_actions(row, described)
    base, _ = registry.resolve_preset(row, preset, task.id, dataset)
    config = row.load_config().from_mapping({**base, **settings})
    check = getattr(config, "check_env", None)
    if check is not None:
        check(described)
    agent: Agent[Any, Any, Any] = row.load_make()(task, config)
    if registry.was_made(task):
        # Of an environment built in another way nobody knows how to build it again.
        _MADE[id(agent)] = Request(
            name, [task.id], [], settings=config.to_mapping(), env_options=registry.options_of(task)
        )
        weakref.finalize(agent, _MADE.pop, id(agent), None)
    return agent


def describe(env: Environment) -> registry.EnvRow:
    """What the checks need to know of an environment, whether it is in the registry or not."""

    def plain(space: spaces.Space[Any]) -> registry.Space:
        if isinstance(space, spaces.Discrete):
            return registry.Space("discrete", n=int(space.n), start=int(space.start))
        if not isinstance(space, spaces.Box):
            raise UsageError(f"{env.id} has {space}: agents take Box and Discrete")
        low, high = float(space.low.min()), float(space.high.max())
        size = 1 if space.dtype == np.uint8 and len(space.shape) > 1 else 4
        return registry.Space("box", space.shape, low=low, high=high, bytes=size)

    seen, done = plain(env.observation_space), plain(env.action_space)
    return registry.EnvRow(env.id, "", seen, done, env.time_limit, "own", resumable=env.resumable)


def context(
    agent: Agent[Any, Any, Any],
    *,
    total_steps: int | None = None,
    iterations: int | None = None,
    data: Tree = None,
    inputs: Mapping[str, Tree] | None = None,
    env_params: Mapping[str, float] | None = None,
) -> Context[Any]:
    """What `agent.init`, `collect` and `learn` are given: for who drives or vmaps them.

        ctx = rlsuite.context(agent, iterations=60)
        state = jax.jit(agent.init)(jax.random.key(0), ctx)
        state, metrics = jax.jit(agent.step)(state, ctx)   # learn ∘ collect, sixty times

    It holds the settings that the agent's functions take as inputs (`ctx.hp`, of which
    `ctx._replace(hp=ctx.hp.replace(learning_rate=...))` changes one), the environment's parameters,
    the length of the run that annealing refers to, and the data. Any part may be batched. Seeds
    side by side, each with a step size of its own:

        states = jax.vmap(agent.init, in_axes=(0, None))(jax.random.split(key, 3), ctx)
        step = lambda state, rate: agent.step(
            state, ctx._replace(hp=ctx.hp.replace(learning_rate=rate)))
        states, metrics = jax.jit(jax.vmap(step))(states, jnp.array([1e-4, 1e-3, 1e-2]))

    Args:
      agent: any.
      total_steps: of the run, as in `train`; or
      iterations: of it.
      data: from `load_dataset`, for agents that learn from some.
      inputs: role -> the policy of an agent that makes such, for agents that are given one.
      env_params: fields of the environment's `default_params` that shall be others.

    Raises:
      UsageError: both lengths or neither, or a budget below one iteration.
    """
    if (total_steps is None) == (iterations is None):
        raise UsageError("context: give total_steps or iterations")
    if total_steps is not None:
        iterations, _ = executed_budget(agent.config, total_steps)
    prepared = None if data is None else agent.prepare(data)
    length = cast(int, iterations)
    return program.context(agent, agent.config, length, prepared, inputs, env_params)


def train(
    agent: Agent[Any, Any, PolicyT],
    *,
    total_steps: int,
    seeds: SupportsIndex | Iterable[SupportsIndex] | None = None,
    evaluations: int = 10,
    episodes: int = 16,
    logs: int = 100,
    mode: Mode | None = None,
    data: Tree | str = None,
    inputs: Mapping[str, Tree] | None = None,
    width: int | str = "auto",
    workers: int = 0,
    out: str | Path | None = None,
    warm: Result[PolicyT] | PolicyT | None = None,
    resume: str | Path | None = None,
    progress: bool | None = None,
    callback: Callback | None = None,
) -> Result[PolicyT]:
    """Train an agent on several seeds.

        result = rlsuite.train(agent, seeds=8, total_steps=50_000)
        result = rlsuite.train(agent, warm=result, total_steps=50_000)   # 50,000 steps more

    Args:
      agent: from `make`, or from an agent's own `make(env, config)`.
      total_steps: of each seed, environment steps or updates, rounded down to whole iterations.
        Where a whole state goes on, these are taken on top of those it has behind it.
      seeds: how many, or which; by default those of `warm` or `resume`.
      evaluations: over the run, the last at its end; none of agents that make an input for others.
      episodes: of each evaluation.
      logs: rows of training metrics over the run.
      mode: greedy or sample; default the agent's own.
      data: for agents that learn from some: of `load_dataset`, or its name or path.
      inputs: for agents that are given what others make: role -> the policy of such an agent.
      width: seeds at once, vmapped; "auto" is one on a CPU, else what fits into memory.
      workers: this many worker processes on a CPU, as the command line does it; for agents from
        `rlsuite.make`. They keep policies and curves, not whole states.
      out: the workers' run folder, where seeds that are finished are not run again.
      warm: an earlier result, whose whole states go on (optimiser, normaliser, replay, counters);
        or a policy, which every seed starts from anew.
      resume: a file with a whole state: of `save`, or a cell's .checkpoint. One seed.
      progress: show a bar; by default in a terminal and in a notebook.
      callback: told of every row of metrics and every evaluation (a `Moment`); True stops a seed.

    Raises:
      UsageError: a budget below one iteration, no seeds, or options that exclude each other.
    """
    row = registry.agents().get(agent.name, _ANY)
    check_need(row, data is not None)
    _check_inputs(row, inputs or {}, bool(workers))
    evaluations = 0 if row.makes else evaluations
    start, known = _start(agent, warm, resume, data)
    chosen = _chosen(seeds, start, known)
    if workers:
        if not (warm is resume is callback is None and width == "auto"):
            raise UsageError("workers= takes no warm, resume, callback or width: leave them out")
        cadence = cells.Cadence(evaluations, episodes, logs, mode)
        request = _request(agent, chosen, total_steps, cadence, data)
        return _in_workers(request, workers, out, agent, progress)
    if out is not None:
        raise UsageError("out= is the workers' run folder: give workers= too")
    loaded = load_dataset(data, agent.env) if isinstance(data, str) else data
    prepared = None if loaded is None else agent.prepare(loaded)
    planned = plan(agent, total_steps, evaluations, logs, start)
    with _followed(agent, planned, len(chosen), progress, callback) as tell:
        return run_here(agent, chosen, planned, (episodes, mode), prepared, width, tell, inputs)


def _check_inputs(row: registry.AgentRow, inputs: Mapping[str, Tree], workers: bool) -> None:
    """Refuse roles that an agent has not, and missing ones: workers make them by themselves."""
    roles = [wanted.role for wanted in row.inputs]
    for role in inputs if row.name else ():
        if role not in roles:
            hint = nearest(role, roles) if roles else "it takes none"
            raise UsageError(f"{row.name} takes no input {role!r}: {hint}")
    if workers and inputs:
        raise UsageError("workers= make what an agent is given by themselves: leave inputs= out")
    if missing := [role for role in roles if role not in inputs and not workers]:
        raise UsageError(
            f"{row.name} needs a {missing[0]}: inputs={{{missing[0]!r}: policy}} of an agent that "
            "makes one, or workers=, which train such an agent first"
        )


@contextlib.contextmanager
def _followed(
    agent: Agent[Any, Any, Any], planned: Plan, seeds: int, progress: bool | None,
    callback: Callback | None,
) -> Iterator[Callable[[Moment], bool]]:  # fmt: skip
    """Show every moment and hand it to the callback, which may stop the seeds it is told of."""
    unit = agent.config.budget_unit.replace("_", " ")
    taken: dict[tuple[int, ...], int] = {}
    with shown(progress, planned.iterations * planned.per * seeds, unit) as show:

        def tell(moment: Moment) -> bool:
            taken[moment.seeds] = (moment.step - planned.first_step) * len(moment.seeds)
            show(moment, sum(taken.values()))
            stop = None if callback is None else callback(moment)
            # numpy's truth too: what is compared is mostly an entry of an array.
            return isinstance(stop, bool | np.bool_) and bool(stop)

        yield tell


# Of agents that are in no registry: nothing is known of what they need.
_ANY = registry.AgentRow("", "", "")


def _chosen(
    seeds: SupportsIndex | Iterable[SupportsIndex] | None, start: Start, known: list[int]
) -> list[int]:
    """The seeds that are asked for, by default those that go on."""
    chosen = check_seeds(known if seeds is None and known else _given(seeds))
    if start.states and len(chosen) != len(start.states):
        raise UsageError(f"{len(start.states)} states cannot go on as {len(chosen)} seeds")
    return chosen


def _given(
    seeds: SupportsIndex | Iterable[SupportsIndex] | None,
) -> SupportsIndex | Iterable[SupportsIndex]:
    if seeds is None:
        raise UsageError("seeds= is missing: how many, or which")
    return seeds


def _start(
    agent: Agent[Any, Any, Any], warm: Any, resume: str | Path | None, data: Any
) -> tuple[Start, list[int]]:
    """Where seeds start, and which they were."""
    if warm is not None and resume is not None:
        raise UsageError("warm= and resume= exclude each other: leave one out")
    if resume is not None:
        saved = _read(Path(resume), agent, data if not isinstance(data, str) else None)
        if saved.state is None:
            raise UsageError(
                f"{resume} keeps a policy and no whole state: give warm=rlsuite.load(...).policy"
            )
        return Start(states=[saved.state], iterations=saved.iterations), [saved.seed]
    if isinstance(warm, Result):
        if not len(warm.states):
            raise UsageError("worker processes keep no states: give warm=result.policies[0]")
        if len(behind := sorted(set(warm.iterations))) > 1:
            raise UsageError(
                f"these seeds ended after {behind[0]} to {behind[-1]} iterations: let those that "
                "were stopped go on by themselves, from a result of their own"
            )
        return Start(states=warm.states, iterations=behind[0]), warm.seeds
    return Start(policy=warm), []


def _request(
    agent: Agent[Any, Any, Any], seeds: list[int], total_steps: int, cadence: cells.Cadence,
    data: Any,
) -> Request:  # fmt: skip
    made = _MADE.get(id(agent))
    if made is None:
        raise UsageError(
            "workers= builds agent and environment by name: make both by rlsuite.make(agent, id)"
        )
    if data is not None and not isinstance(data, str):
        raise UsageError("workers= loads the data by itself: give its name or path as data=")
    registry.env(agent.env.id, made.env_options)
    return dataclasses.replace(
        made, seeds=seeds, total_steps=total_steps, cadence=cadence,
        datasets=[] if data is None else [data],
    )  # fmt: skip


def _in_workers(
    request: Request, workers: int, out: str | Path | None, agent: Agent[Any, Any, Any],
    progress: bool | None,
) -> Result[Any]:  # fmt: skip
    data, quiet = shapes(agent.name, agent.env), progress is False
    if out is not None:
        return run_in_workers(request, workers, Path(out).absolute(), agent, data, quiet)
    with tempfile.TemporaryDirectory(prefix="rlsuite-") as folder:
        return run_in_workers(request, workers, Path(folder) / "run", agent, data, quiet)


def load_dataset(spec: str, env: Environment | str) -> Tree:
    """A dataset for `train(..., data=...)`: transitions for an environment's spaces.

    Args:
      spec: a name of `rlsuite list datasets`, a file or a folder.
      env: what it was recorded on, or its id.

    Raises:
      UsageError: it cannot be found, is damaged, or belongs to another environment.
    """
    ref = resolve("dataset", spec)
    task = make_env(env) if isinstance(env, str) else env
    check_fit(ref, describe(task), {})
    return load_data(ref, task)


def load_results(*folders: str | Path) -> Frames:
    """Frames of run folders, or of the tables kept of some: `rows` and `cells`.

        rows = rlsuite.load_results("runs/ppo_sweep").rows
        returns = rows.filter(pl.col("metric") == "eval/return")
        returns.group_by("agent.learning_rate", "step").agg(pl.col("value").mean())

    `rows` has every metric of every run with the run beside it: cell, metric, step, seconds, value,
    then agent, env, series, seed, status, total_steps and a column `agent.NAME` for each setting.

    Raises:
      UsageError: a folder holds neither, or a file in it is damaged.
    """
    from rlsuite.analysis.load import frames, merging

    loaded = merging.load([Path(folder) for folder in folders])
    table = loaded.cells
    beside = table.drop("sweep", "seconds", "compile_seconds", "provenance", "error")
    rows = loaded.rows.join(beside, on="cell", how="left", maintain_order="left")
    return frames.Frames(rows, table)


def search(
    search: Search, folder: str | Path, workers: int | None = None, *, progress: bool = True
) -> Any:
    """Run a population of runs: `search.ask` says which, `search.tell` what to make of them.

        state = rlsuite.search(MySearch(), "runs/search", workers=2)

    Killed at any moment, the same call goes on from there; no run is made twice.

    Args:
      search: with `start`, `ask` and `tell`, see `rlsuite.engine.launch.search.Search`.
      folder: run folder of all its runs, for `rlsuite report` and `load_results`.
      workers: processes; default one a core.
      progress: show it.

    Returns:
      The last state.

    Raises:
      UsageError: another process runs it, or the folder is another search's.
    """
    from rich.console import Console

    from rlsuite.engine.launch.search import drive

    return drive(search, Path(folder).absolute(), workers, Console(quiet=not progress))


# --- policies and states on disk ----------------------------------------------------------------


class Saved(NamedTuple):
    """What a file holds.

    Attributes:
      agent: built from what the file says, or the one given.
      policy: for `agent.act`.
      state: the whole state, or None where only the policy was kept.
      iterations: that the state has behind it.
      seed: of the run.
    """

    agent: Agent[Any, Any, Any]
    policy: PolicyParams
    state: State = None
    iterations: int = 0
    seed: int = 0


def save(
    path: str | Path,
    agent: Agent[Any, Any, Any],
    policy: PolicyParams | Result[Any],
) -> None:
    """Write a policy to one safetensors file that `load` and `rlsuite evaluate` read.

    Args:
      path: the file.
      agent: whose it is.
      policy: of `result.policies`; or the result of one seed, of which the whole state is kept too,
        for `train(resume=path)`.

    Raises:
      UsageError: a result of several seeds, or of workers, which keep no states.
    """
    cell = {"agent": agent.name, "env": agent.env.id, "config": agent.config.to_mapping()}
    meta: dict[str, Any] = {"cell": cell}
    if options := registry.options_of(agent.env):
        cell["env_options"] = options
    state: Mapping[str, Any] = {}
    if isinstance(policy, Result):
        if len(policy.states) != 1:
            raise UsageError(f"save: {len(policy.states)} states, one file holds one: train one")
        state = tree.to_arrays(policy.states[0], "state")
        cell["seed"], meta["iteration"] = policy.seeds[0], policy.iterations[0]
        policy = policy.policies[0]
    files.write_arrays(Path(path), tree.to_arrays(policy, "policy") | dict(state), meta)


@overload
def load(path: str | Path, *, env: Environment | None = None) -> Saved:
    """Build the agent from what the file says."""


@overload
def load(path: str | Path, agent: Agent[Any, Any, Any], data: Tree = None) -> PolicyParams:
    """The policy, for an agent that is there.

    Args:
      path: of `save`'s file, or of a run folder's cell.
      agent: whose policy it holds.
      data: what the agent learns from, where its shapes alone do not say those of the state.
    """


def load(
    path: str | Path,
    agent: Agent[Any, Any, Any] | None = None,
    data: Tree = None,
    env: Environment | None = None,
) -> Any:
    """Read `save`'s file, or a run folder's finished (.done) or unfinished (.checkpoint) cell.

        agent, policy, *_ = rlsuite.load("policy.safetensors")

    Args:
      path: the file.
      agent: what to read it for; by default one is built from what the file says.
      data: what the agent learns from, where its shapes alone do not say those of the state.
      env: the environment, where the file's own is not in the registry.

    Returns:
      A `Saved`: agent, policy and, where the file has it, the whole state; of `agent` the policy.

    Raises:
      UsageError: no such file, a damaged one, or one of another agent or of other settings.
    """
    if agent is None:
        return _read(Path(path), _built(Path(path), env), data)
    return _read(Path(path), agent, data).policy


def _built(path: Path, env: Environment | None) -> Agent[Any, Any, Any]:
    meta = files.read_meta(path)
    if "cell" not in meta:
        raise UsageError(f"{path} holds no agent: give a cell or a saved policy")
    cell = meta["cell"]
    row = registry.agent(cell["agent"])
    if env is None:
        env = make_env(cell["env"], **cell.get("env_options", {}))
    config = row.load_config().stored(cell["config"])
    agent = row.load_make()(env, config)
    return agent


def _read(path: Path, agent: Agent[Any, Any, Any], data: Tree) -> Saved:
    arrays, meta = files.read_arrays(path)
    cell = meta.get("cell", {})
    if cell.get("agent", agent.name) != agent.name:
        raise UsageError(
            f"{path} was written by {cell['agent']}, not by {agent.name}: "
            "rlsuite.load(path) alone builds the agent that it belongs to"
        )
    made = {role: cells.Made.from_mapping(m) for role, m in cell.get("inputs", {}).items()}
    template = program.state_shapes(agent, made, data)
    state = None
    if any(name.startswith("state") for name in arrays):
        state = tree.from_arrays(template, arrays, "state", str(path))
    if any(name.startswith("policy") for name in arrays):
        wanted = jax.eval_shape(agent.policy, template)
        policy = tree.from_arrays(wanted, arrays, "policy", str(path))
    else:
        policy = agent.policy(state)
    return Saved(agent, policy, state, meta.get("iteration", 0), cell.get("seed", 0))
