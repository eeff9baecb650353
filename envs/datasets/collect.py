"""Recording new datasets: a policy, several, or none, on any environment of the suite.

Steps are taken in chunks. After each, its rows and the state to go on from are written as one file,
so that a killed recording goes on where it was and gives the same data. At the end the parts become
one Minari folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.contracts import registry
from rlsuite.contracts.config import check_seed
from rlsuite.contracts.errors import UsageError
from rlsuite.envs.datasets import formats, minari_write, origin, parts
from rlsuite.envs.datasets.recording import Header, Recording
from rlsuite.io import files

CHUNK = 250


@dataclass(frozen=True)
class Collection:
    """What to record.

    Attributes:
      env: registry id.
      steps: in all; shared evenly by the policies and their environments, see `total`.
      policies: files of the suite; none: uniformly random actions.
      mode: how policies act: greedy, sample or explore.
      seed: of every draw.
      num_envs: environments stepped together.
      env_options: constructor options of the environment.
    """

    env: str
    steps: int
    policies: Sequence[Path] = ()
    mode: str = "sample"
    seed: int = 0
    num_envs: int = 16
    env_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (("steps", 2), ("num_envs", 1)):
            if getattr(self, name) < least:
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"{flag} must be at least {least}, not {getattr(self, name)}")
        check_seed(self.seed, "--seed")
        if self.mode not in ("greedy", "sample", "explore"):
            raise UsageError(f"--mode must be greedy, sample or explore, not {self.mode!r}")

    @property
    def total(self) -> int:
        """Steps recorded: `steps`, rounded up so that every environment takes as many."""
        each = max(1, len(self.policies)) * self.num_envs
        return -(-self.steps // each) * each

    def identity(self) -> dict[str, Any]:
        """What must be the same for a recording to go on."""
        digests = [hashlib.sha256(Path(p).read_bytes()).hexdigest()[:16] for p in self.policies]
        plain = {k: getattr(self, k) for k in ("env", "steps", "mode", "seed", "num_envs")}
        return {**plain, "policies": digests, "env_options": dict(self.env_options)}


def collect(what: Collection, target: Path, on_steps: Callable[[int], None]) -> int:
    """Record into a Minari folder; a recording of the same name that was cut short goes on.

    Args:
      what: to record.
      target: the folder, which must not exist.
      on_steps: told after every chunk how many steps are done.

    Returns:
      Steps recorded.

    Raises:
      UsageError: the target cannot be (`check_target`), a policy is of other sizes, other settings
        were begun with.
    """
    check_target(target, what.env)
    # Not above: what the target's name says wrong is said before jax is loaded.
    from rlsuite.envs.datasets import rollout

    folder = parts.beside(target)
    parts.begin(folder, what.identity())
    env = registry.make_env(what.env, **what.env_options)
    columns: list[dict[str, np.ndarray]] = []
    count = max(1, len(what.policies))
    share = what.total // (count * what.num_envs)
    for stream in range(count):
        path = what.policies[stream] if what.policies else None
        played = rollout.Stream(env, what, path, stream)
        for rows in _chunks(played, folder, stream, share):
            columns.append(rows)
            on_steps(sum(rows["reward"].size for rows in columns))
    rec = _joined(columns, env, what)
    more = {"author": "rlsuite", "algorithm_name": _named(what), "seed": what.seed}
    minari_write.write(target, rec, env.action_space, **more)
    parts.clear(folder)
    return rec.header.rows


def check_target(target: Path, env: str) -> None:
    """Refuse a target before anything is built for it.

    Raises:
      UsageError: it exists, or is called like a file or like another dataset.
    """
    if target.exists():
        raise UsageError(f"{target} exists already: delete it or choose another name")
    if target.suffix.lower() in formats.ENDINGS:
        folder = target.with_suffix("")
        raise UsageError(
            f"{target} ends in {target.suffix}, and a recording is a folder: record {folder}, then "
            f"`rlsuite dataset convert {folder} {target}`"
        )
    origin.refuse_borrowed_name(target, "own", env)


def _chunks(played: Any, folder: Path, stream: int, share: int) -> Any:
    """The rows of each chunk, [steps, environments, ...]; read where they are there already."""
    for start in range(0, share, CHUNK):
        path = parts.chunk(folder, stream, start)
        if path.exists():
            played.restore(path)
        else:
            played.advance(path, CHUNK)
        rows = played.rows
        yield {name: column[: share - start] for name, column in rows.items()}


def _joined(columns: list[dict[str, np.ndarray]], env: Any, what: Collection) -> Recording:
    """Each environment's steps one after the other, stream after stream."""
    streams = max(1, len(what.policies))
    per = len(columns) // streams
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in columns[0]}
    for stream in range(streams):
        mine = columns[stream * per : (stream + 1) * per]
        for name, column in pieces.items():
            whole = np.concatenate([rows[name] for rows in mine]).swapaxes(0, 1)
            column.extend(whole)
    ends = np.cumsum([len(column) for column in pieces["reward"]]) - 1
    flat = {name: np.concatenate(column) for name, column in pieces.items()}
    truncated = flat["truncated"].copy()
    truncated[ends] = True
    discrete = hasattr(env.action_space, "n")
    header = Header(
        "minari", len(truncated), env.observation_space.shape,
        () if discrete else env.action_space.shape, discrete, what.env,
        origin.usual_score(what.env, "own"), "own",
    )  # fmt: skip
    return Recording(
        header, flat["obs"], flat["action"], flat["reward"], flat["terminated"],
        truncated & ~flat["terminated"], flat["final_obs"], np.ones(len(truncated), bool),
    )  # fmt: skip


def _named(what: Collection) -> str:
    if not what.policies:
        return "random"
    cells = [files.read_meta(path)["cell"] for path in what.policies]
    return ", ".join(sorted({f"{cell['agent']} ({what.mode})" for cell in cells}))
