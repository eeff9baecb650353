"""What happens inside training: losses, entropy, KL, values and whatever else agents record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from rlsuite.analysis.figures import style
from rlsuite.analysis.figures.lines import draw_curves, legend_entries
from rlsuite.analysis.figures.style import Look
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.stats import curves
from rlsuite.analysis.stats.curves import Curve

MOST = 12
_HEIGHT = 1.25
# In this order; those of a group that stand in no order of their own by name.
_FIRST = ("loss/", "policy/entropy", "policy/kl", "value/", "policy/", "")
_NAMES = {"kl": "KL", "q": "Q", "v": "V", "vae": "VAE", "kl_max": "largest KL"}
_EVALUATIONS = "eval/"
# A logarithmic axis where positive values span so much.
_SPAN = 300.0


def recorded(frames: Frames) -> list[str]:
    """The metrics that agents recorded while they learned, what a reader looks for first in front;
    training returns last."""
    names = sorted(set(frames.rows["metric"].unique()))
    training = [n for n in names if not n.startswith((_EVALUATIONS, "train/"))]

    def place(name: str) -> int:
        return next(i for i, prefix in enumerate(_FIRST) if name.startswith(prefix))

    returns = [name for name in names if name == "train/return"]
    return sorted(training, key=place) + returns


def curves_of(
    frames: Frames, env: str, series: Sequence[str], most: int = MOST
) -> tuple[dict[str, list[Curve]], list[str]]:
    """The curves of some series in an environment, of the first metrics that have any.

    Args:
      frames: the store.
      env: the environment.
      series: whose curves.
      most: so many metrics.

    Returns:
      Metric to its curves, and the metrics left; nothing where only training returns were recorded.
    """
    wanted = pl.col("series").is_in(list(series)) & (pl.col("env") == env)
    cells = frames.cells.filter(wanted)
    rows = frames.rows.join(cells.select("cell"), on="cell", how="semi", maintain_order="left")
    some = Frames(rows, cells)
    found: dict[str, list[Curve]] = {}
    # A band takes a bootstrap at every point: none is made in order to be left out.
    left = recorded(some)
    while left and len(found) < most and (found or left != ["train/return"]):
        metric = left.pop(0)
        if lines := curves.against_steps(some, metric):
            found[metric] = lines
    return found, left


@style.styled
def training_curves(
    found: Mapping[str, Sequence[Curve]], looks: Mapping[str, Look], env: str, unit: str
) -> Figure:
    """A panel for each metric, in the order given: the IQM over seeds with its 95 % band.

    Args:
      found: metric to its curves, from `curves_of`.
      looks: how each series is drawn.
      env: for the title.
      unit: what steps count.
    """
    figure, axes = style.strips(len(found), _HEIGHT)
    end = max((float(curve.x[-1]) for lines in found.values() for curve in lines), default=1.0)
    for index, (panel, (metric, lines)) in enumerate(zip(axes, found.items(), strict=False)):
        draw_curves(panel, lines, looks)
        _scale(panel, lines)
        panel.set_xlim(-0.02 * end, 1.02 * end)
        style.count_axis(panel)
        name = metric_name(metric)
        style.entitle(panel, f"{env}: {name[0].lower() + name[1:]}" if index == 0 else name)
    axes[-1].set_xlabel(unit)
    every = [curve for lines in found.values() for curve in lines]
    style.legend_above(figure, legend_entries(every, looks))
    return figure


def metric_name(metric: str) -> str:
    """A recorded metric as a panel is called: loss/policy is Policy loss, value/q is Value: Q."""
    if metric == "train/return":
        return "Training return"
    group, _, name = metric.partition("/")
    words = _NAMES.get(name, name.replace("_", " "))
    if group == "loss":
        return f"{words[0].upper()}{words[1:]} loss"
    return f"{group[0].upper()}{group[1:]}: {words}" if name else group


def _scale(axes: Axes, lines: Sequence[Curve]) -> None:
    """A logarithmic axis where positive values span several powers of ten; plain numbers, since
    powers are set in smaller type."""
    values = np.concatenate([line.value for line in lines])
    if values.min() > 0 and values.max() > _SPAN * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=4))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.small_number(value)))
