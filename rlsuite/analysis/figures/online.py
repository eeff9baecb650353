"""What it costs to choose among trained policies by trying them (Kurenkov and Kolesnikov, 2022).

Offline agents are tuned by playing their policies. The expected online performance at a budget of k
is the expected score of the best of k policies drawn from those that were trained: an agent that
needs no luck with its settings is good at k = 1, one that needs many tries only further right.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from rlsuite.analysis.figures import selection, style
from rlsuite.analysis.figures.style import Look
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.stats import scores, sweep
from rlsuite.analysis.stats.bootstrap import Floats

_MOST_TRIED = 20
_COLUMNS = {
    "env": pl.String, "agent": pl.String, "policies": pl.Int64, "k": pl.Int64,
    "expected": pl.Float64, "pooled": pl.Boolean,
}  # fmt: skip


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
    """Expected online performance on every task: of each series over its seeds, and of a sweep over
    all of its points and seeds. Runs that differ in anything that was not swept are never pooled.

    Returns:
      env, agent (the name that a sweep's series share, else a series), policies, k, expected,
      pooled (whether over settings too); k from 1 to the number of policies, at most 20.
    """
    rows = []
    scored = scores.final(frames)
    names = _sweeps(scored)
    called = [names.get(key, key[1]) for key in scored.select("env", "series").iter_rows()]
    pooled = {(key[0], name) for key, name in names.items()}
    named = scored.with_columns(series=pl.Series(called, dtype=pl.String))
    for agent, envs in scores.samples(named).items():
        for env, x in envs.items():
            if not np.isfinite(x).any():
                continue
            budgets = range(1, min(len(x), _MOST_TRIED) + 1)
            expected = expected_best(x, budgets)
            rows += [
                (env, agent, len(x), k, float(e), (env, agent) in pooled)
                for k, e in zip(budgets, expected, strict=True)
            ]
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def choosing(frames: Frames) -> pl.DataFrame:
    """`table` for runs on datasets, whose policies are chosen by trying them; empty for others, and
    where there is nothing to choose from."""
    return frames.once("choosing", lambda: _choosing(frames))


def _choosing(frames: Frames) -> pl.DataFrame:
    found = table(frames) if frames.step_name == "Gradient updates" else pl.DataFrame()
    return found if "k" in found.columns and found["k"].n_unique() > 1 else pl.DataFrame()


def _sweeps(scored: pl.DataFrame) -> dict[tuple[str, str], str]:
    """What the series of each sweep are called together, by environment and series: as nothing else
    is there."""
    families = [
        (family, env, cells["series"].unique(maintain_order=True).to_list())
        for family, env, cells in sweep.families(scored)
    ]
    swept = {(env, name) for _, env, members in families if len(members) > 1 for name in members}
    alone = {name for env, name in scored.select("env", "series").iter_rows()
             if (env, name) not in swept}  # fmt: skip
    names: dict[tuple[str, str], str] = {}
    for family, env, members in (found for found in families if len(found[2]) > 1):
        base = f"{family}, swept" if family in alone else family
        taken = {name for key, name in names.items() if key[0] == env} | alone
        numbered = (f"{base} ({number})" for number in itertools.count(2))
        name = next(name for name in itertools.chain([base], numbered) if name not in taken)
        names |= {(env, member): name for member in members}
    return names


@style.styled
def online_cost(
    found: pl.DataFrame, y_label: str, looks: Mapping[str, Look] | None = None
) -> Figure:
    """Draw `table`: a panel for each task, a line for each agent.

    Args:
      found: from `table`.
      y_label: what is expected.
      looks: how each series to name is drawn; an agent whose settings are pooled is no series and
        gets one after theirs. Default: all are named.
    """
    envs = found["env"].unique(maintain_order=True).to_list()
    chosen = _looks(found, looks)
    figure, panels = style.panels(len(envs))
    for env, axes in zip(envs, panels, strict=False):
        here = found.filter(pl.col("env") == env)
        for (agent,), line in here.group_by("agent", maintain_order=True):
            _draw(axes, line, chosen.get(str(agent)))
        style.entitle(axes, env)
        axes.set_ylabel(f"Expected\n{y_label}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlabel("Policies tried online")
    style.legend_above(figure, _entries(set(found["agent"]), chosen))
    return figure


def _draw(axes: Axes, line: pl.DataFrame, look: Look | None) -> None:
    marker = "o" if line.height == 1 else None
    x, y = line["k"], line["expected"]
    if look is None:
        axes.plot(x, y, color=style.MUTED, lw=0.8, marker=marker, ms=3, zorder=1.9)
    else:
        axes.plot(x, y, look.dash, color=look.colour, marker=marker, ms=4)


def _entries(drawn: set[str], chosen: Mapping[str, Look]) -> list[Artist]:
    handles: list[Artist] = [
        Line2D([], [], color=look.colour, ls=look.dash, label=name)
        for name, look in chosen.items()
        if name in drawn
    ]
    return handles + style.others_entry(len(drawn - set(chosen)))


def _looks(found: pl.DataFrame, looks: Mapping[str, Look] | None) -> dict[str, Look]:
    """Those of the page, and a colour after them for each agent that pools a sweep."""
    agents = found["agent"].unique(maintain_order=True).to_list()
    if looks is None:
        return selection.highlighted(agents, _values(found))
    pooled = found.filter("pooled")["agent"].unique(maintain_order=True).to_list()
    return style.looks([*looks, *(agent for agent in pooled if agent not in looks)]) | dict(looks)


def _values(found: pl.DataFrame) -> dict[str, list[float]]:
    """Agent to what its best policy is expected to score on each task."""
    best = found.group_by("env", "agent", maintain_order=True).agg(pl.col("expected").max())
    wide = best.pivot("env", index="agent", values="expected", maintain_order=True)
    filled = wide.fill_null(float("nan"))
    return {str(row[0]): list(row[1:]) for row in filled.iter_rows()}
