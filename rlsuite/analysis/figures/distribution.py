"""How the final scores of many seeds spread: a histogram and the distribution function."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rlsuite.analysis.figures import selection, style
from rlsuite.analysis.figures.style import Look
from rlsuite.analysis.stats import stats
from rlsuite.analysis.stats.bootstrap import Floats
from rlsuite.analysis.stats.scores import Samples

MANY_SEEDS = 64
_MOST_BINS = 60
# More overlaid histograms than this cannot be told apart.
_MOST_SERIES = 4


def with_many_seeds(samples: Samples, least: int = MANY_SEEDS) -> dict[str, dict[str, Floats]]:
    """Environment to series to finite scores, where at least `least` seeds have one.

    Of more than four such series in an environment those with the most seeds, of these the best.
    """
    out: dict[str, dict[str, Floats]] = {}
    for series, envs in samples.items():
        for env, scores in envs.items():
            finite = scores[np.isfinite(scores)]
            if finite.size >= least:
                out.setdefault(env, {})[series] = finite
    return {env: _few(series) for env, series in out.items()}


def _few(series: Mapping[str, Floats]) -> dict[str, Floats]:
    full = selection.fullness({name: {"": scores} for name, scores in series.items()})
    best = selection.ranked({name: [stats.iqm(x)] for name, x in series.items()}, full)
    return {name: scores for name, scores in series.items() if name in best[:_MOST_SERIES]}


@style.styled
def distributions(
    many: Mapping[str, Mapping[str, Floats]],
    x_label: str = "Final return",
    looks: Mapping[str, Look] | None = None,
) -> Figure:
    """Two panels an environment: counts of seeds, and the fraction of seeds at or below each score.

    Args:
      many: environment to series to finite scores (`with_many_seeds`).
      x_label: what the scores are.
      looks: how each series is drawn; those it lacks get a colour after its own.
    """
    names = [*(looks or {}), *(series for envs in many.values() for series in envs)]
    chosen = style.looks(list(dict.fromkeys(names))) | dict(looks or {})
    figure, axes = style.panels(2 * len(many), [1.7] * (2 * len(many)))
    for index, (env, series) in enumerate(many.items()):
        counts, shares = axes[2 * index], axes[2 * index + 1]
        _histogram(counts, series, chosen)
        _ecdf(shares, series, chosen)
        style.entitle(counts, env)
        counts.sharex(shares)
        counts.tick_params(labelbottom=False)
        shares.set_xlabel(x_label)
    style.legend_above(figure, _entries(many, chosen))
    return figure


def _entries(many: Mapping[str, Mapping[str, Floats]], chosen: Mapping[str, Look]) -> list[Artist]:
    sizes: dict[str, list[int]] = {}
    for series in many.values():
        for name, scores in series.items():
            sizes.setdefault(name, []).append(scores.size)
    return [
        Line2D([], [], color=look.colour, ls=look.dash,
               label=f"{name} (n = {style.count_range(sizes[name])})")
        for name, look in chosen.items()
        if name in sizes
    ]  # fmt: skip


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
        axes.ecdf(scores, color=look.colour, ls=look.dash)
        axes.axvline(stats.iqm(scores), color=look.colour, ls="--", lw=1.2)
    axes.set_ylabel("Fraction of\nseeds")
    axes.set_ylim(0.0, 1.02)
