"""Learning curves: a panel per environment, a line and a band per series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rlsuite.analysis import selection, style
from rlsuite.analysis.curves import Curve
from rlsuite.analysis.reference import draw_targets
from rlsuite.analysis.style import Look
from rlsuite.analysis.targets import Target

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
) -> Figure:
    """Learning curves with their 95 % bands.

    With more series than colours the best are drawn in colour and the others in grey.

    Args:
      curves: from `curves.against_steps` or `curves.against_seconds`.
      targets: published scores of the environments drawn.
      x: steps or seconds.
      unit: what steps count.
      y_label: of the leftmost panels.
    """
    envs = list(dict.fromkeys(curve.env for curve in curves))
    by_env = {env: [curve for curve in curves if curve.env == env] for env in envs}
    chosen = _looks(curves, envs)
    # Beside each panel, what the widest label of a published score takes.
    room = 0.8 if any(target.env in envs for target in targets) else 0.0
    figure, axes = style.panels(len(envs), size=(style.PANEL[0] + room, style.PANEL[1]))
    for index, (env, panel) in enumerate(zip(envs, axes, strict=True)):
        scale, name = (1.0, unit) if x == "steps" else _seconds(by_env[env])
        _draw(panel, by_env[env], chosen, scale)
        here = [target for target in targets if target.env == env]
        draw_targets(panel, here, chosen, with_points=x == "steps")
        panel.set_title(env)
        panel.set_xlabel(name)
        panel.margins(x=0.02)
        style.count_axis(panel)
        if index % _columns(len(envs)) == 0:
            panel.set_ylabel(y_label)
    _legend(figure, curves, chosen, _columns(len(envs)))
    return figure


def _columns(count: int) -> int:
    return min(3, count)


def _looks(curves: Sequence[Curve], envs: list[str]) -> dict[str, Look]:
    finals: dict[str, dict[str, float]] = {}
    for curve in curves:
        finals.setdefault(curve.series, {})[curve.env] = curve.final
    values = {s: [f.get(env, np.nan) for env in envs] for s, f in finals.items()}
    return selection.highlighted((curve.series for curve in curves), values)


def _seconds(curves: Sequence[Curve]) -> tuple[float, str]:
    end = max(float(curve.x[-1]) for curve in curves)
    if end > 3 * _HOUR:
        return _HOUR, "Training time (hours)"
    if end > 10 * _MINUTE:
        return _MINUTE, "Training time (minutes)"
    return 1.0, "Training time (seconds)"


def _draw(axes: Axes, curves: Sequence[Curve], chosen: Mapping[str, Look], scale: float) -> None:
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


def _legend(
    figure: Figure, curves: Sequence[Curve], chosen: Mapping[str, Look], columns: int
) -> None:
    handles = [
        Line2D([], [], color=look.colour, ls=look.dash, label=_label(series, curves))
        for series, look in chosen.items()
    ]
    others = {curve.series for curve in curves} - set(chosen)
    if others:
        handles.append(Line2D([], [], color=style.MUTED, lw=1, label=f"{len(others)} others"))
    style.legend_outside(figure, handles, beside=columns == 1)


def _label(series: str, curves: Sequence[Curve]) -> str:
    mine = [curve for curve in curves if curve.series == series]
    seeds = sorted({curve.seeds for curve in mine})
    lost = sum(curve.lost for curve in mine)
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]}–{seeds[-1]}"
    return f"{series} (n = {count}" + (f", {lost} lost)" if lost else ")")
