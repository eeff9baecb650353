"""How a score depends on one setting: a point with its interval at each of its values.

Each point is a series and has the colour that it has in all figures of a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator

from rlsuite.analysis.figures import selection, style
from rlsuite.analysis.figures.heatmap import is_log_spaced, setting_name, tick_labels
from rlsuite.analysis.figures.style import Look
from rlsuite.analysis.stats.sweep import Line, Value

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES = ("-", "--", ":", "-.")
# Of the axes in a figure of one panel, for tick labels.
_ACROSS = 3.5


@style.styled
def sensitivity(
    lines: Sequence[Line],
    y_label: str = "IQM of the last\nevaluation return",
    looks: Mapping[str, Look] | None = None,
) -> Figure:
    """Scores against the values of one setting, with 95 % intervals; on a logarithmic axis where
    the values are spaced so.

    Args:
      lines: from `sweep.lines`, all of one setting.
      y_label: what the scores are.
      looks: how each series to name is drawn; default: decided by these scores.
    """
    envs = list(dict.fromkeys(line.env for line in lines))
    families = list(dict.fromkeys(line.family for line in lines))
    chosen = _looks(lines, envs) if looks is None else looks
    values = _all_values(lines)
    figure, axes = style.panels(len(envs))
    for panel, env in zip(axes, envs, strict=False):
        at = _positions(panel, values)
        for line in (line for line in lines if line.env == env):
            _draw(panel, line, at, chosen, families.index(line.family))
        style.entitle(panel, env if len(families) > 1 else f"{families[0]} on {env}")
        panel.set_ylabel(y_label)
        panel.margins(x=0.06, y=0.12)
    axes[-1].set_xlabel(setting_name(lines[0].setting))
    if len(families) > 1:
        style.legend_above(figure, [_entry(name, i) for i, name in enumerate(families)])
    return figure


def _looks(lines: Sequence[Line], envs: list[str]) -> dict[str, Look]:
    found = {
        (line.env, series): estimate
        for line in lines
        for series, estimate in zip(line.series, line.estimates, strict=True)
    }
    names = list(dict.fromkeys(series for _, series in found))
    values = {s: [found[e, s].value if (e, s) in found else np.nan for e in envs] for s in names}
    return selection.highlighted(names, values)


def _all_values(lines: Sequence[Line]) -> list[Value]:
    values = list(dict.fromkeys(value for line in lines for value in line.values))
    if any(isinstance(value, str) for value in values):
        return list(dict.fromkeys(str(value) for value in values))
    return sorted(values, key=float)


def _positions(axes: Axes, values: Sequence[Value]) -> dict[Value, float]:
    """Where each value stands on an axis, which is prepared for them."""
    numbers = [float(value) for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        places = [float(i) for i in range(len(values))]
        shown = np.array(places)
    else:
        places = numbers
        shown = _scale(axes, numbers)
    labels = tick_labels(values)
    axes.set_xticks(places, labels)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    gaps = np.diff(shown) / ((shown[-1] - shown[0]) or 1.0) * _ACROSS
    if len(gaps) and gaps.min() < max(map(style.text_width, labels)) + 0.03:
        axes.tick_params(axis="x", rotation=90)
    return dict(zip(values, places, strict=True))


def _scale(axes: Axes, numbers: Sequence[float]) -> np.ndarray:
    """Make an axis logarithmic where numbers are spaced so, a zero at its left end.

    Returns:
      Where the numbers stand, up to a factor.
    """
    positive = [number for number in numbers if number > 0]
    if not is_log_spaced(positive) or numbers[0] < 0:
        return np.array(numbers)
    logs = np.log10(positive)
    if numbers[0] > 0:
        axes.set_xscale("log")
        return logs
    axes.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
    return np.concatenate([[logs[0] - 0.5], logs])


def _draw(
    axes: Axes, line: Line, at: Mapping[Value, float], chosen: Mapping[str, Look], family: int
) -> None:
    texts = any(isinstance(value, str) for value in at)
    x = [at[str(value) if texts else value] for value in line.values]
    y = [estimate.value for estimate in line.estimates]
    dash, marker = _DASHES[family % len(_DASHES)], _MARKERS[family % len(_MARKERS)]
    axes.plot(x, y, dash, color=style.MUTED, lw=1.2, zorder=1.9)
    for place, series, estimate in zip(x, line.series, line.estimates, strict=True):
        colour = chosen[series].colour if series in chosen else style.FAINT
        if estimate.has_interval:
            ends = [estimate.low, estimate.high]
            axes.plot([place, place], ends, color=colour, lw=3.0, alpha=0.45)
        axes.plot([place], [estimate.value], marker, color=colour, ms=5)
        if estimate.n_nan and np.isfinite(estimate.value):
            note = f"{estimate.n_nan} lost"
            axes.annotate(
                note, (place, estimate.value), (6, 2), textcoords="offset points",
                fontsize=style.SMALLEST, color=style.INK,
            )  # fmt: skip


def _entry(family: str, index: int) -> Artist:
    dash, marker = _DASHES[index % len(_DASHES)], _MARKERS[index % len(_MARKERS)]
    return Line2D([], [], color=style.INK, ls=dash, marker=marker, ms=5, lw=1.2, label=family)
