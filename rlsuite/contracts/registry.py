"""Light rows for agents, environments and experiments: all that argument checks need, without jax.

The ground floor never imports an agent or an environment by name; rows come from entry points, so
another package's agents appear in `rlsuite list agents` as soon as it is installed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import tomllib
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from rlsuite.contracts.config import Config
from rlsuite.contracts.errors import UsageError, nearest

# What environments were built with, by their address.
_OPTIONS: dict[int, dict[str, Any]] = {}


@dataclass(frozen=True)
class Space:
    """A space in a few plain numbers: `n` numbers from `start` on, or `shape` and bounds of a box.
    `bytes` are of an entry as agents see it: 1 in images."""

    kind: Literal["discrete", "box"]
    shape: tuple[int, ...] = ()
    n: int = 0
    low: float = float("-inf")
    high: float = float("inf")
    start: int = 0
    bytes: int = 4

    def __str__(self) -> str:
        if self.kind == "discrete":
            return f"Discrete({self.n})"
        return f"Box{self.shape}"


@dataclass(frozen=True)
class Parameter:
    """A number in an environment's `default_params` that runs may have otherwise (a mass, a level):
    the field's name, its usual value and the values it may have."""

    name: str
    usual: float
    low: float = float("-inf")
    high: float = float("inf")


@dataclass(frozen=True)
class EnvRow:
    """One environment: `target` is 'module:function', called with (id, **options).

    `render`, where there is one, is the 'module:function' that draws an episode to a file. `params`
    are what `env_params` may set: unlike options they are inputs of the compiled program.
    """

    id: str
    target: str
    observation: Space
    action: Space
    time_limit: int | None
    family: str
    options: tuple[str, ...] = ()
    resumable: bool = True
    render: str = ""
    params: tuple[Parameter, ...] = ()

    def load_render(self) -> Any:
        """The function that draws an episode.

        Raises:
          UsageError: nothing draws this environment.
        """
        if not self.render:
            raise UsageError(f"{self.id} cannot be drawn: no renderer is known for it")
        module, _, attribute = self.render.partition(":")
        return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True)
class EnvFamily:
    """A scheme such as `gym:` whose members are looked up when asked for.

    `target` is 'module:function' and gives an `EnvRow` for an id, or raises `UsageError`.
    """

    prefix: str
    target: str


@dataclass(frozen=True)
class Input:
    """What an agent is given that another run makes: `ctx.inputs[role]`, of a kind that some agent
    `makes`; `maker` is the agent that makes it where the user names none."""

    role: str
    kind: str
    maker: str = ""


@dataclass(frozen=True)
class AgentRow:
    """One agent: its configuration class, its factory and its presets file.

    Attributes:
      data: the kind of data it learns from ("dataset"), or "" where it collects its own.
      inputs: what it is given that other runs make.
      makes: of which kind its policy is, where that is what others are given (a fitted model, a
        rule); its runs are then not evaluated.
      budget: total steps of a run that makes an input, where neither user nor preset says.
    """

    name: str
    module: str
    summary: str
    actions: tuple[Literal["discrete", "box"], ...] = ("discrete", "box")
    config: str = "config:Config"
    make: str = "agent:make"
    presets: str = "presets.toml"
    data: str = ""
    inputs: tuple[Input, ...] = ()
    makes: str = ""
    budget: int = 0

    def load_config(self) -> type[Config]:
        """The configuration class; loads no jax."""
        return _load(self.module, self.config)

    def load_make(self) -> Any:
        """The factory `make(env, config)`."""
        return _load(self.module, self.make)

    def load_presets(self) -> dict[str, dict[str, Any]]:
        """Named presets: what each sets, and its per-environment tables; none without the file.

        Raises:
          UsageError: the agent's package cannot be imported, or the file is no TOML.
        """
        return _presets(self.module, self.presets)


@dataclass(frozen=True)
class DatasetRow:
    """One dataset known by name.

    Attributes:
      name: what users say.
      env: id of the environment it belongs to; "" where the suite has none.
      family: d4rl, minari or own.
      summary: what it is.
      files: what it is called in the dataset folder, the first that exists is taken.
      make: 'module:function' that records it and gives its path, or "".
      kept: 'module:function' that gives the path it is recorded to, whether it is there or not.
      score: returns that count as 0 and 100.
    """

    name: str
    env: str
    family: str
    summary: str
    files: tuple[str, ...] = ()
    make: str = ""
    kept: str = ""
    score: tuple[float, float] | None = None

    def is_there(self) -> bool:
        """Whether nothing has to be recorded first."""
        if not (self.make and self.kept):
            return not self.make
        module, _, attribute = self.kept.partition(":")
        return getattr(importlib.import_module(module), attribute)().exists()


@dataclass(frozen=True)
class DataKind:
    """A kind of data that cells refer to.

    `module` has `resolve(spec)`, `load(ref, env)` and `shapes(env)`, and may have
    `usual_score(env_id, family)` and `check(ref, env_row)`; `tools` is what the command line does
    with such data.
    """

    kind: str
    module: str
    tools: str = ""

    def load(self) -> Any:
        """The module."""
        return importlib.import_module(self.module)


@dataclass(frozen=True)
class ExperimentRow:
    """One paper or study: a package with grid.toml and targets.csv (published numbers)."""

    name: str
    package: str
    summary: str

    def grid(self) -> Path:
        """Its grid file, in the checkout or in the installed package."""
        return Path(str(resources.files(self.package).joinpath("grid.toml")))


Row = EnvRow | EnvFamily | AgentRow | DatasetRow | DataKind | ExperimentRow
GROUPS = ("agents", "envs", "datasets", "experiments")


def _load(module: str, target: str) -> Any:
    name, _, attribute = target.partition(":")
    return getattr(importlib.import_module(f"{module}.{name}"), attribute)


@functools.cache
def _presets(module: str, name: str) -> dict[str, dict[str, Any]]:
    try:
        file = resources.files(module).joinpath(name)
        return tomllib.loads(file.read_text(encoding="utf-8-sig")) if file.is_file() else {}
    except (ImportError, ValueError) as error:
        # What TOML cannot read is a ValueError.
        raise UsageError(f"the presets of {module} cannot be read: {_told(error)}") from None


def _told(error: Exception) -> str:
    """An error in one line."""
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@functools.cache
def _entries(group: str) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The rows of a group of entry points, and a line for each that is left out."""
    found = importlib.metadata.entry_points(group=f"rlsuite.{group}")
    rows: dict[tuple[type, str], Row] = {}
    left_out: list[str] = []
    # The suite's own first: nobody else's row takes its place.
    for entry in sorted(found, key=lambda e: (e.dist is None or e.dist.name != "rlsuite", e.name)):
        try:
            new: list[Row] = [*entry.load()]
            keyed = {(type(row), row_name(row)): row for row in new}
        except Exception as error:
            left_out.append(f"plug-in {entry.value} is left out: {_told(error)}")
            continue
        taken = [name for kind, name in keyed if (kind, name) in rows]
        left_out += [f"{name!r} of plug-in {entry.value} is left out: taken" for name in taken]
        rows = {**keyed, **rows}
    return tuple(rows.values()), tuple(left_out)


def row_name(row: Row) -> str:
    """What a row is found by.

    Raises:
      TypeError: it is none.
    """
    match row:
        case EnvRow():
            return row.id
        case EnvFamily():
            return row.prefix
        case DataKind():
            return row.kind
        case AgentRow() | DatasetRow() | ExperimentRow():
            return row.name
        case _:
            raise TypeError(f"{row!r} is no row")


def left_out() -> list[str]:
    """A line for each plug-in, or row of one, that cannot be used; the others can."""
    return [line for group in GROUPS for line in _entries(group)[1]]


def _rows(group: str) -> tuple[Row, ...]:
    return _entries(group)[0]


def _unknown(what: str, name: str, known: Iterable[str], group: str) -> UsageError:
    """That there is no such thing, the nearest that there is, and plug-ins that may have had it."""
    lines = [f"no {what} {name!r}: {nearest(name, known)}", *_entries(group)[1]]
    return UsageError("; ".join(lines))


def agents() -> dict[str, AgentRow]:
    """Every installed agent by name."""
    return {row.name: row for row in _rows("agents") if isinstance(row, AgentRow)}


def envs() -> dict[str, EnvRow]:
    """Every listed environment by id (schemes such as `gym:` are not enumerated)."""
    return {row.id: row for row in _rows("envs") if isinstance(row, EnvRow)}


def experiments() -> dict[str, ExperimentRow]:
    """Every installed experiment by name."""
    return {row.name: row for row in _rows("experiments") if isinstance(row, ExperimentRow)}


def datasets() -> dict[str, DatasetRow]:
    """Every dataset known by name (files and folders need no name)."""
    return {row.name: row for row in _rows("datasets") if isinstance(row, DatasetRow)}


def data_kind(kind: str) -> DataKind:
    """How to find and load a kind of data, or a `UsageError` with the nearest kind."""
    known = {row.kind: row for row in _rows("datasets") if isinstance(row, DataKind)}
    if kind not in known:
        raise _unknown("kind of data", kind, known, "datasets")
    return known[kind]


def agent(name: str) -> AgentRow:
    """The agent's row, or a `UsageError` with the nearest name."""
    known = agents()
    if name not in known:
        raise _unknown("agent", name, known, "agents")
    return known[name]


def env(env_id: str, options: Mapping[str, Any] | None = None) -> EnvRow:
    """The environment's row, or a `UsageError` with the nearest id. Of a family's member it may
    depend on the `options` of the constructor."""
    known = envs()
    if env_id in known:
        return known[env_id]
    for row in _rows("envs"):
        if isinstance(row, EnvFamily) and env_id.startswith(row.prefix):
            module, _, attribute = row.target.partition(":")
            return getattr(importlib.import_module(module), attribute)(env_id, **(options or {}))
    raise _unknown("environment", env_id, known, "envs")


def make_env(env_id: str, **options: Any) -> Any:
    """Build an environment by id.

    Raises:
      UsageError: an unknown id or option.
    """
    row = env(env_id, options)
    check_options(row, options)
    module, _, attribute = row.target.partition(":")
    made = getattr(importlib.import_module(module), attribute)(env_id, **options)
    # What cannot be referred to weakly is not remembered: its address may be another's tomorrow.
    with contextlib.suppress(TypeError):
        weakref.finalize(made, _OPTIONS.pop, id(made), None)
        _OPTIONS[id(made)] = options
    return made


def was_made(env: object) -> bool:
    """Whether `make_env` built it: its id and `options_of` it say how to build another."""
    return id(env) in _OPTIONS


def options_of(env: object) -> dict[str, Any]:
    """What `make_env` was given besides the id, as long as the environment lives."""
    return dict(_OPTIONS.get(id(env), {}))


def check_options(row: EnvRow, options: Iterable[str]) -> None:
    """Refuse what an environment is not built with.

    Raises:
      UsageError: an unknown option, with the nearest.
    """
    for name in options:
        if name not in row.options:
            known = nearest(name, row.options) if row.options else "it has none"
            raise UsageError(f"{row.id} has no option {name!r}: {known}")


def check_params(row: EnvRow, given: Mapping[str, Any]) -> None:
    """Refuse parameters that an environment does not have, or not with this value.

    Raises:
      UsageError: naming the nearest, or the bounds.
    """
    known = {param.name: param for param in row.params}
    for name, value in given.items():
        if name not in known:
            hint = nearest(name, known) if known else "it has none"
            raise UsageError(f"{row.id} has no parameter {name!r}: {hint}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{row.id}: parameter {name} must be a number, not {value!r}")
        low, high = known[name].low, known[name].high
        if not low <= value <= high:
            raise UsageError(f"{row.id}: {name} must be from {low:g} to {high:g}, not {value:g}")


def resolve_preset(
    row: AgentRow, name: str | None, env_id: str, dataset: str = ""
) -> tuple[dict[str, Any], dict]:
    """The settings of a preset for an environment, or for a dataset.

    A preset is a table of settings; keys `total_steps`, `env` and `dataset` (sub-tables per
    environment id and dataset name, laid over the rest in this order) are its own. Without a name,
    the defaults hold.

    Args:
      row: of the agent.
      name: of the preset; None for none.
      env_id: looked up in the sub-table `env`.
      dataset: looked up in the sub-table `dataset`; "" for none.

    Returns:
      (agent settings, run settings such as total_steps).

    Raises:
      UsageError: an unknown preset, or one that says nothing of this environment though it is
        restricted to some.
    """
    if name is None:
        return {}, {}
    presets = row.load_presets()
    if name not in presets:
        raise UsageError(f"{row.name} has no preset {name!r}: {nearest(name, presets)}")
    table = dict(presets[name])
    per_env, per_dataset = table.pop("env", {}), table.pop("dataset", {})
    only = table.pop("only_listed", False)
    table.pop("source", None)
    if only and env_id not in per_env and dataset not in per_dataset:
        hint = nearest(env_id, per_env)
        if dataset:
            listed = [*per_env, *per_dataset]
            more = ", ..." if len(listed) > 8 else ""
            hint = f"it has those of {', '.join(listed[:8])}{more}"
        asked = f"{dataset} on {env_id}" if dataset else env_id
        raise UsageError(f"preset {name!r} has no set for {asked}: {hint}")
    for laid_over in (per_env.get(env_id, {}), per_dataset.get(dataset, {})):
        table.update({k: v for k, v in laid_over.items() if k != "source"})
    run = {k: table.pop(k) for k in ("total_steps",) if k in table}
    return table, run
