"""What the parent shows: a live panel on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rlsuite.engine.launch.session import how_it_ended
from rlsuite.engine.plan.cells import Cell

LINE_SECONDS = 15.0
MOST_SHOWN = 12
MUCH_MORE = 1.25


@dataclass
class Active:
    """What was last heard of a run under way."""

    steps: int = 0
    ret: float | None = None
    rate: float = 0.0


@dataclass
class Tally:
    """How far all cells are."""

    cells: dict[str, Cell]
    finished: set[str]
    active: dict[str, Active] = field(default_factory=dict)
    returns: list[float] = field(default_factory=list)
    nan: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    unfit: dict[str, str] = field(default_factory=dict)
    memory: int = 0
    refused: str = ""
    began: float = field(default_factory=time.monotonic)

    def total_steps(self) -> int:
        """Environment steps of all cells."""
        return sum(cell.own_steps for cell in self.cells.values())

    def done_steps(self) -> int:
        """Environment steps taken so far, earlier runs included."""
        whole = sum(self.cells[c].own_steps for c in self.finished if c in self.cells)
        return whole + sum(self._own(c, active.steps) for c, active in self.active.items())

    def _own(self, cell_id: str, steps: int) -> int:
        """Without those that what it goes on from has behind it."""
        cell = self.cells.get(cell_id)
        return steps if cell is None else max(0, steps - (cell.total_steps - cell.own_steps))

    def rate(self) -> float:
        """Environment steps per second of all runs under way."""
        return sum(active.rate for active in self.active.values())

    def seconds_left(self) -> float | None:
        """At the present rate: an average since the start would count imports and compilation."""
        rate = self.rate()
        return (self.total_steps() - self.done_steps()) / rate if rate else None

    def take(self, slot: int, event: dict[str, Any]) -> str | None:
        """Note an event; a line to print, if it is news."""
        kind, cell = event["event"], event.get("cell")
        if kind == "start":
            self.active[str(cell)] = Active()
        elif kind == "progress":
            self.active[str(cell)] = Active(event["steps"], event["ret"], event["rate"])
        elif kind in ("done", "nan"):
            self.active.pop(str(cell), None)
            self.finished.add(str(cell))
            self.nan += kind == "nan"
            if event["ret"] is not None:
                self.returns.append(event["ret"])
            return f"{self.name(cell)} turned to NaN: kept and counted" if kind == "nan" else None
        elif kind == "failed":
            self.active.pop(str(cell), None)
            self.failed[str(cell)] = event["error"]
            self.finished.add(str(cell))
            return self._why(str(cell), event)
        elif kind == "estimate":
            before, self.memory = self.memory, max(self.memory, event["bytes"])
            # Said again only where it was far too little.
            news = self.memory > MUCH_MORE * before
            return f"about {self.memory / 2**30:.1f} GiB for each worker" if news else None
        elif kind == "refused":
            self.refused = event["error"]
        elif kind == "hung":
            return (
                f"worker {slot} hardly used the CPU and said nothing for {event['seconds']:.0f} s "
                f"in {self.name(cell)}: killed, it goes on from its last checkpoint"
            )
        elif kind == "died":
            then = "started again" if event["restarted"] else "given up"
            said = f", its last words: {event['text'][:300]}" if event.get("text") else ""
            how = how_it_ended(event["code"])
            return f"worker {slot} {how} in {self.name(cell)}: {then}{said}"
        elif kind == "output":
            return f"worker {slot}: {event['text']}"
        return None

    def _why(self, cell: str, event: dict[str, Any]) -> str | None:
        """Of an input that cannot be used once, not for every run that is given it."""
        error, left_out = event["error"], event.get("left_out")
        if left_out is None:
            inside = f" in the environment {event['inside']}" if event.get("inside") else ""
            whole = f" (the whole text: {event['text']})" if event.get("text") else ""
            return f"{self.name(cell)} failed{inside}: {error}{whole}"
        told = error in self.unfit.values()
        self.unfit[cell] = error
        return None if told else f"runs {left_out} are left out: {error}"

    def name(self, cell_id: str | None) -> str:
        """A cell in a user's words."""
        cell = self.cells.get(cell_id or "")
        if cell is None:
            return "no cell"
        return f"{cell.series} on {cell.task}, seed {cell.seed}"


def duration(seconds: float | None) -> str:
    """Seconds as 1:02:03 or 2:03."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Progress:
    """Shows a tally; use as a context manager."""

    def __init__(self, tally: Tally, console: Console) -> None:
        self.tally, self.console = tally, console
        self._live: Live | None = None
        self._line = time.monotonic()

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self.console,
                              refresh_per_second=2, transient=True)  # fmt: skip
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def on_event(self, slot: int, event: dict[str, Any]) -> None:
        """Take an event and show what is new."""
        news = self.tally.take(slot, event)
        if news:
            self.console.print(Text(news, style="yellow"), soft_wrap=True)
        now = time.monotonic()
        if self._live is None and now - self._line >= LINE_SECONDS:
            self._line = now
            self.console.print(self._summary())

    def _summary(self) -> str:
        t = self.tally
        parts = [
            f"{len(t.finished)}/{len(t.cells)} runs",
            f"{t.done_steps() / max(t.total_steps(), 1):.0%} of {t.total_steps():,} steps",
            f"{t.rate():,.0f} steps/s",
            f"{duration(t.seconds_left())} left",
        ]
        if t.returns:
            parts.append(f"finished returns mean {sum(t.returns) / len(t.returns):.1f}")
        parts += [f"{t.nan} NaN"] * bool(t.nan) + [f"{len(t.failed)} failed"] * bool(t.failed)
        return " · ".join(parts)

    def _render(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for heading in ("run", "steps", "steps/s", "return so far", "left"):
            table.add_column(heading, justify="left" if heading == "run" else "right")
        for cell_id, active in list(self.tally.active.items())[:MOST_SHOWN]:
            cell = self.tally.cells.get(cell_id)
            if cell is None:
                continue
            left = (cell.total_steps - active.steps) / active.rate if active.rate else None
            table.add_row(
                self.tally.name(cell_id),
                f"{active.steps:,}/{cell.total_steps:,}",
                f"{active.rate:,.0f}",
                "–" if active.ret is None else f"{active.ret:.1f}",
                duration(left),
            )
        return Group(table, Text(self._summary(), style="bold"))
