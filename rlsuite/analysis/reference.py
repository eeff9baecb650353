"""Published scores drawn into a panel: a dashed line or a point, labelled at the right edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from rlsuite.analysis import style
from rlsuite.analysis.style import Look
from rlsuite.analysis.targets import Target

# In axes heights: what a line of small type needs in a panel of the usual size.
_LINE = 0.075


def draw_targets(
    axes: Axes, targets: Sequence[Target], chosen: Mapping[str, Look], *, with_points: bool
) -> None:
    """Mark targets in the colour of the series of the same name, others in dark grey.

    Args:
      axes: with the curves already drawn.
      targets: of this panel's environment.
      chosen: looks by series.
      with_points: mark targets that name a step there (the axis is one of steps).
    """
    for target in targets:
        colour = _colour(target, chosen)
        if with_points and target.step is not None:
            axes.plot(target.step, target.value, marker="D", ms=6, color=colour, mec="white")
        else:
            axes.axhline(target.value, color=colour, ls=(0, (4, 3)), lw=1.1)
    axes.autoscale_view()
    low, high = axes.get_ylim()
    labels = [_label(target) for target in targets]
    tallest = max((label.count("\n") + 1 for label in labels), default=1)
    heights = [(target.value - low) / (high - low) for target in targets]
    placed = spread(heights, _LINE * tallest)
    for target, label, height in zip(targets, labels, placed, strict=True):
        axes.annotate(
            label,
            (1.015, height),
            xycoords="axes fraction",
            color=_colour(target, chosen),
            fontsize=6.5,
            va="center",
            linespacing=1.1,
            annotation_clip=False,
        )


def _label(target: Target) -> str:
    lines = (f"{target.series} {number(target.value)}", target.source)
    return "\n".join(style.wrap_label(line) for line in lines)


def _colour(target: Target, chosen: Mapping[str, Look]) -> str:
    look = chosen.get(target.series)
    return look.colour if look else style.FAINT


def number(value: float) -> str:
    """A score in a label: four figures at most, no exponent before millions."""
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return shown.replace("-", "−")


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move labels apart, up and down alike, until each has its `gap`."""
    order = np.argsort(heights, kind="stable")
    placed = np.array(heights, np.float64)[order]
    for _ in range(50):
        short = gap - np.diff(placed)
        if not (short > 1e-9).any():
            break
        push = np.maximum(short, 0.0) / 2
        placed[:-1] -= push
        placed[1:] += push
    out = np.empty(len(placed))
    out[order] = placed
    return out.tolist()
