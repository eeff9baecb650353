"""Published scores drawn into a panel of curves: a line or a diamond, its label beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from rlsuite.analysis.figures import style
from rlsuite.analysis.figures.style import Look
from rlsuite.analysis.load.targets import Target

# Of a label: letters in a line, and what a line takes in inches.
WIDEST = 16
_LINE = 0.135
_LEADER = {
    "arrowstyle": "-", "color": style.FAINT, "lw": 0.6, "shrinkB": 3.5, "relpos": (0.0, 0.5),
}  # fmt: skip
# What of a panel's height is not axes: title, ticks and the axis' name.
_AROUND = 0.75
# Share of the x-axis up to which a marker has room for its label at its right.
_INSIDE = 0.55


def room(targets: Sequence[Target], metric: str | None) -> tuple[float, float]:
    """What the labels of a panel need, in inches: at its right, and of its height."""
    labels = [label(target, metric) for target in targets]
    lines = sum(text.count("\n") + 1 for text in labels)
    width = max(map(style.text_width, labels), default=0.0)
    return width, _AROUND + lines * _LINE + 0.05 * len(labels)


def draw_targets(
    axes: Axes,
    targets: Sequence[Target],
    chosen: Mapping[str, Look],
    *,
    with_points: bool,
    metric: str | None = None,
    height: float = style.PANEL_HEIGHT,
) -> None:
    """Mark targets in the colour of the series they are set beside, others in dark grey.

    Args:
      axes: with the curves already drawn.
      targets: of this panel's environment.
      chosen: looks by series.
      with_points: mark targets that name a step there (the axis is one of steps).
      metric: of the curves; a target of another says so.
      height: of the panel, in inches.
    """
    for target in targets:
        colour = _colour(target, chosen)
        if with_points and target.step is not None:
            axes.plot(target.step, target.value, "D", ms=5.5, mfc="white", mec=colour, mew=1.4)
        else:
            axes.axhline(target.value, color=colour, ls=(0, (4, 3)), lw=1.1)
    axes.autoscale_view()
    left, right = axes.get_xlim()
    inside: list[tuple[Target, float]] = []
    outside: list[tuple[Target, float]] = []
    for target in targets:
        step = right if target.step is None or not with_points else target.step
        place = (step - left) / (right - left)
        (inside if place < _INSIDE else outside).append((target, place))
    for group, at in ((inside, None), (outside, 1.04)):
        _label_all(axes, group, at, metric, max(0.5, height - _AROUND))


def _label_all(
    axes: Axes,
    marked: Sequence[tuple[Target, float]],
    at: float | None,
    metric: str | None,
    height: float,
) -> None:
    """Labels apart from each other, each with a thin line to its marker: right of each marker, or
    all at one place (in axes widths)."""
    low, high = axes.get_ylim()
    labels = [label(target, metric) for target, _ in marked]
    sizes = [(text.count("\n") + 1) * _LINE + 0.05 for text in labels]
    heights = [(target.value - low) / (high - low) for target, _ in marked]
    placed = spread(heights, max(sizes, default=0.0) / height)
    for (target, place), text, y in zip(marked, labels, placed, strict=True):
        note = axes.annotate(
            text,
            (place, target.value),
            (place + 0.04 if at is None else at, y),
            xycoords=axes.get_yaxis_transform(),
            textcoords="axes fraction",
            arrowprops=_LEADER,
            fontsize=style.SMALLEST,
            va="center",
            linespacing=1.05,
            annotation_clip=False,
        )
        note.set_path_effects([withStroke(linewidth=2.0, foreground="white")])


def label(target: Target, metric: str | None) -> str:
    """A target's name and score, and what kind of return it is where ours are of another."""
    lines = [f"{target.series} {number(target.value)}"]
    if other := target.kind_beside(metric):
        lines.append(f"({other})")
    return "\n".join(style.wrap_label(line, WIDEST) for line in lines)


def _colour(target: Target, chosen: Mapping[str, Look]) -> str:
    look = chosen.get(target.ours or target.series)
    return look.colour if look else style.FAINT


def number(value: float) -> str:
    """A score in a label: four figures at most, no exponent before millions."""
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return shown.replace("-", "−")


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move labels apart, up and down alike, until each has its `gap`; where they fit between 0 and
    1, none leaves it further than its marker lies outside."""
    order = np.argsort(heights, kind="stable")
    placed = np.array(heights, np.float64)[order]
    for _ in range(50):
        short = gap - np.diff(placed)
        if not (short > 1e-9).any():
            break
        push = np.maximum(short, 0.0) / 2
        placed[:-1] -= push
        placed[1:] += push
    if len(placed) and gap * (len(placed) - 1) <= 1.0:
        steps = gap * np.arange(len(placed))
        # The lowest from 0 upwards, the highest from 1 downwards.
        placed = np.maximum(placed, steps)
        placed = np.minimum(placed, 1.0 - steps[::-1])
    out = np.empty(len(placed))
    out[order] = placed
    return out.tolist()
