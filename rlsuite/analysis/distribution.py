"""How the final scores of many seeds spread: a histogram and the distribution function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlsuite.analysis import stats, style
from rlsuite.analysis.bootstrap import Floats
from rlsuite.analysis.scores import Samples
from rlsuite.analysis.style import Look

MANY_SEEDS = 64
_MOST_BINS = 60
# More overlaid histograms than this cannot be told apart.
_MOST_SERIES = 4


def with_many_seeds(samples: Samples, least: int = MANY_SEEDS) -> dict[str, dict[str, Floats]]:
    """Environment to series to finite scores, where at least `least` seeds have one."""
    out: dict[str, dict[str, Floats]] = {}
    for series, envs in samples.items():
        for env, scores in envs.items():
            finite = scores[np.isfinite(scores)]
            if finite.size >= least and len(out.get(env, {})) < _MOST_SERIES:
                out.setdefault(env, {})[series] = finite
    return out


@style.styled
def distributions(
    many: Mapping[str, Mapping[str, Floats]], x_label: str = "Final return"
) -> Figure:
    """A row per environment: counts of seeds, and the fraction of seeds at or below each score.

    Args:
      many: environment to series to finite scores (`with_many_seeds`).
      x_label: what the scores are.
    """
    chosen = style.looks(list(dict.fromkeys(s for envs in many.values() for s in envs)))
    figure, axes = style.panels(2 * len(many), across=2, size=(3.7, 2.5))
    for index, (env, series) in enumerate(many.items()):
        left, right = axes[2 * index], axes[2 * index + 1]
        _histogram(left, series, chosen)
        _ecdf(right, series, chosen)
        left.set_title(f"{env}: histogram")
        right.set_title(f"{env}: cumulative")
        for panel in (left, right):
            panel.set_xlabel(x_label)
    style.legend_outside(figure, _entries(axes[1::2]), beside=False)
    return figure


def _entries(axes: Sequence[Axes]) -> list[Artist]:
    found: dict[str, Artist] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values())


def bin_edges(pooled: Floats) -> list[float]:
    """Freedman-Diaconis bins, at most 60; one bin around scores that are all equal."""
    if pooled.min() == pooled.max():
        return [float(pooled[0]) - 0.5, float(pooled[0]) + 0.5]
    quartiles = np.percentile(pooled, [25, 75])
    width = 2 * (quartiles[1] - quartiles[0]) / np.cbrt(pooled.size)
    bins = (pooled.max() - pooled.min()) / width if width > 0 else _MOST_BINS
    return np.linspace(pooled.min(), pooled.max(), int(np.clip(bins, 10, _MOST_BINS)) + 1).tolist()


def _histogram(axes: Axes, series: Mapping[str, Floats], chosen: Mapping[str, Look]) -> None:
    edges = bin_edges(np.concatenate(list(series.values())))
    for name, scores in series.items():
        colour = chosen[name].colour
        axes.hist(scores, edges, color=colour, alpha=0.35, histtype="stepfilled")
        axes.hist(scores, edges, color=colour, histtype="step", linewidth=1.2)
        axes.axvline(stats.iqm(scores), color=colour, ls="--", lw=1.2)
    axes.set_ylabel("Seeds")
    axes.set_ylim(bottom=0)


def _ecdf(axes: Axes, series: Mapping[str, Floats], chosen: Mapping[str, Look]) -> None:
    for name, scores in series.items():
        look = chosen[name]
        label = f"{name} (n = {scores.size})"
        axes.ecdf(scores, color=look.colour, ls=look.dash, label=label)
        axes.axvline(stats.iqm(scores), color=look.colour, ls="--", lw=1.2)
    axes.set_ylabel("Fraction of seeds")
    axes.set_ylim(0.0, 1.02)
