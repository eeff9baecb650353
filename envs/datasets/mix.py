"""One dataset out of several, or of parts of them: medium-expert, random with a little expert."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from rlsuite.contracts import registry
from rlsuite.contracts.config import check_seed
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.refs import DataRef, task
from rlsuite.envs.datasets import formats, locate, origin
from rlsuite.envs.datasets.convert import write
from rlsuite.envs.datasets.recording import Recording, completed, episodes
from rlsuite.envs.datasets.source import DEFAULT_LIMIT, refer, timed

_COLUMNS = (
    "obs",
    "action",
    "reward",
    "terminated",
    "truncated",
    "next_obs",
    "next_known",
    "midway",
)


class Part(NamedTuple):
    """A dataset by name or path, and the share of it that is taken."""

    spec: str
    share: float = 1.0


class Taken(NamedTuple):
    """What was taken of a part."""

    source: DataRef
    rows: int


def parse(text: str) -> Part:
    """'NAME' or 'NAME:SHARE'.

    Raises:
      UsageError: a share outside (0, 1].
    """
    spec, colon, share = text.rpartition(":")
    if not colon or Path(text).exists():
        return Part(text)
    try:
        value = float(share)
    except ValueError:
        return Part(text)
    if not 0 < value <= 1:
        raise UsageError(f"the share of {spec} must be above 0 and at most 1, not {share}")
    return Part(spec, value)


def mix(parts: Sequence[Part], target: Path, seed: int = 0) -> list[Taken]:
    """Write whole episodes of several datasets one after the other.

    Args:
      parts: of one environment and family. A share takes episodes in random order until it has
        that share of the steps, and leaves them in the order they were recorded in.
      target: must not exist; its ending says the layout, see `convert`.
      seed: of that order.

    Raises:
      UsageError: nothing to mix, datasets that do not belong together, `target` exists.
    """
    layout = formats.layout_for(target)
    if target.exists():
        raise UsageError(f"{target} exists already: delete it or choose another name")
    check_seed(seed, "--seed")
    if not parts:
        raise UsageError("nothing to mix: name at least one dataset")
    refs = [refer(part.spec) for part in parts]
    _check_together(refs)
    origin.refuse_borrowed_name(target, refs[0].family, refs[0].env)
    row = registry.envs().get(refs[0].env)
    limit = (row.time_limit if row else None) or DEFAULT_LIMIT
    rng = np.random.default_rng(seed)
    taken = [_take(ref, part.share, limit, rng) for ref, part in zip(refs, parts, strict=True)]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(rec, name) for rec in taken]) for name in _COLUMNS
    }
    header = dataclasses.replace(
        taken[0].header, rows=len(joined["reward"]), env=refs[0].env, family=refs[0].family,
        score=refs[0].score, extra={},
    )  # fmt: skip
    write(layout, target, Recording(header, **joined), row)
    return [Taken(ref, rec.header.rows) for ref, rec in zip(refs, taken, strict=True)]


def _check_together(refs: Sequence[DataRef]) -> None:
    first = refs[0]
    for ref in refs[1:]:
        if ref.family != first.family:
            raise UsageError(
                f"{ref.name} is {ref.family} data and {first.name} {first.family}, whose scores do "
                "not compare: they do not mix"
            )
        if task(ref.env) != task(first.env):
            raise UsageError(
                f"{ref.name} was recorded on {ref.env or 'an unnamed environment'}, "
                f"{first.name} on {first.env or 'an unnamed one'}: they do not mix"
            )
        same: list[tuple[str, Any, Any]] = [
            ("observations", ref.observation, first.observation),
            ("actions", (ref.action, ref.discrete), (first.action, first.discrete)),
            ("reference returns", ref.score, first.score),
        ]
        for what, a, b in same:
            if a != b:
                raise UsageError(f"{ref.name} and {first.name} differ in {what}: {a} and {b}")


def _take(ref: DataRef, share: float, limit: int, rng: np.random.Generator) -> Recording:
    path, _ = locate.find(ref.spec)
    rec = completed(timed(formats.read(path), limit))
    starts, stops = episodes(rec)
    # Another recording follows: what the file's end cut was not the end of the world.
    cut = rec.truncated.copy()
    cut[stops - 1] |= ~rec.terminated[stops - 1]
    midway = np.zeros(len(cut), bool) if rec.midway is None else rec.midway
    rec = dataclasses.replace(rec, truncated=cut, midway=midway)
    if share == 1.0:
        return rec
    rows = _rows(starts, stops, _chosen(stops - starts, share, rng))
    header = dataclasses.replace(rec.header, rows=len(rows))
    columns: dict[str, Any] = {name: getattr(rec, name)[rows] for name in _COLUMNS}
    return dataclasses.replace(rec, header=header, **columns)


def _rows(starts: Any, stops: Any, chosen: Any) -> Int[np.ndarray, " n"]:
    return np.concatenate([np.arange(int(starts[k]), int(stops[k])) for k in chosen])


def _chosen(
    lengths: Int[np.ndarray, " e"], share: float, rng: np.random.Generator
) -> Int[np.ndarray, " c"]:
    order = rng.permutation(len(lengths))
    reached = np.cumsum(lengths[order])
    count = int(np.searchsorted(reached, share * reached[-1])) + 1
    return np.sort(order[:count])
