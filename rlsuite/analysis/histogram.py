"""The distribution of a dataset's episode returns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from rlsuite.analysis import style


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
    figure, (axes,) = style.panels(1, size=(4.6, 3.0))
    bins = min(60, max(10, int(np.sqrt(len(returns)) * 2)))
    axes.hist(returns, bins=bins, color=style.COLOURS[0], alpha=0.85)
    axes.axvline(float(returns.mean()), color=style.INK, ls="--", lw=1.2)
    axes.set_title(f"{title}: {len(returns):,} episodes, mean {returns.mean():.4g}")
    axes.set_xlabel("Episode return")
    axes.set_ylabel("Episodes")
    if score is not None:
        low, high = score
        width = high - low
        above = axes.secondary_xaxis(
            "top", functions=(lambda r: 100 * (r - low) / width, lambda s: low + s * width / 100)
        )
        above.set_xlabel("Normalised score")
        axes.set_title(axes.get_title(), pad=8)
    return figure
