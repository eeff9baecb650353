"""Contenders in turn, each timed for the same while, and how many times faster we are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from rich.table import Table

from rlsuite.bench.contenders import CHILDREN, WAYS, Contender, import_failure, plain_environment
from rlsuite.bench.measure import Entrant
from rlsuite.bench.results import Spread, spread
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.launch.process_env import worker_environment


@dataclass(frozen=True)
class Rival:
    """Another suite: the module that must be importable, the script that runs it, the agents it
    has, and how many times faster than it we are to be."""

    module: str
    child: str
    agents: tuple[str, ...]
    goal: float


@runtime_checkable
class Work(Protocol):
    """What is raced: `child` is our script, `orders` tells each process what to do."""

    child: ClassVar[str]

    def orders(self, agent: str, way: str) -> list[str]:
        """One for each process of that way."""
        ...


@dataclass
class Lap:
    """One contender on one agent: what all its processes do in a second, repeat by repeat; how many
    times faster we are in the same repeat (None for ourselves, or without measurements)."""

    agent: str
    name: str
    way: str
    processes: int
    rates: list[float]
    ratio: Spread | None = None
    failure: str = ""
    versions: dict[str, Any] = field(default_factory=dict)


def contenders(
    work: Work, agent: str, python: Path | None, rivals: Mapping[str, Rival]
) -> list[Contender]:
    """Ourselves, then each rival that has the agent, in each way.

    Args:
      work: what is raced.
      agent: its name here.
      python: of an environment where the rivals are installed; None where there are none.
      rivals: by name.
    """
    module = [sys.executable, "-m", f"rlsuite.bench.children.{work.child}"]
    commands = [[*module, order] for order in work.orders(agent, "per-core")]
    found = [Contender("rlsuite", "per-core", commands, worker_environment("cpu"))]
    for name in (name for name, rival in rivals.items() if agent in rival.agents):
        script = str(CHILDREN / f"{rivals[name].child}.py")
        for way in WAYS:
            env = plain_environment() if way == "documented" else worker_environment("cpu")
            commands = [[str(python), script, order] for order in work.orders(agent, way)]
            found.append(Contender(name, way, commands, env))
    return found


def present(
    text: str, rivals: Mapping[str, Rival], python: Path | None, say: Callable[[str], None]
) -> dict[str, Rival]:
    """Rivals asked for that can be run; one line for each that cannot.

    Args:
      text: names, separated by commas; "" for none.
      rivals: all there are, by name.
      python: of an environment where those asked for should be installed.
      say: told who is left out, and why.

    Raises:
      UsageError: an unknown rival; rivals without a Python or the other way round.
    """
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in rivals:
            raise UsageError(f"--rivals: no rival {name!r} here: {nearest(name, rivals)}")
    if bool(names) != (python is not None):
        raise UsageError("--rivals and --rival-python go together")
    if python is None:
        return {}
    failures = {name: import_failure(python, rivals[name].module) for name in names}
    for name in (name for name in names if failures[name]):
        say(f"{name} is left out: {failures[name]}")
    return {name: rivals[name] for name in names if not failures[name]}


def race(
    agent: str, contenders: Sequence[Contender], repeats: int, say: Callable[[str], None]
) -> list[Lap]:
    """All contenders on an agent in turn, ours first.

    Args:
      agent: its name, for the table.
      contenders: ours first.
      repeats: measurements of each.
      say: told who is prepared, and who hangs.

    Raises:
      RuntimeError: our own processes died or hung.
    """
    entrants = [Entrant(contender, say) for contender in contenders]
    rates: list[list[float | None]] = [[] for _ in entrants]
    try:
        for entrant in entrants:
            say(f"{agent}: preparing {entrant.contender.name} ({entrant.contender.way})")
            entrant.start()
        for _ in range(repeats):
            for found, entrant in zip(rates, entrants, strict=True):
                found.append(entrant.rate())
    finally:
        for entrant in entrants:
            entrant.close()
    if failure := entrants[0].outcome.failure:
        raise RuntimeError(f"rlsuite's own run {failure}")
    return [
        _lap(agent, rates[0], found, entrant)
        for found, entrant in zip(rates, entrants, strict=True)
    ]


def _lap(
    agent: str, ours: Sequence[float | None], rates: Sequence[float | None], entrant: Entrant
) -> Lap:
    outcome = entrant.outcome
    pairs = zip(ours, rates, strict=True)
    ratio = spread([a / b for a, b in pairs if a and b]) if outcome.name != "rlsuite" else None
    return Lap(
        agent, outcome.name, outcome.way, outcome.processes,
        [rate for rate in rates if rate], ratio, outcome.failure, outcome.versions,
    )  # fmt: skip


def table(laps: Sequence[Lap], rivals: Mapping[str, Rival], title: str, unit: str) -> Table:
    """A row a contender and agent.

    Args:
      laps: of `race`, of as many agents as there are.
      rivals: by name, for what is aimed at.
      title: of the table.
      unit: of the rates: updates/s.
    """
    shown = Table(title=title)
    for column in ("agent", "by", "run"):
        shown.add_column(column)
    for column in (unit, "ours: least times", "median", "greatest", "target"):
        shown.add_column(column, justify="right")
    for lap in laps:
        how = f"{lap.way}, {lap.processes} process{'es' * (lap.processes > 1)}"
        rate = spread(lap.rates)
        row = [lap.agent, lap.name, how, f"{rate.median:,.1f}" if rate else lap.failure]
        if lap.ratio is not None:
            goal = rivals[lap.name].goal
            verdict = "met" if lap.ratio.median >= goal else "missed"
            row += [*(f"{x:.2f}" for x in lap.ratio), f">= {goal:g} {verdict}"]
        shown.add_row(*row)
    return shown
