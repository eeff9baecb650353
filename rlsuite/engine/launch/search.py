"""Populations across runs: a search asks for runs, is told what came out, and asks again.

A search is two pure functions of a plain state; what drives it appends the runs to a run folder,
lets workers do them and commits the state like a run's: it is claimed, resumed after a kill and
never run twice. A population *inside* one program is an ordinary agent whose `learn` vmaps another.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rich.console import Console

from rlsuite.contracts.errors import UsageError
from rlsuite.engine.launch.execute import execute, modules
from rlsuite.engine.launch.session import Workers
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.plan.spec import Request, expand
from rlsuite.engine.store.claims import Claims
from rlsuite.engine.store.store import Rows, Store, unpack_rows
from rlsuite.io import files

# Anything that JSON holds.
Plain = Any


@dataclass(frozen=True)
class Finished:
    """What became of one run.

    Attributes:
      cell: what was run.
      status: done, nan or failed.
      rows: metric -> [(step, seconds of training, value), ...].
      path: of its file, which `rlsuite.load` reads.
    """

    cell: Cell
    status: str
    rows: Rows
    path: Path

    def last(self, metric: str = "eval/return") -> float:
        """The last value of a metric; -inf of a run that has none or did not come to its end."""
        entries = self.rows.get(metric) if self.status == "done" else None
        return entries[-1][2] if entries else float("-inf")


@runtime_checkable
class Search(Protocol):
    """What decides which runs are made."""

    def start(self) -> Plain:
        """The first state: what JSON holds, its random seed included."""
        ...

    def ask(self, state: Plain, /) -> Sequence[Request]:
        """The next runs; none: the search is over. The same for the same state, always."""
        ...

    def tell(self, state: Plain, results: Sequence[Sequence[Finished]], /) -> Plain:
        """The next state: `results` are, for each request that was asked, its runs in their
        order."""
        ...


def drive(
    search: Search, folder: Path, workers: int | None = None, console: Console | None = None
) -> Plain:
    """Run a search to its end, or on from where it was.

    Args:
      search: what decides.
      folder: run folder of all its runs; another search needs another.
      workers: processes; default one a core.
      console: where progress goes; None: nowhere.

    Returns:
      The last state.

    Raises:
      UsageError: another process drives this search, the folder is another search's, or runs were
        left (Ctrl-C): the same call goes on.
    """
    store, began = Store(folder), search.start()
    store.check_folder()
    store.prepare([], ["rlsuite.search"])
    name = _id(search, began)
    _check_only(store, name)
    claims = Claims(folder)
    if not claims.take(name):
        raise UsageError(f"another process drives the search in {folder}")
    try:
        return _drive(search, store, name, began, workers, console or Console(quiet=True))
    finally:
        claims.close()


def _drive(
    search: Search, store: Store, name: str, state: Plain, workers: int | None, console: Console
) -> Plain:
    if store.is_done(name):
        return _read(store.path(name, "done"))
    if store.path(name, "checkpoint").exists():
        state = _read(store.path(name, "checkpoint"))
    while requests := search.ask(state):
        results = _run(requests, store, workers, console)
        before, state = state, json.loads(json.dumps(search.tell(state, results)))
        if state == before:
            raise UsageError("the search would ask for the same runs forever: tell changed nothing")
        store.commit(name, {}, {}, {"search": name, "state": state})
    store.finish(name, {}, {}, {"search": name, "state": state, "status": "done"})
    return state


def _run(
    requests: Sequence[Request], store: Store, workers: int | None, console: Console
) -> list[list[Finished]]:
    """The runs of some requests, those of them that were finished before not again."""
    asked = [expand([request]) for request in requests]
    cells = store.prepare([cell for some in asked for cell in some], ["rlsuite.search"])
    ids = store.ids()
    if not all(store.is_done(cell.id) or _gave_up(store, cell) for cell in cells):
        pool = Workers(workers, "auto", modules(cells), **store.how())
        outcome = execute(store, cells, pool, console, store.folder)
        if outcome.left > len(outcome.failed):
            raise UsageError(f"{outcome.left} runs are left: the same call goes on")
    # Not those that make what others of the request are given.
    own = [[c for c in some if c.agent == r.agent] for r, some in zip(requests, asked, strict=True)]
    return [[_finished(store, c.with_id(ids[c.digest])) for c in some] for some in own]


def _gave_up(store: Store, cell: Cell) -> bool:
    return store.path(cell.id, "failed").exists()


def _finished(store: Store, cell: Cell) -> Finished:
    path = store.path(cell.id, "done")
    if not path.exists():
        return Finished(cell, "failed", {}, path)
    arrays, meta = files.read_arrays(path)
    return Finished(cell, meta["status"], unpack_rows(arrays), path)


def _id(search: Search, state: Plain) -> str:
    """Of a search by what it is, what it was made with and how it starts."""
    fields = dataclasses.asdict(search) if dataclasses.is_dataclass(search) else {}  # pyright: ignore
    what = [type(search).__module__, type(search).__qualname__, fields, state]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def _check_only(store: Store, name: str) -> None:
    known = {str(cell.id) for cell in store.cells()}
    for kind in ("checkpoint", "done"):
        for path in store.cells_folder.glob(f"*.{kind}"):
            if path.stem not in known | {name} and "search" in files.read_meta(path):
                raise UsageError(
                    f"{store.folder} is the folder of another search: use one of its own"
                )


def _read(path: Path) -> Plain:
    return files.read_meta(path)["state"]
