"""Learning curves: the seeds of a series on one grid, a statistic and its interval at each point.

Runs share their evaluation steps, mostly. A seed that misses some is interpolated between its own
neighbours; beyond its last row it is absent, not extrapolated: it stopped early, is still running,
or turned to NaN. A curve ends where fewer than half of its seeds are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.stats import scores
from rlsuite.analysis.stats.bands import bands
from rlsuite.analysis.stats.bootstrap import Floats
from rlsuite.analysis.stats.stats import StatisticName

_MOST_POINTS = 100


@dataclass(frozen=True)
class Run:
    """The finite points of one seed."""

    step: Floats
    seconds: Floats
    value: Floats
    done: bool


@dataclass(frozen=True)
class Curve:
    """A line and its band; `n` counts the seeds at each point.

    Attributes:
      seeds: cells with at least one row.
      lost: cells that turned to NaN or failed, with rows or without.
      final: the statistic at the end of the curve.
    """

    env: str
    series: str
    x: Floats
    value: Floats
    low: Floats
    high: Floats
    n: np.ndarray
    seeds: int
    lost: int

    @property
    def final(self) -> float:
        """The statistic where the curve ends."""
        return float(self.value[-1])


def against_steps(
    frames: Frames, metric: str | None = None, statistic: StatisticName = "iqm"
) -> list[Curve]:
    """Curves against environment steps, one per environment and series.

    Args:
      frames: the store.
      metric: default: `scores.return_metric`.
      statistic: at each point, over the seeds there.
    """
    return _curves(frames, metric, statistic, _on_steps)


def against_seconds(
    frames: Frames, metric: str | None = None, statistic: StatisticName = "iqm"
) -> list[Curve]:
    """Curves against a run's own training seconds.

    Each seed is interpolated onto a common axis that ends at the seeds' median duration; a seed
    that finished sooner keeps its final score from there on, since its policy does.

    Args:
      frames: the store.
      metric: default: `scores.return_metric`.
      statistic: at each point, over the seeds there.
    """
    return _curves(frames, metric, statistic, _on_seconds)


def _curves(
    frames: Frames,
    metric: str | None,
    statistic: StatisticName,
    align: Callable[[list[Run]], tuple[Floats, Floats]],
) -> list[Curve]:
    out = []
    for env, series, runs, lost in _series(frames, metric or scores.return_metric(frames)):
        x, matrix = align(runs)
        present = np.isfinite(matrix).sum(axis=0)
        keep = present >= max(1.0, present.max(initial=0) / 2)
        if not keep.any():
            continue
        value, low, high = bands(matrix[:, keep], statistic)
        out.append(Curve(env, series, x[keep], value, low, high, present[keep], len(runs), lost))
    return out


def _series(frames: Frames, metric: str | None) -> Iterator[tuple[str, str, list[Run], int]]:
    points = scores.points(frames, metric).filter(pl.col("value").is_finite())
    timed = points.rename({"seconds": "elapsed"})
    per_cell = timed.group_by("cell", maintain_order=True).agg("step", "elapsed", "value")
    joined = frames.cells.join(per_cell, on="cell", how="left", maintain_order="left")
    for (env, series), cells in joined.group_by("env", "series", maintain_order=True):
        present = cells.drop_nulls("step")
        columns = (present[name] for name in ("step", "elapsed", "value", "status"))
        runs = [
            Run(*(np.array(c, np.float64) for c in lists), done=status == "done")
            for *lists, status in zip(*columns, strict=True)
        ]
        if runs:
            yield str(env), str(series), runs, int(cells["status"].is_in(scores.LOST).sum())


def _on_steps(runs: list[Run]) -> tuple[Floats, Floats]:
    grid = np.unique(np.concatenate([run.step for run in runs]))
    longest = max(run.step.size for run in runs)
    # Seeds that share no steps would give a grid as long as all of them together.
    if grid.size > 2 * longest:
        grid = np.linspace(grid[0], grid[-1], longest)
    lines = [np.interp(grid, run.step, run.value, np.nan, np.nan) for run in runs]
    return grid, np.stack(lines)


def _on_seconds(runs: list[Run]) -> tuple[Floats, Floats]:
    start = float(np.median([run.seconds[0] for run in runs]))
    end = float(np.median([run.seconds[-1] for run in runs]))
    points = min(_MOST_POINTS, 2 * max(run.seconds.size for run in runs))
    grid = np.linspace(start, end, points) if end > start else np.array([end])
    lines = []
    for run in runs:
        after = run.value[-1] if run.done else np.nan
        lines.append(np.interp(grid, run.seconds, run.value, np.nan, after))
    return grid, np.stack(lines)
