"""What it costs to choose among trained policies by trying them (Kurenkov and Kolesnikov, 2022).

Offline agents are tuned by playing their policies. The expected online performance at a budget of k
is the expected score of the best of k policies drawn from those that were trained: an agent that
needs no luck with its settings is good at k = 1, one that needs many tries only further right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from rlsuite.analysis import scores, style
from rlsuite.analysis.bootstrap import Floats
from rlsuite.analysis.frames import Frames

_MOST_TRIED = 20


def expected_best(values: ArrayLike, budgets: Sequence[int]) -> Floats:
    """E[max of k scores drawn with replacement] for each budget k (Dodge et al., 2019, eq. 4-5).

    With n scores in increasing order it is sum_i v_i ((i/n)^k - ((i-1)/n)^k): no sampling. It
    takes a policy's score as known once it was tried, so it speaks of scores over enough episodes.

    Args:
      values: scores of trained policies, at least one; NaN (a lost run) counts as the worst.
      budgets: how many are tried, each at least 1.
    """
    x = np.asarray(values, np.float64)
    ordered = np.sort(np.where(np.isfinite(x), x, np.nanmin(x)))
    reached = np.arange(len(ordered) + 1) / len(ordered)
    return np.array([ordered @ np.diff(reached**k) for k in budgets])


def table(frames: Frames) -> pl.DataFrame:
    """Expected online performance on every task: of each series over its seeds, and of an agent
    whose settings were swept over all of them.

    Returns:
      env, agent, policies, k, expected; k from 1 to the number of policies, at most 20.
    """
    columns = ("env", "agent", "policies", "k", "expected")
    rows = []
    swept = pl.col("sweep") != "{}"
    pooled = pl.when(swept).then(pl.col("agent")).otherwise(pl.col("series"))
    scored = scores.final(frames).with_columns(series=pooled)
    for agent, envs in scores.samples(scored).items():
        for env, x in envs.items():
            if not np.isfinite(x).any():
                continue
            budgets = range(1, min(len(x), _MOST_TRIED) + 1)
            expected = expected_best(x, budgets)
            rows += [
                (env, agent, len(x), k, float(e)) for k, e in zip(budgets, expected, strict=True)
            ]
    return pl.DataFrame(rows, schema=columns, orient="row")


@style.styled
def online_cost(found: pl.DataFrame, y_label: str) -> Figure:
    """Draw `table`: a panel for each task, a line for each agent."""
    envs, agents = (list(found[name].unique(maintain_order=True)) for name in ("env", "agent"))
    looks = style.looks(agents)
    figure, panels = style.panels(len(envs))
    for env, axes in zip(envs, panels, strict=True):
        for agent in agents:
            line = found.filter((pl.col("env") == env) & (pl.col("agent") == agent))
            look = looks[agent]
            axes.plot(line["k"], line["expected"], look.dash, color=look.colour, label=agent)
        axes.set_title(env)
        axes.set_xlabel("Policies tried online")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylabel(f"Expected {y_label}")
    handles, _ = panels[0].get_legend_handles_labels()
    style.legend_outside(figure, handles, beside=False)
    return figure
