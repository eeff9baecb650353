"""Final scores side by side: a dot at the IQM, a line for its interval, panels by environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlsuite.analysis.figures import reference, selection, style
from rlsuite.analysis.figures.style import Look
from rlsuite.analysis.load.targets import Target
from rlsuite.analysis.stats import published, stats
from rlsuite.analysis.stats.scores import Samples

_MOST_ROWS = 30
# Inches of a line of type, and of what is around the rows of a panel.
_LINE = 0.15
_AROUND = 0.42
# Of a marker's line, below its label.
_MARKED = 0.1
_WIDEST_NAME = 24
_WIDEST_MARK = 26


@dataclass
class _Row:
    """A series, or below it a published score that is set beside it."""

    series: str
    label: str
    colour: str
    mark: float | None = None
    y: float = field(default=0.0)

    @property
    def height(self) -> float:
        """In inches."""
        marked = 0.07 if self.mark is None else 2 * _MARKED
        return _LINE * (self.label.count("\n") + 1) + marked


@style.styled
def interval_dots(
    samples: Samples,
    compared: pl.DataFrame | None = None,
    x_label: str = "IQM of the last evaluation return",
    looks: Mapping[str, Look] | None = None,
) -> Figure:
    """The IQM of each series with its 95 % interval.

    Published scores are hollow diamonds below the series that each is set beside, over a thin line:
    the interval of that series' mean, which is what they are compared with.

    Args:
      samples: from `scores.samples`.
      compared: from `published.table`.
      x_label: what the scores are.
      looks: how each series to name is drawn; default: decided by these scores.
    """
    envs = list(dict.fromkeys(env for by_env in samples.values() for env in by_env))
    found = {
        env: {s: stats.estimate(by_env[env]) for s, by_env in samples.items() if env in by_env}
        for env in envs
    }
    full = selection.fullness(samples)
    if looks is None:
        values = {
            s: [found[e][s].value if s in found[e] else np.nan for e in envs] for s in samples
        }
        looks = selection.highlighted(samples, values, fullness=full)
    rows = {env: _rows(env, _shown(found[env], full), compared, looks) for env in envs}
    heights = [_AROUND + sum(row.height for row in rows[env]) for env in envs]
    if heights:
        heights[-1] += _LINE
    figure, axes = style.panels(len(envs), heights)
    for panel, env in zip(axes, envs, strict=False):
        _draw(panel, rows[env], found[env], {s: samples[s][env] for s in found[env]})
        some = len({row.series for row in rows[env]})
        total = len(found[env])
        style.entitle(panel, env if some == total else f"{env} (best {some} of {total})")
        if env == envs[-1]:
            panel.set_xlabel(x_label)
    return figure


def _shown(
    estimates: dict[str, stats.Estimate], full: Mapping[str, selection.Fullness]
) -> list[str]:
    if len(estimates) <= _MOST_ROWS:
        return list(estimates)
    return selection.ranked({s: [e.value] for s, e in estimates.items()}, full)[:_MOST_ROWS]


def _rows(
    env: str, shown: Sequence[str], compared: pl.DataFrame | None, looks: Mapping[str, Look]
) -> list[_Row]:
    """From the top; y counts inches downwards."""
    rows: list[_Row] = []
    for series in shown:
        colour = looks[series].colour if series in looks else style.FAINT
        rows.append(_Row(series, style.wrap_label(series, _WIDEST_NAME), colour))
        beside = [] if compared is None else published.beside(compared, env, series)
        for target, metric in beside:
            rows.append(_Row(series, _mark_label(target, metric), colour, target.value))
    y = 0.0
    for row in rows:
        y += row.height
        # A series' dot stands beside its name, a published score's marker below.
        row.y = -y + (row.height / 2 if row.mark is None else _MARKED)
    return rows


def _mark_label(target: Target, metric: str) -> str:
    return style.wrap_label(reference.label(target, metric).replace("\n", " "), _WIDEST_MARK)


def _draw(
    axes: Axes,
    rows: Sequence[_Row],
    estimates: Mapping[str, stats.Estimate],
    scores: Mapping[str, np.ndarray],
) -> None:
    series = [row for row in rows if row.mark is None]
    names = max((style.text_width(row.label) for row in series), default=0.0)
    means: dict[str, stats.Estimate] = {}
    for row in rows:
        if row.mark is None:
            _interval(axes, row, estimates[row.series], width=3.0)
            axes.plot([estimates[row.series].value], [row.y], "o", color=row.colour, ms=5)
            continue
        if row.series not in means:
            means[row.series] = stats.estimate(scores[row.series], "mean")
        _interval(axes, row, means[row.series], width=1.0)
        axes.plot([row.mark], [row.y], "D", mfc="white", mec=row.colour, ms=5, zorder=4)
    axes.margins(x=0.06)
    axes.autoscale_view()
    left, right = axes.get_xlim()
    inch = (right - left) / (style.WIDTH - names - 0.35)
    for row in rows:
        if row.mark is not None:
            # Over its marker, or as near to that as the axis allows.
            width = style.text_width(row.label) * inch
            start = max(left + 0.04 * inch, min(row.mark - width / 2, right - width))
            kwargs = {"va": "bottom", "fontsize": style.SMALLEST, "linespacing": 1.0}
            axes.text(start, row.y + 0.06, row.label, **kwargs)
    axes.set_yticks([row.y for row in series], [row.label for row in series])
    if rows:
        axes.set_ylim(-sum(row.height for row in rows) - 0.03, 0.03)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.locator_params(axis="x", nbins=5)


def _interval(axes: Axes, row: _Row, estimate: stats.Estimate, width: float) -> None:
    if estimate.has_interval:
        ends = [estimate.low, estimate.high]
        axes.plot(ends, [row.y, row.y], color=row.colour, lw=width, alpha=0.45)
