"""One look for every figure: type, colours the colour-blind can tell apart, number formats."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rlsuite.engine import files

P = ParamSpec("P")

# Okabe and Ito (2008) in an order whose neighbours differ in lightness too, without the yellow,
# which is too light for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B4B8A", "#7F7F7F")
MUTED = "#B9BEC5"
INK = "#22272E"
FAINT = "#6B7280"
PANEL = (3.4, 2.6)

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9AA1AB",
    "axes.linewidth": 0.8,
    "xtick.color": "#4B5563",
    "ytick.color": "#4B5563",
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E8EB",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.7,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "svg.fonttype": "path",
    # Equal figures give equal files.
    "svg.hashsalt": "rlsuite",
}


@dataclass(frozen=True)
class Look:
    """How one series is drawn."""

    colour: str
    dash: str = "-"


def looks(series: Sequence[str]) -> dict[str, Look]:
    """Colours by order; beyond the palette they come round again dashed."""
    dashes = ("-", "--", ":", "-.")
    return {
        name: Look(COLOURS[i % len(COLOURS)], dashes[i // len(COLOURS) % len(dashes)])
        for i, name in enumerate(series)
    }


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw under the house style, whatever the caller's matplotlib is set to."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(RC)  # pyright: ignore[reportCallIssue, reportArgumentType]
            return draw(*args, **kwargs)

    return wrapper


def panels(count: int, across: int = 3, size: tuple[float, float] = PANEL) -> tuple[Figure, list]:
    """A figure with a grid of axes, the unused ones removed."""
    columns = min(across, max(1, count))
    rows = math.ceil(max(1, count) / columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # pyright: ignore
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for extra in axes[count:]:
        extra.remove()
    return figure, axes[:count]


def legend_outside(figure: Figure, handles: Sequence[Artist], *, beside: bool) -> None:
    """A legend beside or below all panels, the figure enlarged by what the legend takes."""
    # In inches, at the legend's size of type.
    longest = 0.4 + 0.073 * max((len(str(handle.get_label())) for handle in handles), default=1)
    width, height = figure.get_size_inches()
    if beside:
        figure.set_size_inches(width + longest + 0.2, max(height, 0.5 + 0.2 * len(handles)))
        figure.legend(handles=handles, loc="outside right center")
        return
    across = min(len(handles), max(1, int(width / longest)))
    figure.set_size_inches(max(width, longest), height + 0.2 * math.ceil(len(handles) / across))
    figure.legend(handles=handles, loc="outside lower center", ncols=across)


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write NAME.png (150 dpi) and NAME.svg.

    Returns:
      The SVG's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    with mpl.rc_context():
        mpl.rcParams.update(RC)  # pyright: ignore[reportCallIssue, reportArgumentType]
        with files.aside(folder / f"{name}.png") as place:
            figure.savefig(place, format="png", dpi=150)
        with files.aside(path) as place:
            figure.savefig(place, format="svg", metadata={"Date": None})
    return path


def count_axis(axes: Axes) -> None:
    """Label the x-axis 0, 250k, 1M at round numbers."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))


def short_count(value: float) -> str:
    """1500000 as 1.5M."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.4g}{name}"
    return f"{value:.4g}"


def wrap_label(text: str, width: int = 22) -> str:
    """Break a long label at spaces."""
    import textwrap

    return "\n".join(textwrap.wrap(text, width, break_long_words=False)) or text
