"""Learning curves: a panel per environment, a line and a band per series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rlsuite.analysis.figures import reference, selection, style
from rlsuite.analysis.figures.style import Look
from rlsuite.analysis.load.targets import Target
from rlsuite.analysis.stats.curves import Curve

_HOUR = 3600.0
_MINUTE = 60.0


@style.styled
def learning_curves(
    curves: Sequence[Curve],
    targets: Sequence[Target] = (),
    *,
    x: str = "steps",
    unit: str = "Environment steps",
    y_label: str = "Evaluation return",
    metric: str | None = None,
    looks: Mapping[str, Look] | None = None,
) -> Figure:
    """Learning curves with their 95 % bands.

    With more series than colours the best of those with the most seeds are drawn in colour and the
    others in grey.

    Args:
      curves: from `curves.against_steps` or `curves.against_seconds`.
      targets: published scores of the environments drawn.
      x: steps or seconds.
      unit: what steps count.
      y_label: what is drawn.
      metric: its name in the rows; a target that is known to be of another kind says so.
      looks: how each series to name is drawn; default: decided by these curves.
    """
    envs = list(dict.fromkeys(curve.env for curve in curves))
    by_env = {env: [curve for curve in curves if curve.env == env] for env in envs}
    chosen = _looks(curves, envs) if looks is None else looks
    beside = {env: [target for target in targets if target.env == env] for env in envs}
    needs = [reference.room(beside[env], metric) for env in envs]
    heights = [max(style.PANEL_HEIGHT, height) for _, height in needs]
    figure, axes = style.panels(len(envs), heights)
    for panel, env, height in zip(axes, envs, heights, strict=False):
        scale, name = (1.0, unit) if x == "steps" else _seconds(by_env[env])
        draw_curves(panel, by_env[env], chosen, scale)
        style.entitle(panel, env)
        if x == "seconds" or env == envs[-1]:
            panel.set_xlabel(name)
        panel.set_ylabel(y_label)
        panel.margins(x=0.02)
        style.count_axis(panel)
        points = x == "steps"
        reference.draw_targets(
            panel, beside[env], chosen, with_points=points, metric=metric, height=height
        )
    style.legend_above(figure, legend_entries(curves, chosen))
    return figure


def _looks(curves: Sequence[Curve], envs: list[str]) -> dict[str, Look]:
    finals: dict[str, dict[str, float]] = {}
    seeds: dict[str, dict[str, list[float]]] = {}
    for curve in curves:
        finals.setdefault(curve.series, {})[curve.env] = curve.final
        seeds.setdefault(curve.series, {})[curve.env] = [curve.final] * curve.seeds
    values = {s: [f.get(env, np.nan) for env in envs] for s, f in finals.items()}
    names = (curve.series for curve in curves)
    return selection.highlighted(names, values, fullness=selection.fullness(seeds))


def _seconds(curves: Sequence[Curve]) -> tuple[float, str]:
    end = max(float(curve.x[-1]) for curve in curves)
    if end > 3 * _HOUR:
        return _HOUR, "Training time (hours)"
    if end > 10 * _MINUTE:
        return _MINUTE, "Training time (minutes)"
    return 1.0, "Training time (seconds)"


def draw_curves(
    axes: Axes, curves: Sequence[Curve], chosen: Mapping[str, Look], scale: float = 1.0
) -> None:
    """Draw an environment's curves: the chosen series with bands, the others in thin grey.

    Args:
      axes: to draw into.
      curves: of one environment.
      chosen: looks by series.
      scale: what x is divided by.
    """
    muted = selection.some([curve for curve in curves if curve.series not in chosen])
    lines = [np.column_stack([curve.x / scale, curve.value]) for curve in muted]
    axes.add_collection(LineCollection(lines, colors=style.MUTED, linewidths=0.8, alpha=0.7))
    for curve in (curve for curve in curves if curve.series in chosen):
        look = chosen[curve.series]
        marker = "o" if curve.x.size == 1 else None
        axes.plot(curve.x / scale, curve.value, look.dash, color=look.colour, marker=marker)
        if np.isfinite(curve.low).any():
            band = (curve.x / scale, curve.low, curve.high)
            axes.fill_between(*band, color=look.colour, alpha=0.16, linewidth=0)
    axes.autoscale_view()


def legend_entries(curves: Sequence[Curve], chosen: Mapping[str, Look]) -> list[Artist]:
    """An entry for each chosen series that has a curve here, and one for the grey ones."""
    drawn = {curve.series for curve in curves}
    handles: list[Artist] = [
        Line2D([], [], color=look.colour, ls=look.dash, label=_label(series, curves))
        for series, look in chosen.items()
        if series in drawn
    ]
    return handles + style.others_entry(len(drawn - set(chosen)))


def _label(series: str, curves: Sequence[Curve]) -> str:
    mine = [curve for curve in curves if curve.series == series]
    lost = sum(curve.lost for curve in mine)
    count = style.count_range([curve.seeds for curve in mine])
    return f"{series} (n = {count}" + (f", {lost} lost)" if lost else ")")
