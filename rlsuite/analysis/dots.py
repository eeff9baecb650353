"""Final scores side by side: a dot at the IQM, a line for its interval, panels by environment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlsuite.analysis import published, selection, stats, style
from rlsuite.analysis.scores import Samples

_MOST_ROWS = 30


@style.styled
def interval_dots(
    samples: Samples,
    compared: pl.DataFrame | None = None,
    x_label: str = "IQM of the last evaluation return",
) -> Figure:
    """The IQM of each series with its 95 % interval; published scores as hollow diamonds.

    Args:
      samples: from `scores.samples`.
      compared: from `published.table`; each is marked in the row of the series it is set beside.
      x_label: what the scores are.
    """
    envs = list(dict.fromkeys(env for by_env in samples.values() for env in by_env))
    found = {
        env: {s: stats.estimate(by_env[env]) for s, by_env in samples.items() if env in by_env}
        for env in envs
    }
    values = {s: [found[e][s].value if s in found[e] else np.nan for e in envs] for s in samples}
    chosen = selection.highlighted(samples, values)
    shown = {env: _shown(estimates) for env, estimates in found.items()}
    tallest = max((len(names) for names in shown.values()), default=1)
    shared = all(names == shown[envs[0]] for names in shown.values())
    labels = 0.07 * max((len(name) for names in shown.values() for name in names), default=1)
    columns = min(3, max(1, len(envs)))
    width = 2.7 + (labels / columns if shared else labels)
    figure, axes = style.panels(len(envs), size=(width, 0.85 + 0.21 * max(3, tallest)))
    for index, (env, panel) in enumerate(zip(envs, axes, strict=True)):
        rows = shown[env]
        for height, series in enumerate(reversed(rows)):
            colour = chosen[series].colour if series in chosen else style.FAINT
            _row(panel, height, found[env][series], colour)
            if compared is not None:
                _marks(panel, height, published.beside(compared, env, series))
        _finish(panel, env, rows, len(found[env]), x_label)
        if shared and index % columns:
            panel.set_yticklabels([])
    return figure


def _shown(estimates: dict[str, stats.Estimate]) -> list[str]:
    if len(estimates) <= _MOST_ROWS:
        return list(estimates)
    return selection.ranked({s: [e.value] for s, e in estimates.items()})[:_MOST_ROWS]


def _row(axes: Axes, height: float, estimate: stats.Estimate, colour: str) -> None:
    if estimate.has_interval:
        axes.plot([estimate.low, estimate.high], [height, height], color=colour, lw=3, alpha=0.45)
    axes.plot([estimate.value], [height], "o", color=colour, ms=5)


def _marks(axes: Axes, height: float, scores: Sequence[tuple[float, str]]) -> None:
    for value, _ in scores:
        axes.plot([value], [height], "D", mfc="white", mec=style.INK, ms=4.5, zorder=4)


def _finish(axes: Axes, env: str, rows: Sequence[str], total: int, x_label: str) -> None:
    axes.set_yticks(range(len(rows)), list(reversed(rows)))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(x_label)
    axes.set_title(env if len(rows) == total else f"{env} (best {len(rows)} of {total})")
