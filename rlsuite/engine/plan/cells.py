"""The unit of work: one resolved configuration, environment, seed and budget.

A cell is what is hashed, run, checkpointed, skipped and shipped to another machine. This module
loads no jax.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from rlsuite.contracts import registry
from rlsuite.contracts.config import Config
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.refs import DataRef

# Of the way ids are made: part of what is hashed.
SCHEMA = 2
# Places of settings that the user gave no value himself, see `Cell.given`.
UNNAMED = ("preset", "start")


@dataclass(frozen=True)
class Cadence:
    """How often a run speaks. Changes nothing in training.

    Attributes:
      evaluations: how many, evenly spaced over the run, after one of the initial policy.
      episodes: per evaluation.
      logs: rows of training metrics over the run.
      mode: greedy or sample; None: how the agent's own paper evaluates.
    """

    evaluations: int = 20
    episodes: int = 16
    logs: int = 100
    mode: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("evaluations", 0), ("episodes", 1), ("logs", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UsageError(
                    f"{name} must be a whole number of at least {least}, not {value!r}"
                )
        if self.mode not in (None, "greedy", "sample"):
            raise UsageError(f"eval mode must be greedy or sample, not {self.mode!r}")


@dataclass(frozen=True)
class Made:
    """What another run makes and this one is given: a fitted model, a rule.

    Attributes:
      kind: of it, see `registry.AgentRow.makes`.
      cell: the run that makes it.
      own: whether each seed has one of its own, of the same seed; else all share one.
      path: of a file that holds it already; "" where the run folder does.
      content: hash of that file's arrays.
    """

    kind: str
    cell: Cell
    own: bool = False
    path: str = ""
    content: str = ""

    @property
    def identity(self) -> list[str | int]:
        """What two cells that are given the same share, whoever made it and where it lies; of one
        for each seed what these have in common."""
        if self.path:
            return [self.kind, self.content]
        return [self.kind, self.cell.variant, "own" if self.own else self.cell.seed]

    @property
    def key(self) -> str:
        """Which one it is: equal where a loaded one can be used again."""
        return self.content or self.cell.digest

    @property
    def name(self) -> str:
        """In a user's words."""
        return self.path or f"{self.cell.series or self.cell.agent}, seed {self.cell.seed}"

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**vars(self), "cell": self.cell.to_mapping()}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Made:
        """The inverse."""
        return cls(**{**values, "cell": Cell.from_mapping(values["cell"])})


@dataclass(frozen=True)
class Start:
    """The file that a run goes on from, see `rlsuite.engine.plan.starts`.

    Attributes:
      path: of the file.
      content: hash of what is taken of it.
      iterations: that the whole state in it has behind it.
      steps: of the budget that these took.
      whole: whether it is a whole state; else a policy, from which a run starts anew.
    """

    path: str
    content: str
    iterations: int = 0
    steps: int = 0
    whole: bool = True

    @property
    def identity(self) -> list[str | int]:
        """What two cells that go on from the same share, wherever that lies."""
        return ["state" if self.whole else "policy", self.content, self.iterations, self.steps]


@dataclass(frozen=True)
class Cell:
    """One run of one seed.

    Attributes:
      agent, env: registry names.
      env_options: constructor options of the environment.
      config: the agent's resolved settings, all of them.
      seed: of the reporting namespace.
      iterations, total_steps: the executed budget, whole iterations; of a run that goes on from a
        whole state with those that this has behind it.
      cadence: not part of the identity.
      series: what the run is called while it is under way; not part of the identity.
      sweep: the swept settings and their values; not part of the identity.
      data: what an offline agent learns from; its content is part of the identity.
      label: what the user calls the series, "" where it is named by what was run.
      preset: the named settings that the others were laid over, or "".
      given: where settings come from that are not defaults: preset, start, file or flag, by name;
        `total_steps` among them.
      inputs: what other runs make and this one is given, by role.
      env_params: parameters of the environment that are not its defaults, by name.
      makes: of which kind its policy is, where other runs are given that; "" of most.
      start: what it goes on from; None of most, which begin anew.
      stored_id: the id the run was made under, kept by `with_id`; a changed copy has none.
    """

    agent: str
    env: str
    config: dict[str, Any]
    seed: int
    iterations: int
    total_steps: int
    env_options: dict[str, Any] = field(default_factory=dict)
    cadence: Cadence = field(default_factory=Cadence)
    series: str = ""
    sweep: dict[str, Any] = field(default_factory=dict)
    data: DataRef | None = None
    label: str = ""
    preset: str = ""
    given: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, Made] = field(default_factory=dict)
    env_params: dict[str, float] = field(default_factory=dict)
    makes: str = ""
    start: Start | None = None
    stored_id: str = field(default="", init=False, repr=False, compare=False)

    @property
    def id(self) -> str:
        """The name of the run's files: as it was stored when the run was made, whatever the
        agent's defaults are now; of a run not made yet its `digest`."""
        return self.stored_id or self.digest

    def with_id(self, cell_id: str) -> Cell:
        """The same run under the id it was made under."""
        cell = dataclasses.replace(self)
        object.__setattr__(cell, "stored_id", cell_id)
        return cell

    @functools.cached_property
    def digest(self) -> str:
        """Content hash of all that decides the result."""
        return _digest([self.variant, self.seed])

    @functools.cached_property
    def variant(self) -> str:
        """What the seeds of one series on one task share: content hash of agent, environment with
        its options, settings, executed budget and data."""
        return _digest({
            "schema": SCHEMA, "agent": self.agent, "env": self.env,
            "env_options": _plain_numbers(self.env_options), "settings": self.settings,
            "iterations": self.iterations, "data": self.data and self.data.identity, **self._later,
        })  # fmt: skip

    @property
    def _later(self) -> dict[str, Any]:
        """What came to cells after there were runs on disk: nothing where a run has none of it."""
        given = {role: made.identity for role, made in self.inputs.items()}
        later = {"inputs": given, "env_params": _plain_numbers(self.env_params)}
        later["start"] = self.start and self.start.identity
        return {name: value for name, value in later.items() if value}

    @property
    def needs(self) -> tuple[str, ...]:
        """Digests of the runs that must have finished before this one can begin."""
        return tuple(made.cell.digest for made in self.inputs.values() if not made.path)

    @property
    def told(self) -> dict[str, Any]:
        """All that a report says a run was made with, in plain names: the agent's settings as they
        are called, `env.NAME` of the environment, `ROLE.NAME` of what made its inputs."""
        env = {**self.env_options, **self.env_params}
        return {**self.config, **{f"env.{n}": v for n, v in env.items()}, **self.given_with}

    @property
    def given_with(self) -> dict[str, Any]:
        """What made its inputs, and how, as `ROLE.NAME`; what it goes on from."""
        out: dict[str, Any] = {}
        if self.start is not None:
            out["start.file"] = f"{Path(self.start.path).name} ({self.start.content[:8]})"
        for role, made in self.inputs.items():
            if made.path:
                out[f"{role}.file"] = f"{Path(made.path).name} ({made.content[:8]})"
                continue
            out |= {f"{role}.{n}": v for n, v in made.cell.told.items()}
            out |= {f"{role}.agent": made.cell.agent, f"{role}.total_steps": made.cell.total_steps}
            out[f"{role}.seed"] = "own" if made.own else made.cell.seed
        return out

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """What the run is made with, of which the values that go without saying are left out: those
        of settings that came later than runs on disk, or were removed since. Which they are is
        written down with the class, once, and is no matter of its defaults."""
        known = registry.agents().get(self.agent)
        if known is None:
            return self.config
        cls = known.load_config()
        silent = {**cls.removed, **cls.added}
        whole = {**cls.missing(self.config), **self.config}
        return {n: v for n, v in whole.items() if n not in silent or v != silent[n]}

    @functools.cached_property
    def first_id(self) -> str:
        """The id that version 1 of run folders gave this run: it left settings at their default
        out, which are kept in a table since they may change."""
        what = [self.agent, self.env, self.env_options, self.config, self.seed, self.iterations]
        return first_id(what, None if self.data is None else self.data.identity)

    @property
    def named_settings(self) -> frozenset[str]:
        """Settings that the user gave a value, in a file or on the command line."""
        return frozenset(name for name, place in self.given.items() if place not in UNNAMED)

    @property
    def task(self) -> str:
        """What results are listed under: the dataset's name, else the environment's."""
        return self.data.name if self.data else self.env

    @functools.cached_property
    def group(self) -> str:
        """Cells of one group run on one compiled program: they differ in traced fields, in seed and
        in the seed of what they are given."""
        return _digest([self.form, self.cadence.episodes, self.cadence.mode])

    @functools.cached_property
    def form(self) -> str:
        """All that decides the shapes of a run's state and the code that advances it."""
        static = self.load_config().static().signature()
        data = [] if self.data is None else [self.data.identity]
        given = {r: [m.kind, m.cell.form, m.own] for r, m in self.inputs.items()}
        return _digest([self.agent, self.env, self.env_options, static, *data, given])

    def differs(self, other: Cell) -> str:
        """What another cell has otherwise of all that decides the result, "" where nothing."""
        if self.digest == other.digest:
            return ""
        settings = [{f"agent.{n}": v for n, v in cell.settings.items()} for cell in (self, other)]
        mine, theirs = [
            {"agent": c.agent, "env": c.env, "env_options": c.env_options, "seed": c.seed,
             "iterations": c.iterations, "data": c.data and c.data.identity, **c._later, **own}
            for c, own in zip((self, other), settings, strict=True)
        ]  # fmt: skip
        names = [n for n in {**mine, **theirs} if mine.get(n) != theirs.get(n)]
        name = names[0]
        return f"{name} is {mine.get(name)!r} there, not {theirs.get(name)!r}"

    def load_config(self) -> Config:
        """The validated configuration."""
        return registry.agent(self.agent).load_config().stored(self.config)

    @property
    def budget_unit(self) -> str:
        """What the budget counts."""
        return registry.agent(self.agent).load_config().budget_unit

    @functools.cached_property
    def steps_per_iteration(self) -> int:
        """What one iteration takes of the budget."""
        return self.load_config().steps_per_iteration()

    @property
    def begins(self) -> int:
        """The iteration at which it begins: 0, or what the whole state has behind it."""
        return self.start.iterations if self.start is not None and self.start.whole else 0

    @property
    def own_steps(self) -> int:
        """What it takes of the budget itself: all but what the whole state has behind it."""
        return self.total_steps - (self.start.steps if self.start and self.start.whole else 0)

    def step_at(self, iteration: int) -> int:
        """The x-axis: what has been taken of the budget after so many iterations."""
        return self.total_steps - (self.iterations - iteration) * self.steps_per_iteration

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = dataclasses.asdict(dataclasses.replace(self, inputs={}))
        del values["stored_id"]
        values["inputs"] = {role: made.to_mapping() for role, made in self.inputs.items()}
        # Versions that know none of these read what has none of them.
        silent = [n for n in ("inputs", "env_params", "makes", "start") if not values[n]]
        return {**{n: v for n, v in values.items() if n not in silent}, "id": self.id}

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> Cell:
        """The inverse; of runs from before ids were stored too, which get their `first_id`."""
        plain = {name: value for name, value in values.items() if name != "id"}
        data = plain.get("data")
        cell = cls(**{
            **plain,
            "cadence": Cadence(**plain["cadence"]),
            "data": None if data is None else DataRef.from_mapping(data),
            "label": plain.get("label", first_label(values)),
            "inputs": {r: Made.from_mapping(m) for r, m in plain.get("inputs", {}).items()},
            "start": Start(**plain["start"]) if plain.get("start") else None,
        })  # fmt: skip
        return cell.with_id(values.get("id") or cell.first_id)


def first_label(values: Mapping[str, Any]) -> str:
    """What the user called a series whose name still held the point of its sweep."""
    name = str(values["series"])
    # Files on disk have them in the order of the alphabet, the name as they were asked for.
    points = [f" {setting}={value}" for setting, value in values["sweep"].items()]
    while last := next((point for point in points if name.endswith(point)), ""):
        name = name.removesuffix(last)
    return "" if name == values["agent"] else name


def first_id(what: Sequence[Any], data: Sequence[str] | None) -> str:
    """`Cell.first_id`, of the parts.

    Args:
      what: agent, environment, its options, settings, seed and iterations, in this order.
      data: kind and content of what is learned from, if there is any.
    """
    agent, env, options, config, seed, iterations = what
    defaults = _first_defaults(agent)
    config = {n: v for n, v in config.items() if n not in defaults or v != defaults[n]}
    # Nothing without data, as such runs had ids before there was any.
    return _digest([agent, env, options, config, seed, iterations, *([list(data)] if data else [])])


@functools.cache
def _first_defaults(agent: str) -> Mapping[str, Any]:
    """Defaults in the time of version 1. Of agents that are not the suite's own there are only
    those of today."""
    kept = resources.files("rlsuite.engine.plan").joinpath("first_defaults.toml").read_bytes()
    row = registry.agents().get(agent)
    cls = Config if row is None else row.load_config()
    own = {**cls.removed, **cls.missing({})}
    return {**own, **tomllib.loads(kept.decode()).get(agent, {})}


def _plain_numbers(value: Any) -> Any:
    """100.0 as 100: the same option, written in two ways."""
    if isinstance(value, dict):
        return {name: _plain_numbers(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_numbers(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
