"""What the engine calls for `dataset = "..."`: the reference, and the data itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite import registry
from rlsuite.engine.data import DataRef, task
from rlsuite.envs.datasets import checks, formats, locate
from rlsuite.envs.datasets.recording import Header, Recording, limited
from rlsuite.envs.datasets.scores import reference
from rlsuite.errors import UsageError
from rlsuite.registry import DatasetRow

# D4RL's locomotion tasks; used where nothing says another.
DEFAULT_LIMIT = 1000


def resolve(spec: str) -> DataRef:
    """The reference of a dataset: its header is read and its content hashed.

    Raises:
      UsageError: not found, damaged, of shapes that cannot be.
    """
    path, row = locate.find(spec)
    header = formats.read_header(path)
    env = row.env if row else suite_id(header.env)
    score = header.score or (row.score if row else usual_score(env, family(header, row)))
    return DataRef(
        kind="dataset",
        spec=row.name if row and spec == row.name else str(path),
        hash=formats.fingerprint(path),
        name=row.name if row else _called(path, header),
        env=env,
        family=family(header, row),
        rows=header.rows,
        observation=header.observation,
        action=header.action,
        discrete=header.discrete,
        score=score,
    )


def family(header: Header, row: DatasetRow | None) -> str:
    """d4rl, minari or own: a file that says nothing and is called like no other is one's own."""
    if row is not None:
        return row.family
    return header.family or ("minari" if header.layout == "minari" else "own")


def _called(path: Path, header: Header) -> str:
    """Minari's id, or what the file or folder is called."""
    given = str(header.extra.get("dataset_id", ""))
    # Our own ids are made of the folder's name.
    if given and not given.startswith("rlsuite/"):
        return given
    path = path.parent if path.name == "data" else path
    return path.name.removesuffix(path.suffix) if path.is_file() else path.name


def usual_score(env: str, family: str) -> tuple[float, float] | None:
    """D4RL's references where they mean something: not for Minari's sets, whose environments have
    other rewards (Gymnasium's v5), nor for other simulators."""
    return None if family == "minari" or env.endswith("-v5") else reference(task(env))


def suite_id(env: str) -> str:
    """The suite's id for an environment's Gymnasium id; what is written, where it has none."""
    known = registry.envs()
    return next((name for name in (env, f"mujoco:{env}") if name in known), env)


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
    size = () if discrete else env.action_space.shape
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
