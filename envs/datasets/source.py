"""What the engine calls for `dataset = "..."`: the reference, and the data itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite import box, registry
from rlsuite.engine.data import DataRef
from rlsuite.envs.datasets import checks, formats, locate, origin
from rlsuite.envs.datasets.recording import Header, Recording, limited
from rlsuite.errors import UsageError
from rlsuite.registry import DatasetRow, EnvRow

# Asked for by the engine where data says no environment, see `registry.DataKind`.
usual_score = origin.usual_score

# D4RL's locomotion tasks; used where nothing says another.
DEFAULT_LIMIT = 1000


# (path, content) of what was found fit to learn from: a grid names one file many times.
_SOUND: set[tuple[str, str]] = set()


def resolve(spec: str) -> DataRef:
    """The reference of a dataset that can be learned from: read, judged, and its content hashed.

    All that `load` would refuse is refused here, but for what depends on the environment as built:
    a grid must not stop in the night, when its turn comes to this dataset.

    Raises:
      UsageError: not found, damaged, of shapes that cannot be, with values no agent should see.
    """
    path, row = locate.find(spec)
    content = formats.fingerprint(path)
    if (str(path), content) in _SOUND:
        return _reference(spec, path, row, formats.read_header(path), content)
    rec = formats.read(path)
    ref = _reference(spec, path, row, rec.header, content)
    env = env_row(ref)
    checks.refuse_unfit(path, timed(rec, (env.time_limit if env else None) or DEFAULT_LIMIT), env)
    _SOUND.add((str(path), content))
    return ref


def env_row(ref: DataRef) -> EnvRow | None:
    """The row of the environment that a dataset says, where the suite can build it."""
    try:
        return registry.env(ref.env)
    except UsageError:
        return None


def refer(spec: str) -> DataRef:
    """The reference of a dataset whatever its values are; reads no array where it can.

    Raises:
      UsageError: not found, damaged, of shapes that cannot be.
    """
    path, row = locate.find(spec)
    return _reference(spec, path, row, formats.read_header(path), formats.fingerprint(path))


def opened(spec: str) -> tuple[DataRef, Recording]:
    """`refer` and the recording, read once.

    Raises:
      UsageError: as `refer`.
    """
    path, row = locate.find(spec)
    rec = formats.read(path)
    return _reference(spec, path, row, rec.header, formats.fingerprint(path)), rec


def _reference(
    spec: str, path: Path, row: DatasetRow | None, header: Header, content: str
) -> DataRef:
    family, env = origin.family(path, header, row), origin.environment(path, header, row)
    return DataRef(
        kind="dataset",
        spec=row.name if row and spec == row.name else str(path),
        hash=content,
        name=row.name if row else origin.called(path, header),
        env=env,
        family=family,
        rows=header.rows,
        observation=header.observation,
        action=header.action,
        discrete=header.discrete,
        score=header.score or (row.score if row else origin.usual_score(env, family)),
    )


def load(ref: DataRef, env: Any) -> Any:
    """The transitions as a `Dataset` of jax arrays, actions in [-1, 1] of the environment's box.

    Args:
      ref: from `resolve`.
      env: built; its spaces count.

    Raises:
      UsageError: changed since `ref` was made, values that are no numbers, actions outside.
    """
    import jax
    import jax.numpy as jnp

    # Not above: references are made before jax is loaded.
    from rlsuite.envs.datasets import view

    path, _ = locate.find(ref.spec)
    if (now := formats.fingerprint(path)) != ref.hash:
        raise UsageError(
            f"dataset {ref.name} changed: its content was {ref.hash} when the run was asked for "
            f"and is {now} now: restore it, or start a new --out"
        )
    rec = timed(formats.read(path), env.time_limit or DEFAULT_LIMIT)
    checks.refuse_other_sizes(path, rec, env)
    checks.refuse_bad_values(path, rec)
    checks.refuse_nothing(path, rec)
    action = checks.scaled_actions(path, rec, env.action_space)
    rec = dataclasses.replace(rec, action=action)
    data = view.dataset(rec, env.time_limit or DEFAULT_LIMIT)
    return jax.tree.map(jnp.asarray, data)


def shapes(env: Any) -> Any:
    """Shapes and types of what `load` gives for an environment, of two rows: enough to read a
    policy where the data is not."""
    import jax

    from rlsuite.envs.datasets import view

    n, discrete = 2, hasattr(env.action_space, "n")
    size = () if discrete else (box.size(env.action_space),)
    action = np.zeros((n, *size), np.int32 if discrete else np.float32)
    obs, zeros = np.zeros((n, *env.observation_space.shape), np.float32), np.zeros(n, np.float32)
    said = Header("npz", n, env.observation_space.shape, size, discrete)
    rec = Recording(said, obs, action, zeros, zeros > 0, zeros > 0, obs, zeros == 0)
    return jax.eval_shape(lambda: jax.tree.map(jax.numpy.asarray, view.dataset(rec, n)))


def timed(rec: Recording, limit: int) -> Recording:
    """With time limits counted out where the file has no `timeouts`."""
    if rec.timed:
        return rec
    return dataclasses.replace(rec, truncated=np.asarray(limited(rec, limit)), timed=True)
