"""One look for every figure: width, type, colours the colour-blind can tell apart, numbers.

Every figure is one column wide, with no type below `SMALLEST`: shown 400 pixels wide, as on a
telephone or in a column of a paper, its smallest letters are more than nine pixels high.
"""

from __future__ import annotations

import functools
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rlsuite.io import files

P = ParamSpec("P")

# Okabe and Ito (2008) in an order whose neighbours differ in lightness too, without the yellow,
# which is too light for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B4B8A", "#7F7F7F")
MUTED = "#B9BEC5"
INK = "#22272E"
FAINT = "#6B7280"
# Of a figure, in inches; of type, in points. A letter's size at 400 pixels is points / 72 * 400 /
# WIDTH.
WIDTH = 4.5
SMALLEST = 8.0
PANEL_HEIGHT = 2.0
# Of a letter on average, in ems: DejaVu Sans is a wide face.
_LETTER = 0.6

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "xtick.labelsize": SMALLEST,
    "ytick.labelsize": SMALLEST,
    "legend.fontsize": SMALLEST,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
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


def panels(
    count: int, heights: Sequence[float] = (), width: float = WIDTH
) -> tuple[Figure, list[Axes]]:
    """A figure with a column of axes.

    Args:
      count: how many axes.
      heights: of each, in inches; default: `PANEL_HEIGHT`.
      width: of the figure, in inches.
    """
    count = max(1, count)
    heights = heights or [PANEL_HEIGHT] * count
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)  # pyright: ignore
    axes = figure.subplots(count, 1, squeeze=False, height_ratios=list(heights))
    return figure, list(axes.flat)


def count_range(counts: Sequence[int]) -> str:
    """How many: 3, or 3–5 where they differ."""
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low}–{high}"


def others_entry(others: int) -> list[Artist]:
    """The legend's entry for so many muted series; none where there are none."""
    label = f"{others} other{'s' if others > 1 else ''}"
    return [Line2D([], [], color=MUTED, lw=1, label=label)] if others else []


def strips(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with a column of low axes over one x-axis, laid out without measuring any text:
    with a dozen panels that would take seconds.

    Args:
      count: how many axes.
      height: of each with its title, in inches.
    """
    left, right, below, title = 0.62, 0.1, 0.45, 0.26
    total = height * count + below
    figure = Figure(figsize=(WIDTH, total))
    axes = []
    for index in range(count):
        bottom = (total - height * (index + 1)) / total
        size = (1 - (left + right) / WIDTH, (height - title - 0.06) / total)
        axes.append(figure.add_axes((left / WIDTH, bottom, *size)))
        axes[-1].tick_params(labelbottom=index == count - 1)
    return figure, axes


def text_width(text: str, size: float = SMALLEST) -> float:
    """About how wide the longest line of a text is, in inches."""
    longest = max(map(len, text.split("\n")), default=0)
    return longest * _LETTER * size / 72


def legend_above(figure: Figure, handles: Sequence[Artist]) -> None:
    """A legend above all panels, the figure made higher by what the legend takes; none where there
    is nothing to name."""
    if not handles:
        return
    width, height = figure.get_size_inches()
    labels = [wrap_label(str(handle.get_label()), 56) for handle in handles]
    for handle, label in zip(handles, labels, strict=True):
        handle.set_label(label)
    # What the line of an entry takes, and the gap after it.
    column = 0.45 + max(map(text_width, labels))
    across = max(1, min(len(labels), int(width / column)))
    rows = math.ceil(len(labels) / across)
    lines = rows * max(label.count("\n") + 1 for label in labels)
    taller = height + 0.1 + 0.165 * lines
    figure.set_size_inches(width, taller)
    if figure.get_layout_engine() is not None:
        figure.legend(handles=list(handles), loc="outside upper left", ncols=across)
        return
    for axes in figure.axes:
        x, y, w, h = axes.get_position().bounds
        axes.set_position((x, y * height / taller, w, h * height / taller))
    figure.legend(handles=list(handles), loc="upper left", ncols=across, bbox_to_anchor=(0, 1))


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write NAME.png (200 dpi) and NAME.svg.

    Args:
      figure: laid out for good by this.
      folder: made if it must be.
      name: without an ending.

    Returns:
      The SVG's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    with mpl.rc_context():
        mpl.rcParams.update(RC)  # pyright: ignore[reportCallIssue, reportArgumentType]
        with files.aside(folder / f"{name}.png") as place:
            figure.savefig(place, format="png", dpi=200)
        # What has been laid out once stays where it is: measuring takes half of the time.
        figure.set_layout_engine("none")
        with files.aside(path) as place:
            figure.savefig(place, format="svg", metadata={"Date": None})
    return path


def entitle(axes: Axes, title: str) -> None:
    """A panel's title, from its left edge."""
    axes.set_title(wrap_label(title, 52), x=0.0, ha="left")


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


def small_number(value: float) -> str:
    """A tick's number in a few letters: 0.001, 2.5k, 1e-5."""
    if value and abs(value) < 1e-3:
        mantissa, exponent = f"{value:.3g}".split("e") if "e" in f"{value:.3g}" else ("", "")
        return f"{mantissa}e{int(exponent)}" if exponent else f"{value:.3g}"
    return short_count(value)


def wrap_label(text: str, width: int = 22) -> str:
    """Break a long label at spaces."""
    return "\n".join(textwrap.wrap(text, width, break_long_words=False)) or text
