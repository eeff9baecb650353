"""References to data: what a cell says of the dataset it learns from, and how a worker gets it.

A reference is small and plain: it is part of the cell, of its hash and of the run folder. The data
itself is loaded once by each worker process and given to the program as an argument. What kinds
there are comes from entry points (`rlsuite.registry.DataKind`). Loads no jax.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rlsuite import registry
from rlsuite.errors import UsageError, nearest


def normalized_score(returns: Any, score: tuple[float, float]) -> Any:
    """Returns, a number or an array, on the scale where the pair is 0 and 100."""
    low, high = score
    return 100.0 * (returns - low) / (high - low)


@dataclass(frozen=True)
class DataRef:
    """What a run learns from.

    Attributes:
      kind: of `registry.data_kind`.
      spec: the name or absolute path it is found by.
      hash: of its content; with `kind` all that enters a cell's identity.
      name: what figures and tables call it.
      env: id of the environment it belongs to.
      family: d4rl, minari or own; results of two families never share a table.
      rows: transitions or steps recorded.
      observation, action: shapes; `discrete` where actions are indices.
      score: returns that count as 0 and 100, if there are any.
    """

    kind: str
    spec: str
    hash: str
    name: str
    env: str
    family: str
    rows: int
    observation: tuple[int, ...]
    action: tuple[int, ...]
    discrete: bool = False
    score: tuple[float, float] | None = None

    @property
    def identity(self) -> list[str]:
        """What two cells on the same data share, wherever the data lies."""
        return [self.kind, self.hash]

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> DataRef:
        """From JSON, whose lists become tuples."""
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**plain)


def resolve(kind: str, spec: str) -> DataRef:
    """Find data by name or path and read its header; may record a dataset of the suite's own.

    Raises:
      UsageError: it cannot be found or is damaged.
    """
    return registry.data_kind(kind).load().resolve(spec)


def load(ref: DataRef, env: Any) -> Any:
    """The data as a pytree of arrays, for the environment's spaces.

    Raises:
      UsageError: it is gone, damaged, changed since it was asked for, or does not fit.
    """
    return registry.data_kind(ref.kind).load().load(ref, env)


def shapes(agent: str, env: Any) -> Any:
    """Shapes of what an agent learns from, but for the number of rows; None for most agents."""
    row = registry.agents().get(agent)
    return registry.data_kind(row.data).load().shapes(env) if row and row.data else None


def task(env_id: str) -> str:
    """What an environment is called without simulator prefix and version: 'hopper'."""
    return re.sub(r"^(mujoco|mjx|gym):|-v\d+$", "", env_id).lower()


def check_fit(ref: DataRef, env: registry.EnvRow, options: Mapping[str, Any]) -> None:
    """Refuse data of another environment. With `options` its sizes are known only once it is built.

    Args:
      ref: the data.
      env: row of the environment that it is for.
      options: that the environment is built with.

    Raises:
      UsageError: naming both, and the environment the data belongs to.
    """
    if ref.env and task(ref.env) != task(env.id):
        where = f"dataset {ref.name} was recorded on {ref.env}"
        if not is_here(ref.env):
            raise UsageError(f"{where}, which the suite does not have, and not on {env.id}")
        raise UsageError(f"{where}, not on {env.id}: try --env {ref.env}")
    if options:
        return
    action = ("discrete", ()) if ref.discrete else ("box", ref.action)
    if ref.observation != env.observation.shape or action != (env.action.kind, env.action.shape):
        kind = "Discrete" if ref.discrete else f"Box{ref.action}"
        raise UsageError(
            f"dataset {ref.name} has observations {ref.observation} and actions {kind}, "
            f"{env.id} has {env.observation.shape} and {env.action}: they do not fit"
        )
    judge = getattr(registry.data_kind(ref.kind).load(), "check", None)
    # What is not recorded yet has no values to judge.
    if judge is not None and ref.hash:
        judge(ref, env)


def is_here(env_id: str) -> bool:
    """Whether the suite can build an environment."""
    try:
        registry.env(env_id)
    except UsageError:
        return False
    return True


def no_home(ref: DataRef) -> str:
    """What is said of data whose environment is not known or not here, where none is named."""
    sizes = f"observations {ref.observation} and actions "
    sizes += "that are indices" if ref.discrete else f"{ref.action}"
    row = registry.datasets().get(ref.name)
    if not ref.env and (row is None or row.env):
        return f"dataset {ref.name} does not say its environment: name it by --env"
    env = f"{ref.env}, which" if ref.env else "an environment that"
    return (
        f"dataset {ref.name} was recorded on {env} the suite does not have: `rlsuite dataset "
        f"inspect` reads it; training needs an environment of another package by --env, with "
        f"{sizes}"
    )


def check_need(row: registry.AgentRow, given: bool) -> None:
    """Refuse an offline agent without data, and data for an agent that collects its own.

    Raises:
      UsageError: with a dataset to try, or the agents that learn from one.
    """
    if row.data and not given:
        names = [d.name for d in registry.datasets().values() if d.make]
        hint = f"try --dataset {names[0]}" if names else "give --dataset FILE"
        raise UsageError(f"{row.name} learns from a dataset and none was given: {hint}")
    if given and not row.data:
        offline = [other.name for other in registry.agents().values() if other.data]
        hint = nearest(row.name, offline) if offline else "none that does is installed"
        raise UsageError(f"{row.name} collects its own data, --dataset is not for it: {hint}")


def check_names(tasks: Iterable[tuple[DataRef | None, str]]) -> None:
    """Refuse two datasets of one name in one run folder, or one on two environments: tables tell
    runs apart by the dataset's name.

    Args:
      tasks: what cells learn from and their environment's id.

    Raises:
      UsageError: naming both.
    """
    first: dict[str, tuple[DataRef, str]] = {}
    for ref, env in tasks:
        # What is not recorded yet has no content to tell apart.
        if ref is None or not ref.hash:
            continue
        other, its_env = first.setdefault(ref.name, (ref, env))
        if other.identity != ref.identity:
            raise UsageError(
                f"{other.spec} and {ref.spec} differ but are both called {ref.name}, one table "
                "would count them as one: rename one, or run each into a folder of its own"
            )
        if its_env != env:
            raise UsageError(
                f"dataset {ref.name} on {its_env} and on {env}: one table would count them as "
                "one: run each environment into a folder of its own"
            )


def check_families(refs: Iterable[DataRef | None]) -> None:
    """Refuse to put D4RL's, Minari's and own data into one run folder, hence into one table.

    Raises:
      UsageError: naming a dataset of each.
    """
    check_one_family((ref.family, ref.name) for ref in refs if ref is not None)


def check_one_family(named: Iterable[tuple[str, str]]) -> None:
    """`check_families` of (family, dataset) pairs.

    Raises:
      UsageError: naming a dataset of each.
    """
    first: dict[str, str] = {}
    for family, name in named:
        first.setdefault(family, name)
    if len(first) > 1:
        both = " and ".join(f"{name} ({family})" for family, name in first.items())
        raise UsageError(
            f"{both} cannot share a run folder, their scores do not compare: run "
            "each family into a folder of its own"
        )
