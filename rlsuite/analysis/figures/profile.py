"""Performance profiles: which fraction of runs scores above each threshold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from rlsuite.analysis.figures import selection, style
from rlsuite.analysis.figures.style import Look
from rlsuite.analysis.stats import stats
from rlsuite.analysis.stats.bootstrap import Floats
from rlsuite.analysis.stats.scores import Samples

_THRESHOLDS = 201


def profiles(samples: Samples) -> dict[str, stats.Profile]:
    """The profile of each series over thresholds from the worst to the best run of all."""
    taus = thresholds(samples)
    return {s: stats.performance_profile(envs, taus) for s, envs in samples.items() if envs}


def thresholds(samples: Samples) -> Floats:
    """From the lowest to the highest finite score, evenly."""
    every = [x[np.isfinite(x)] for envs in samples.values() for x in envs.values()]
    pooled = np.concatenate(every) if every else np.empty(0)
    if not pooled.size:
        return np.linspace(0.0, 1.0, _THRESHOLDS)
    low, high = float(pooled.min()), float(pooled.max())
    margin = 0.02 * (high - low) or 0.5
    return np.linspace(low - margin, high + margin, _THRESHOLDS)


@style.styled
def performance_profiles(
    samples: Samples, x_label: str = "Final return τ", looks: Mapping[str, Look] | None = None
) -> Figure:
    """Draw the profiles with their pointwise 95 % bands.

    Args:
      samples: series to environment to scores, on one scale (`scores.normalise`) if there are
        several environments.
      x_label: what the scale is.
      looks: how each series to name is drawn; default: decided by these scores.
    """
    drawn = profiles(samples)
    if looks is None:
        values = {s: [stats.estimate(samples[s], "iqm", reps=1).value] for s in drawn}
        looks = selection.highlighted(drawn, values, fullness=selection.fullness(samples))
    figure, (axes,) = style.panels(1, [2.8])
    for series in selection.some([s for s in drawn if s not in looks]):
        profile = drawn[series]
        axes.plot(profile.thresholds, profile.value, color=style.MUTED, lw=0.8, alpha=0.7)
    for series, look in ((s, look) for s, look in looks.items() if s in drawn):
        profile = drawn[series]
        label = f"{series} ({_runs(profile)})"
        axes.plot(profile.thresholds, profile.value, look.dash, color=look.colour, label=label)
        axes.fill_between(
            profile.thresholds, profile.low, profile.high, color=look.colour, alpha=0.16, lw=0
        )
    axes.set_ylim(0.0, 1.02)
    axes.margins(x=0.0)
    axes.set_xlabel(x_label)
    axes.set_ylabel("Fraction of runs above τ")
    entries = axes.get_legend_handles_labels()[0]
    style.legend_above(figure, entries + style.others_entry(len(set(drawn) - set(looks))))
    return figure


def _runs(profile: stats.Profile) -> str:
    lost = f", {profile.n_nan} lost" if profile.n_nan else ""
    return f"{profile.n} run{'' if profile.n == 1 else 's'}{lost}"
