"""What a dataset holds, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.refs import DataRef, normalized_score
from rlsuite.envs.datasets import checks, locate
from rlsuite.envs.datasets.recording import Recording, episodes
from rlsuite.envs.datasets.source import DEFAULT_LIMIT, env_row, opened, timed


@dataclass(frozen=True)
class Inspection:
    """Sizes, returns and warnings of a dataset.

    Attributes:
      ref: what a cell would refer to.
      layout: d4rl, npz or minari.
      transitions: rows an agent gets.
      returns, lengths: of complete episodes.
      cut: episodes that end before their time, without a terminal.
      warnings: one line each.
    """

    ref: DataRef
    layout: str
    transitions: int
    returns: Float[np.ndarray, " e"]
    lengths: Float[np.ndarray, " e"]
    cut: int
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report, warnings last."""
        ref, r = self.ref, self.returns
        action = "an index" if ref.discrete else f"{ref.action}"
        out = [
            f"{ref.name}: {self.layout} layout, family {ref.family}, content {ref.hash}",
            f"environment   {ref.env or 'not said'}; observations {ref.observation}, "
            f"actions {action}",
            f"steps         {ref.rows:,}, of which {self.transitions:,} are transitions to learn "
            "from",
            f"episodes      {len(r):,} complete, {self.cut:,} cut short",
        ]
        if len(r):
            with np.errstate(invalid="ignore", over="ignore"):
                mean, std = r.mean(), r.std()
            spread = f"mean {mean:.6g}, std {std:.6g}, min {r.min():.6g}, max {r.max():.6g}"
            out += [f"returns       {spread}", f"lengths       mean {self.lengths.mean():.6g}"]
        if ref.score is not None and len(r):
            low, high = ref.score
            score = normalized_score(float(r.mean()), ref.score)
            out.append(f"score         {score:.1f} (0 is {low:g}, 100 is {high:g})")
        return [*out, *(f"warning: {line}" for line in self.warnings)]


def complete(rec: Recording, limit: int | None = None) -> list[tuple[int, int]]:
    """Bounds of the episodes that came to their end: a terminal, or the full time limit.

    What a change of policy, the end of a recording or a repair cut off counts neither as an episode
    nor in a mean return.

    Args:
      rec: the recording.
      limit: of the environment; some recorders leave out an episode's last step. Where it is not
        known it is the longest that any truncated episode has.
    """
    starts, stops = episodes(rec)
    truncated = rec.truncated[stops - 1]
    least = (stops - starts)[truncated].max(initial=0) if limit is None else limit - 1
    whole = rec.terminated[stops - 1] | (truncated & (stops - starts >= least))
    if rec.midway is not None:
        whole &= ~rec.midway[starts]
    return [(int(a), int(b)) for a, b in zip(starts[whole], stops[whole], strict=True)]


def complete_returns(rec: Recording, limit: int | None = None) -> Float[np.ndarray, " e"]:
    """Undiscounted returns of complete episodes, in double precision."""
    return np.array([rec.reward[a:b].sum(dtype=np.float64) for a, b in complete(rec, limit)])


def inspect(spec: str) -> Inspection:
    """Read a dataset and look it over; bad values are warnings here.

    Raises:
      UsageError: it cannot be found or read.
    """
    ref, read = opened(spec)
    row = env_row(ref)
    limit = row.time_limit if row else None
    rec = timed(read, limit or DEFAULT_LIMIT)
    checks.refuse_nothing(locate.find(ref.spec)[0], rec)
    bounds = complete(rec, limit)
    return Inspection(
        ref=ref,
        layout=read.header.layout,
        transitions=checks.transitions(rec),
        returns=complete_returns(rec, limit),
        lengths=np.array([b - a for a, b in bounds], np.float64),
        cut=len(episodes(rec)[0]) - len(bounds),
        warnings=tuple(_warnings(read, rec, row)),
    )


def _warnings(read: Recording, rec: Recording, row: registry.EnvRow | None) -> list[str]:
    out = [
        f"{count:,} rows of {name!r} are not finite: training refuses this file"
        for name, count in checks.not_finite(rec).items()
    ]
    if row is None:
        out.append("no environment of the suite is known for it: actions were not compared")
    elif not checks.fits(rec, row):
        out.append(f"it does not fit {row.id}, training refuses it: {checks.sizes(rec, row)}")
    elif checks.bounded(row) and (count := _outside(rec, row)):
        out.append(f"{count:,} actions are outside {row.action} of {row.id}: training refuses them")
    if count := int(checks.straddling(rec).sum()):
        out.append(f"{count:,} transitions straddle episodes: an end is not marked as one")
    if not read.timed:
        out.append(
            "no 'timeouts' in the file: time limits were counted from the length of episodes"
        )
    if rec.terminated.any() and row is not None and row.time_limit is not None:
        starts, stops = episodes(rec)
        at_limit = rec.terminated[stops - 1] & (stops - starts == row.time_limit)
        if count := int(at_limit.sum()):
            out.append(f"{count:,} terminals are at the time limit of {row.time_limit} steps")
    return out


def _outside(rec: Recording, row: registry.EnvRow) -> int:
    return checks.outside(np.nan_to_num(rec.action), checks.bounds(row))


def histogram(found: Inspection, folder: Path) -> Path:
    """Draw the returns of complete episodes: NAME_returns.png and .svg in a folder.

    Returns:
      The SVG's path.

    Raises:
      UsageError: there is no complete episode, or the folder cannot be written.
    """
    from rlsuite.analysis.figures import style
    from rlsuite.analysis.figures.histogram import returns_histogram

    if not len(found.returns):
        raise UsageError(f"{found.ref.name} has no complete episode: there is nothing to draw")
    if not np.isfinite(found.returns).all():
        raise UsageError(f"{found.ref.name} has returns that are not finite: they cannot be drawn")
    figure = returns_histogram(found.returns, found.ref.name, found.ref.score)
    try:
        return style.save(figure, folder, f"{found.ref.name.replace('/', '-')}_returns")
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror}") from None
