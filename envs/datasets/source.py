"""What the engine calls for `dataset = "..."`: the reference, and the data itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.contracts import box, registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.refs import DataRef
from rlsuite.contracts.registry import DatasetRow, EnvRow
from rlsuite.envs.datasets import checks, formats, locate, origin
from rlsuite.envs.datasets.recording import Header, Recording, limited

# Asked for by the engine where data says no environment, see `registry.DataKind`.
usual_score = origin.usual_score

# D4RL's locomotion tasks; used where nothing says another.
DEFAULT_LIMIT = 1000


# (path, content, environment) of what was found fit to learn from: a grid names a file many times.
_SOUND: set[tuple[str, str, str]] = set()


def resolve(spec: str) -> DataRef:
    """The reference of a dataset that can be learned from: read, judged, and its content hashed.

    All that `load` would refuse is refused here, but for what depends on the environment as built:
    a grid must not stop in the night, when its turn comes to this dataset.

    Raises:
      UsageError: not found, damaged, of shapes that cannot be, with values no agent should see.
    """
    path, row = locate.find(spec)
    content = formats.fingerprint(path)
    known = any(found[:2] == (str(path), content) for found in _SOUND)
    rec = None if known else formats.read(path)
    ref = _reference(spec, path, row, rec.header if rec else formats.read_header(path), content)
    _judge(path, content, env_row(ref), rec)
    return ref


def check(ref: DataRef, env: EnvRow) -> None:
    """Refuse data that `load` would refuse for an environment that was named: `resolve` has judged
    it for the one that it says itself.

    Raises:
      UsageError: actions outside the environment's box.
    """
    _judge(locate.find(ref.spec)[0], ref.hash, env)


def _judge(path: Path, content: str, env: EnvRow | None, rec: Recording | None = None) -> None:
    if (found := (str(path), content, env.id if env else "")) in _SOUND:
        return
    limit = (env.time_limit if env else None) or DEFAULT_LIMIT
    checks.refuse_unfit(path, timed(rec or formats.read(path), limit), env)
    _SOUND.add(found)


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
    rec = dataclasses.replace(as_seen(path, rec, env.observation_space), action=action)
    data = view.dataset(rec, env.time_limit or DEFAULT_LIMIT)
    return jax.tree.map(jnp.asarray, data)


def as_seen(path: Path, rec: Recording, space: Any) -> Recording:
    """With observations of the environment's own type: images are bytes again, which networks
    divide by 255 when they learn as when they act.

    Args:
      path: for the message.
      rec: its observations float32 [n, ...].
      space: the environment's observations.

    Raises:
      UsageError: they are no bytes.
    """
    if not is_image(space):
        return rec
    columns: dict[str, Any] = {"obs": rec.obs, "next_obs": rec.next_obs}
    for name, column in columns.items():
        if column is not None:
            columns[name] = column.astype(np.uint8)
            if (columns[name] != column).any():
                raise UsageError(
                    f"{path} has observations that are no whole numbers of 0 to 255, and the "
                    "environment's are images of such"
                )
    return dataclasses.replace(rec, **columns)


def is_image(space: Any) -> bool:
    """Whether observations are bytes on two axes or more."""
    return space.dtype == np.uint8 and len(space.shape) > 1


def shapes(env: Any) -> Any:
    """Shapes and types of what `load` gives for an environment, of two rows: enough to read a
    policy where the data is not."""
    import jax

    from rlsuite.envs.datasets import view

    n, discrete = 2, hasattr(env.action_space, "n")
    size = () if discrete else (box.size(env.action_space),)
    action = np.zeros((n, *size), np.int32 if discrete else np.float32)
    seen = np.uint8 if is_image(env.observation_space) else np.float32
    obs, zeros = np.zeros((n, *env.observation_space.shape), seen), np.zeros(n, np.float32)
    said = Header("npz", n, env.observation_space.shape, size, discrete)
    rec = Recording(said, obs, action, zeros, zeros > 0, zeros > 0, obs, zeros == 0)
    return jax.eval_shape(lambda: jax.tree.map(jax.numpy.asarray, view.dataset(rec, n)))


def timed(rec: Recording, limit: int) -> Recording:
    """With time limits counted out where the file has no `timeouts`."""
    if rec.timed:
        return rec
    return dataclasses.replace(rec, truncated=np.asarray(limited(rec, limit)), timed=True)
