"""The unit of work: one resolved configuration, environment, seed and budget.

A cell is what is hashed, run, checkpointed, skipped and shipped to another machine. This module
loads no jax.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from rlsuite import registry
from rlsuite.config import Config, FieldInfo, fields
from rlsuite.engine.data import DataRef
from rlsuite.errors import UsageError, nearest


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
class Cell:
    """One run of one seed.

    Attributes:
      agent, env: registry names.
      env_options: constructor options of the environment.
      config: the agent's resolved settings, all of them.
      seed: of the reporting namespace.
      iterations, total_steps: the executed budget, whole iterations.
      cadence: not part of the identity.
      series: the label curves are grouped under; not part of the identity.
      sweep: the swept settings and their values; not part of the identity.
      data: what an offline agent learns from; its content is part of the identity.
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

    @functools.cached_property
    def id(self) -> str:
        """Content hash of what decides the result.

        Settings at their default are left out, so that a new setting does not make finished runs
        unknown; the store refuses a folder whose defaults were other ones. So are those that were
        removed since.
        """
        cls = registry.agent(self.agent).load_config()
        defaults = {**cls.removed, **{n: _plain(info) for n, info in fields(cls).items()}}
        config = {n: v for n, v in self.config.items() if n not in defaults or v != defaults[n]}
        what = [self.agent, self.env, self.env_options, config, self.seed, self.iterations]
        return _digest([*what, *self._data])

    @property
    def task(self) -> str:
        """What results are listed under: the dataset's name, else the environment's."""
        return self.data.name if self.data else self.env

    @property
    def _data(self) -> list[list[str]]:
        """Nothing without data, so that such cells keep the ids they always had."""
        return [] if self.data is None else [self.data.identity]

    @functools.cached_property
    def group(self) -> str:
        """Cells of one group run on one compiled program: they differ in traced fields and seed."""
        static = {
            name: self.config.get(name)
            for name, info in fields(registry.agent(self.agent).load_config()).items()
            if not info.traced
        }
        cadence = [self.cadence.episodes, self.cadence.mode]
        return _digest([self.agent, self.env, self.env_options, static, cadence, *self._data])

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

    def step_at(self, iteration: int) -> int:
        """The x-axis: what has been taken of the budget after so many iterations."""
        return self.total_steps - (self.iterations - iteration) * self.steps_per_iteration

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> Cell:
        """The inverse."""
        data = values.get("data")
        return cls(**{
            **values,
            "cadence": Cadence(**values["cadence"]),
            "data": None if data is None else DataRef.from_mapping(data),
        })  # fmt: skip


def _plain(info: FieldInfo) -> Any:
    return list(info.default) if isinstance(info.default, tuple) else info.default


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def executed_budget(config: Config, total_steps: int, exact: bool = False) -> tuple[int, int]:
    """Round a budget down to whole iterations, after what fills the replay.

    Returns:
      (iterations, executed environment steps).

    Raises:
      UsageError: the budget is below one iteration, or does not divide though `exact`.
    """
    if not isinstance(total_steps, int) or isinstance(total_steps, bool):
        raise UsageError(f"total-steps must be a whole number, not {total_steps!r}")
    per, prefill = config.steps_per_iteration(), config.prefill_steps()
    if total_steps < prefill + per:
        before = f" after {prefill} steps that fill the replay" if prefill else ""
        raise UsageError(
            f"total-steps {total_steps} is below one iteration of {per} steps{before}: "
            f"try {prefill + per} or more"
        )
    if exact and (total_steps - prefill) % per:
        below = total_steps - (total_steps - prefill) % per
        raise UsageError(
            f"total-steps {total_steps} is no multiple of an iteration's {per}: "
            f"try {below} or {below + per}"
        )
    if total_steps >= 2**31:
        raise UsageError(f"total-steps {total_steps} cannot be counted in 32 bits: below {2**31}")
    iterations = (total_steps - prefill) // per
    return iterations, prefill + iterations * per


def check_actions(agent: registry.AgentRow, env: registry.EnvRow) -> None:
    """Refuse an agent on a kind of action it has no policy for.

    Raises:
      UsageError: naming the environments' action space and what the agent takes.
    """
    if env.action.kind not in agent.actions:
        fitting = [row.id for row in registry.envs().values() if row.action.kind in agent.actions]
        raise UsageError(
            f"{agent.name} needs {' or '.join(agent.actions)} actions but {env.id} has "
            f"{env.action}: {nearest(env.id, fitting)}"
        )
