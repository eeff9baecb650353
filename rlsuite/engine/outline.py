"""What is known of data before it is read or recorded, and of data that does not say all.

A dataset of the suite's own takes a minute to record. Everything else of a command is checked
first, by this outline: name, environment and sizes, but no content.
"""

from __future__ import annotations

import dataclasses

from rlsuite import registry
from rlsuite.engine.data import DataRef, resolve


def outline(kind: str, spec: str) -> DataRef:
    """`resolve`, but of a dataset that would have to be recorded only what its row and its
    environment say, with hash "" and no rows.

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
