"""Heat maps of two-parameter sweeps, every field annotated with its IQM."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rlsuite.analysis import style
from rlsuite.analysis.sweep import Grid, Value

# Perceptually even and readable without colour vision; dark text on its light half.
_MAP = "cividis"
_CROWDED = 12


@style.styled
def heatmap(grid: Grid, value_label: str = "IQM of final return") -> Figure:
    """Draw a grid; the best field is framed, fields without a finite run are left grey.

    Args:
      grid: from `sweep.grids`.
      value_label: of the colour bar.
    """
    rows, columns = grid.iqm.shape
    width = 0.62 if columns <= _CROWDED else 0.45
    size = (max(3.6, 1.9 + width * columns), max(2.6, 1.2 + 0.46 * rows))
    figure, (axes,) = style.panels(1, size=size)
    axes.set_facecolor("#ECEEF0")
    image = axes.imshow(np.ma.masked_invalid(grid.iqm), cmap=_MAP, origin="lower", aspect="auto")
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _annotate(axes, grid, crowded=columns > _CROWDED)
    _ticks(axes, grid)
    axes.set_title(f"{grid.agent} on {grid.env}")
    bar = figure.colorbar(image, ax=axes, label=value_label, pad=0.02)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def _annotate(axes: Axes, grid: Grid, *, crowded: bool) -> None:
    finite = grid.iqm[np.isfinite(grid.iqm)]
    if not finite.size:
        return
    spread = finite.max() - finite.min()
    for (i, j), value in np.ndenumerate(grid.iqm):
        text = field_text(value, spread, int(grid.lost[i, j]))
        colour = _ink((value - finite.min()) / spread if spread else 0.0)
        axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=5 if crowded else 7)
    i, j = np.unravel_index(np.nanargmax(grid.iqm), grid.iqm.shape)
    frame = {"fill": False, "edgecolor": style.COLOURS[1], "linewidth": 2.0}
    axes.add_patch(Rectangle((float(j) - 0.47, float(i) - 0.46), 0.94, 0.92, **frame))


def _ink(height: float) -> str:
    if not np.isfinite(height):
        return style.INK
    luminance = np.dot(colormaps[_MAP](height)[:3], (0.299, 0.587, 0.114))
    return style.INK if luminance > 0.47 else "white"


def field_text(value: float, spread: float, lost: int) -> str:
    """The IQM with as many decimals as tell fields apart, and how many seeds were lost there."""
    decimals = 0 if spread >= 50 or abs(value) >= 1000 else 1 if spread >= 5 else 2
    shown = f"{value:.{decimals}f}" if np.isfinite(value) else "–"
    return f"{shown}\n{lost} lost" if lost else shown


def is_log_spaced(values: Sequence[Value]) -> bool:
    """Whether positive values span a factor of eight or more in roughly equal ratios."""
    numbers = _numbers(values)
    if len(numbers) < 3 or min(numbers) <= 0 or max(numbers) / min(numbers) < 8:
        return False
    ratios = np.diff(np.log(numbers))
    return bool(ratios.max() / ratios.min() < 4)


def tick_labels(values: Sequence[Value]) -> list[str]:
    """Settings as one would type them: 0.9, 0.99 or 256, and 1e-4, 3e-4, 1e-3 all alike."""
    numbers = _numbers(values)
    if not numbers:
        return [str(value) for value in values]
    sizes = [abs(value) for value in numbers if value]
    if not sizes or (min(sizes) >= 1e-3 and max(sizes) < 1e5):
        return [f"{value:.6g}" for value in numbers]
    return [_scientific(value) if value else "0" for value in numbers]


def _numbers(values: Sequence[Value]) -> list[float]:
    """The values of an axis of numbers; none of one of names."""
    return [value for value in values if not isinstance(value, str)]


def _scientific(value: float) -> str:
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _ticks(axes: Axes, grid: Grid) -> None:
    axes.set_xticks(range(len(grid.x_values)), tick_labels(grid.x_values))
    axes.set_yticks(range(len(grid.y_values)), tick_labels(grid.y_values))
    axes.tick_params(length=0)
    if len(grid.x_values) > 7:
        axes.tick_params(axis="x", rotation=45)
    axes.set_xlabel(_name(grid.x, grid.x_values))
    axes.set_ylabel(_name(grid.y, grid.y_values))


def _name(setting: str, values: Sequence[Value]) -> str:
    short = setting.rpartition(".")[2].replace("_", " ").replace("-", " ")
    return f"{short} (log-spaced)" if is_log_spaced(values) else short
