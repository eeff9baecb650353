"""Nearest-neighbour searches, each backend in turn, and what they add to an update.

The second part runs PRDC's gradient steps and TD3+BC's in turn in the same run: the two differ in
nothing but the search.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from rlsuite.bench import updates
from rlsuite.bench.crew import Crew
from rlsuite.bench.results import Spread, spread
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.launch.process_env import worker_environment

BACKENDS = ("table", "exact", "host")
# PRDC's update over TD3+BC's.
TARGET = 1.3


@dataclass(frozen=True)
class Searching:
    """What is searched, one process on one core.

    Attributes:
      rows, states, actions: of the data, a random walk.
      batch: queries of a search: rows whose actions carry normal noise of deviation `noise`.
      neighbours: K of the table.
      beta: weight of states.
      seconds: how long each backend is timed.
      repeats: measurements of each, in turn.
    """

    rows: int = 200_000
    states: int = 17
    actions: int = 6
    batch: int = 256
    neighbours: int = 64
    beta: float = 2.0
    noise: float = 0.3
    seconds: float = 3.0
    repeats: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rows", "states", "actions", "batch", "neighbours"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class Searched:
    """What was measured.

    Attributes:
      rates: minibatches per second, of each backend.
      facts: of each: bytes it holds and works in, the share of queries whose nearest row it found,
        and the share it certified; the seconds the table took and the share of queries that are
        their own neighbours.
    """

    rates: dict[str, Spread]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Updated:
    """Updates a second of TD3+BC and of PRDC, and how many times longer PRDC's take."""

    base: Spread
    searching: Spread
    ratio: Spread


def search(work: Searching) -> Searched:
    """All backends in turn."""
    module = "rlsuite.bench.children.run_neighbours"
    rates: dict[str, list[float]] = {name: [] for name in BACKENDS}
    command = [sys.executable, "-m", module, json.dumps(vars(work))]
    with Crew([command], worker_environment("cpu")) as crew:
        facts = crew.ready()[0]
        for _ in range(work.repeats):
            for name in BACKENDS:
                rates[name].append(crew.release(name)[1][0])
    del facts["event"]
    return Searched({name: _spread(found) for name, found in rates.items()}, facts)


def update(count: int, repeats: int, say: Callable[[str], Any] = print) -> Updated:
    """PRDC's gradient steps and TD3+BC's in turn, one process on one core each.

    Args:
      count: gradient steps in one measurement.
      repeats: measurements of each agent.
      say: told which process is prepared.
    """
    crews = []
    seconds: dict[str, list[float]] = {"td3-bc": [], "prdc": []}
    try:
        for name in seconds:
            say(f"{name}: preparing")
            crews.append(updates.start(updates.Updating(name, updates=count, repeats=repeats)))
            crews[-1].ready()
        for _ in range(repeats):
            for taken, crew in zip(seconds.values(), crews, strict=True):
                taken.append(crew.release("run")[0])
    finally:
        for crew in crews:
            crew.close()
    base, ours = seconds.values()
    ratios = [mine / theirs for mine, theirs in zip(ours, base, strict=True)]
    rates = [[count / s for s in taken] for taken in (base, ours)]
    return Updated(_spread(rates[0]), _spread(rates[1]), _spread(ratios))


def _spread(values: list[float]) -> Spread:
    found = spread(values)
    assert found is not None
    return found


def search_table(found: Searched, work: Searching) -> Table:
    """A row a backend."""
    title = f"{work.rows:,} rows of {work.states}+{work.actions}, {work.batch} queries, one core"
    shown = Table(title=title)
    shown.add_column("")
    for column in ("searches/s: least", "median", "greatest", "MiB", "nearest", "certified"):
        shown.add_column(column, justify="right")
    for name, rate in found.rates.items():
        memory, right, certified = (found.facts[k][name] for k in ("memory", "right", "certified"))
        shown.add_row(
            name, *(f"{x:,.1f}" for x in rate), f"{memory / 2**20:,.0f}",
            f"{right:.1%}", f"{certified:.1%}",
        )  # fmt: skip
    shown.caption = (
        f"table of {work.neighbours} built in {found.facts['build_seconds']:.0f} s; "
        f"{found.facts['self_neighbour']:.0%} of the queries are their own neighbours"
    )
    return shown


def update_table(found: Updated) -> Table:
    """Against the target."""
    shown = Table(title="gradient updates, one core, in turn")
    for column in ("", "least", "median", "greatest", "target"):
        shown.add_column(column, justify="left" if not column else "right")
    shown.add_row("td3-bc, updates/s", *(f"{x:,.1f}" for x in found.base), "")
    shown.add_row("prdc, updates/s", *(f"{x:,.1f}" for x in found.searching), "")
    verdict = "met" if found.ratio.median <= TARGET else "missed"
    numbers = (f"{x:.3f}" for x in found.ratio)
    shown.add_row("prdc's time / td3-bc's", *numbers, f"<= {TARGET:g} {verdict}")
    return shown
