"""References to data: what a cell says of the dataset it learns from, and how a worker gets it.

A reference is small and plain: it is part of the cell, of its hash and of the run folder. The data
itself is loaded once by each worker process and given to the program as an argument. What kinds
there are comes from entry points (`rlsuite.contracts.registry.DataKind`). Loads no jax.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from rlsuite.contracts import registry


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


# --- of data that is not there yet, or does not say all ------------------------------------------


def outline(kind: str, spec: str) -> DataRef:
    """`resolve`, but of a dataset that would have to be recorded only what its row and its
    environment say, with hash "" and no rows.

    Args:
      ref: the data.
      env: row of the environment that it is for.
      options: that the environment is built with.

    Raises:
      UsageError: it cannot be found or is damaged.
    """
    row = registry.datasets().get(spec)
    if row is None or row.is_there():
        return resolve(kind, spec)
    env = registry.env(row.env)
    return DataRef(
        kind=kind, spec=spec, hash="", name=row.name, env=row.env, family=row.family, rows=0,
        observation=env.observation.shape, action=env.action.shape,
        discrete=env.action.kind == "discrete", score=row.score,
    )  # fmt: skip


def at_home(ref: DataRef, env_id: str) -> DataRef:
    """The reference; where the data names no environment, as belonging to the one it is used on,
    scored as usual there."""
    if ref.env:
        return ref
    usual = getattr(registry.data_kind(ref.kind).load(), "usual_score", None)
    score = ref.score or (usual(env_id, ref.family) if usual else None)
    return dataclasses.replace(ref, env=env_id, score=score)
