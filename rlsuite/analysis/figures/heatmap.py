"""Heat maps of two-parameter sweeps, every field annotated with its IQM."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from rlsuite.analysis.figures import style
from rlsuite.analysis.stats.sweep import Grid, Value

# Perceptually even and readable without colour vision; dark text on its light half.
_MAP = "cividis"
# Inches: a row, a row of two lines, what is around the fields, and at least a column.
_ROW, _TALL_ROW, _AROUND = 0.3, 0.42, 1.25
_COLUMN = 0.3
# More that tie for the best are seen by their colour.
MOST_FRAMED = 4


@style.styled
def heatmap(grid: Grid, value_label: str = "IQM of final return") -> Figure:
    """Draw a grid; the best field is framed (up to four that tie), what has no finite run is grey.

    Args:
      grid: from `sweep.grids`.
      value_label: of the colour bar.
    """
    grid = _upright(grid)
    rows, _ = grid.iqm.shape
    row = _TALL_ROW if grid.lost.any() else _ROW
    figure, (axes,) = style.panels(1, [_AROUND + row * rows])
    axes.set_facecolor("#ECEEF0")
    image = axes.imshow(np.ma.masked_invalid(grid.iqm), cmap=_MAP, origin="lower", aspect="auto")
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _annotate(axes, grid)
    _frame(axes, grid)
    _ticks(axes, grid)
    style.entitle(axes, f"{grid.agent} on {grid.env}")
    bar = figure.colorbar(image, ax=axes, label=value_label, orientation="horizontal")
    bar.ax.set_box_aspect(0.035)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def _upright(grid: Grid) -> Grid:
    """The longer axis upwards where its values would not fit side by side."""
    if grid.iqm.shape[1] <= max(grid.iqm.shape[0], _widest(grid)):
        return grid
    return dataclasses.replace(
        grid, x=grid.y, y=grid.x, x_values=grid.y_values, y_values=grid.x_values,
        iqm=grid.iqm.T, n=grid.n.T, lost=grid.lost.T,
    )  # fmt: skip


def _widest(grid: Grid) -> int:
    """How many columns have room for what is written into them."""
    widest = max(style.text_width(str(text)) for text in _texts(grid).ravel())
    return int(_room(grid.y_values) / max(_COLUMN, widest))


def _room(row_names: Sequence[Value]) -> float:
    """Inches that names of rows leave for the columns."""
    return style.WIDTH - 0.55 - max(map(style.text_width, tick_labels(row_names)))


def _texts(grid: Grid) -> NDArray[np.object_]:
    finite = grid.iqm[np.isfinite(grid.iqm)]
    spread = float(finite.max() - finite.min()) if finite.size else 0.0
    texts = np.empty(grid.iqm.shape, object)
    for at, value in np.ndenumerate(grid.iqm):
        texts[at] = field_text(value, spread, int(grid.lost[at]))
    return texts


def _annotate(axes: Axes, grid: Grid) -> None:
    """Write each field's IQM into it, where there is room; the colours tell it anyway."""
    finite = grid.iqm[np.isfinite(grid.iqm)]
    texts = _texts(grid)
    if not finite.size or grid.iqm.shape[1] > _widest(grid):
        return
    spread = finite.max() - finite.min()
    for (i, j), value in np.ndenumerate(grid.iqm):
        colour = _ink((value - finite.min()) / spread if spread else 0.0)
        axes.text(
            j, i, str(texts[i, j]), ha="center", va="center", color=colour, fontsize=style.SMALLEST,
            linespacing=1.0,
        )  # fmt: skip


def _frame(axes: Axes, grid: Grid) -> None:
    best = best_fields(grid)
    for i, j in best if len(best) <= MOST_FRAMED else ():
        frame = {"fill": False, "edgecolor": style.COLOURS[1], "linewidth": 2.0}
        axes.add_patch(Rectangle((j - 0.47, i - 0.46), 0.94, 0.92, **frame))


def best_fields(grid: Grid) -> list[tuple[int, int]]:
    """Where the highest IQM is; nowhere if all fields are equal, which makes none the best."""
    finite = grid.iqm[np.isfinite(grid.iqm)]
    if not finite.size or finite.max() == finite.min():
        return []
    near = np.isclose(grid.iqm, finite.max(), rtol=1e-11, atol=0.0)
    return [(int(i), int(j)) for i, j in np.argwhere(near)]


def _ink(height: float) -> str:
    if not np.isfinite(height):
        return style.INK
    luminance = np.dot(colormaps[_MAP](height)[:3], (0.299, 0.587, 0.114))
    return style.INK if luminance > 0.47 else "white"


def field_text(value: float, spread: float, lost: int) -> str:
    """The IQM with as many decimals as tell fields apart, and how many seeds were lost there.

    Args:
      value: the field's IQM; NaN where no run is finite.
      spread: highest less lowest IQM of the grid.
      lost: runs that turned to NaN or failed.
    """
    decimals = 0 if spread >= 50 or abs(value) >= 1000 else 1 if spread >= 5 else 2
    shown = f"{value:.{decimals}f}" if np.isfinite(value) else "–"
    return f"{shown}\n{lost} lost" if lost else shown


def is_log_spaced(values: Sequence[Value]) -> bool:
    """Whether positive values stand in more even ratios than distances, over a factor of four."""
    numbers = _numbers(values)
    if len(numbers) < 2 or min(numbers) <= 0 or max(numbers) / min(numbers) < 4:
        return False
    if len(numbers) == 2:
        return max(numbers) / min(numbers) >= 8
    ratios, distances = np.diff(np.log(numbers)), np.diff(numbers)
    uneven = ratios.max() / ratios.min()
    return bool(uneven < 4 and uneven < distances.max() / distances.min())


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
    numbers: list[float] = [value for value in values if not isinstance(value, str)]
    return numbers if len(numbers) == len(values) else []


def _scientific(value: float) -> str:
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _ticks(axes: Axes, grid: Grid) -> None:
    axes.set_xticks(range(len(grid.x_values)), tick_labels(grid.x_values))
    axes.set_yticks(range(len(grid.y_values)), tick_labels(grid.y_values))
    axes.tick_params(length=0)
    names = tick_labels(grid.x_values)
    if max(map(style.text_width, names)) > _room(grid.y_values) / len(names):
        axes.tick_params(axis="x", rotation=90)
    axes.set_xlabel(setting_name(grid.x))
    axes.set_ylabel(setting_name(grid.y))


def setting_name(setting: str) -> str:
    """A setting as an axis is called."""
    return setting.rpartition(".")[2].replace("_", " ").replace("-", " ")
