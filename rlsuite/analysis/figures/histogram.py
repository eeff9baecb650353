"""The distribution of a dataset's episode returns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from rlsuite.analysis.figures import style
from rlsuite.analysis.stats.bootstrap import Floats


@style.styled
def returns_histogram(
    returns: Float[np.ndarray, " episodes"], title: str, score: tuple[float, float] | None = None
) -> Figure:
    """Episodes by return, their mean dashed; above, the normalised scale where there is one.

    Args:
      returns: of complete episodes.
      title: of the figure.
      score: returns that count as 0 and 100.
    """
    figure, (axes,) = style.panels(1, [2.8])
    bins = min(60, max(10, int(np.sqrt(len(returns)) * 2)))
    axes.hist(returns, bins=bins, color=style.COLOURS[0], alpha=0.85)
    axes.axvline(float(returns.mean()), color=style.INK, ls="--", lw=1.2)
    told = f"{title}: {len(returns):,} episodes, mean {returns.mean():.4g}"
    style.entitle(axes, told)
    axes.set_xlabel("Episode return")
    axes.set_ylabel("Episodes")
    if score is not None:
        low, high = score
        width = high - low

        def score_of(r: ArrayLike) -> Floats:
            return 100 * (np.asarray(r, np.float64) - low) / width

        def return_of(s: ArrayLike) -> Floats:
            return low + np.asarray(s, np.float64) * width / 100

        above = axes.secondary_xaxis("top", functions=(score_of, return_of))
        above.set_xlabel("Normalised score")
        axes.set_title(axes.get_title(), x=0.0, ha="left", pad=8)
    return figure
