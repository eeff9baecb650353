"""A worker that is asked to stop before its first run, or meets a dataset that cannot be used."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.experimental import io_callback
from jax.experimental.buffer_callback import buffer_callback
from rich.console import Console
from tiny import tiny_cells

from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.refs import DataRef
from rlsuite.engine.launch.execute import execute
from rlsuite.engine.launch.progress import Tally
from rlsuite.engine.launch.session import Workers
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.run import inputs, memory, runner
from rlsuite.engine.run.program import Program
from rlsuite.engine.run.worker import Worker, own_error
from rlsuite.engine.store.store import Store
from rlsuite.io import files


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """A worker takes them over."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def test_a_stop_does_not_wait_for_what_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of neighbours takes minutes, and no run is under way yet that could be lost."""
    ref = DataRef("dataset", "set", "0f", "set", "CartPole-v1", "own", 9, (4,), (), discrete=True)
    cell = dataclasses.replace(tiny_cells()[0], data=ref)
    Store(tmp_path).prepare([cell], [])
    seen: list[str] = []

    def prepare(data: Any) -> Any:
        seen.append("begun")
        os.kill(os.getpid(), signal.SIGTERM)
        seen.append("ended")
        return data

    agent = SimpleNamespace(env=None, prepare=prepare)
    monkeypatch.setattr(inputs, "load", lambda ref, env: "rows")
    monkeypatch.setattr(Program, "for_cell", lambda cell, width: SimpleNamespace(agent=agent))
    with signals_kept():
        worker = Worker(tmp_path, 0, 1, 1)
        assert worker._run_claimed([cell])
    assert seen == ["begun"]
    assert worker.should_stop()
    # Neither done nor failed: it is run the next time.
    assert [c.id for c in worker._left()] == [cell.id]
    assert not worker.inputs.preparing
    assert not worker.inputs.prepared


def cells_on(*names: str) -> list[Cell]:
    """Two seeds on each of some datasets."""
    refs = [
        DataRef("dataset", n, n, n, "CartPole-v1", "own", 9, (4,), (), discrete=True) for n in names
    ]
    return [dataclasses.replace(c, data=ref) for ref in refs for c in tiny_cells(seeds=2)]


class Run:
    """A runner that finishes at once."""

    def __init__(self, batch: list[Cell], _: Any, store: Store, *__: Any, **___: Any) -> None:
        self.batch, self.store = batch, store

    def run(self) -> None:
        """Done."""
        for cell in self.batch:
            self.store.finish(cell.id, {}, {}, {"status": "done"})


@pytest.mark.parametrize("where", ["load", "prepare"])
def test_a_dataset_that_cannot_be_used_stops_only_its_own_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    cells = cells_on("first", "bad", "last")
    store = Store(tmp_path)
    store.prepare(cells, [])
    tried: list[str] = []

    def refuse(step: str, name: str) -> str:
        if step == where:
            tried.append(name)
            if name == "bad":
                raise UsageError("bad.npz: 3 rows of 'rewards' are not finite")
        return name

    agent = SimpleNamespace(env=None, prepare=lambda data: refuse("prepare", data))
    monkeypatch.setattr(inputs, "load", lambda ref, env: refuse("load", ref.name))
    monkeypatch.setattr(Program, "for_cell", lambda cell, width: SimpleNamespace(agent=agent))
    monkeypatch.setattr(memory, "check_memory", lambda *_: 1)
    monkeypatch.setattr(runner, "Runner", Run)
    with signals_kept():
        Worker(tmp_path, 0, 1, 1).work()
    assert tried == ["first", "bad", "last"]
    bad = [cell.id for cell in cells[2:4]]
    assert {c.id for c in cells if store.is_done(c.id)} == {c.id for c in cells} - {*bad}
    for cell in bad:
        assert files.read_json(store.path(cell, "failed"))["error"].startswith("bad.npz: 3 rows")
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    tally = Tally({c.id: c for c in cells}, set())
    news = [tally.take(0, event) for event in events if event["event"] == "failed"]
    assert news == ["runs on bad are left out: bad.npz: 3 rows of 'rewards' are not finite", None]
    assert [*tally.failed] == bad


class NoWorkers(Workers):
    """Workers whose every run fails for the fault of its dataset."""

    def __init__(self, cells: list[Cell], errors: dict[str, str]) -> None:
        self.cells, self.errors = cells, errors

    def start(self, folder: Path, count: int | None = None) -> None:
        """Nothing to start."""

    def follow(self, on_event: Any) -> None:
        """Each cell's end."""
        for cell in self.cells:
            assert cell.data is not None
            name = cell.data.name
            on_event(0, {
                "event": "failed", "cell": cell.id, "error": self.errors[name],
                "left_out": f"on {name}",
            })  # fmt: skip


@pytest.mark.parametrize("both", [False, True])
def test_the_fault_of_the_only_dataset_is_the_commands(tmp_path: Path, both: bool) -> None:
    """One line and code 2; where several are at fault each has had its line."""
    cells = cells_on("bad", "worse") if both else cells_on("bad")
    store = Store(tmp_path)
    store.prepare(cells, [])
    workers = NoWorkers(cells, {"bad": "bad.npz is bad", "worse": "worse.npz is worse"})
    console = Console(file=io.StringIO(), width=200)
    if both:
        outcome = execute(store, cells, workers, console, tmp_path)
        assert (outcome.finished, outcome.left, len(outcome.failed)) == (0, 4, 4)
        assert "PPO on bad, seed 0".lower() in " ".join(outcome.failed).lower()
    else:
        with pytest.raises(UsageError, match=r"^bad\.npz is bad$"):
            execute(store, cells, workers, console, tmp_path)
        # Beside runs that are finished it is a failure like others, not the end of the command.
        store.finish(cells[0].id, {}, {}, {"status": "done"})
        workers.cells = cells[1:]
        outcome = execute(store, cells, workers, console, tmp_path)
        assert (outcome.finished, outcome.left) == (1, 1)


def commit(store: Store, cell: Cell, iteration: int, width: int) -> None:
    """A checkpoint's header."""
    meta = {"iteration": iteration, "provenance": {"width": width}}
    store.commit(cell.id, {}, {}, meta)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int]]]:
    """(width, seeds) of what a worker runs; each run is finished at once."""
    seen: list[tuple[int, list[int]]] = []

    class Seen(Run):
        def __init__(self, batch: list[Cell], program: Any, *rest: Any, **_: Any) -> None:
            seen.append((program.width, [cell.seed for cell in batch]))
            super().__init__(batch, program, *rest)

    def for_cell(cell: Cell, width: int) -> Any:
        return SimpleNamespace(agent=SimpleNamespace(env=None), width=width)

    monkeypatch.setattr(Program, "for_cell", for_cell)
    monkeypatch.setattr(memory, "check_memory", lambda *_: 1)
    monkeypatch.setattr(runner, "Runner", Seen)
    return seen


def test_cells_go_on_at_the_width_and_beside_those_that_they_began_with(
    tmp_path: Path, batches: list[tuple[int, list[int]]]
) -> None:
    cells = tiny_cells(seeds=9)
    store = Store(tmp_path)
    store.prepare(cells, [])
    places = {0: (3, 2), 1: (3, 2), 2: (5, 2), 3: (3, 1), 4: (0, 2), 5: (0, 1)}
    for seed, (iteration, width) in places.items():
        commit(store, cells[seed], iteration, width)
    with signals_kept():
        Worker(tmp_path, 0, 1, 3).work()
    assert batches == [(2, [0, 1]), (2, [2]), (1, [3]), (3, [4, 5, 6]), (3, [7, 8])]
    assert not list(store.cells_folder.glob("*.failed"))


def test_only_headers_of_claimed_cells_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: list[tuple[int, list[int]]]
) -> None:
    """Another worker that finishes its cell removes its checkpoint at any moment."""
    cells = tiny_cells(seeds=3)
    store = Store(tmp_path)
    store.prepare(cells, [])
    for cell in cells:
        commit(store, cell, 3, 2)
    with signals_kept():
        worker = Worker(tmp_path, 0, 1, 2)
    take, read = worker.claims.take, files.read_meta
    monkeypatch.setattr(worker.claims, "take", lambda i: i != cells[1].id and take(i))

    def checked(path: Path) -> dict[str, Any]:
        assert path.name.partition(".")[0] != cells[1].id
        return read(path)

    monkeypatch.setattr(files, "read_meta", checked)
    assert worker._one_pass(cells)
    assert batches == [(2, [0, 2])]


def test_a_damaged_checkpoint_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    batches: list[tuple[int, list[int]]],
) -> None:  # fmt: skip
    cells = tiny_cells(seeds=4)
    store = Store(tmp_path)
    store.prepare(cells, [])
    for cell in cells:
        commit(store, cell, 3, 4)
    store.path(cells[2].id, "checkpoint").write_bytes(b"half")
    whole = Run.run

    def run(self: Run) -> None:
        if cells[1] in self.batch:
            raise runner.Damaged(cells[1].id, "seed 1 was written by other code")
        whole(self)

    monkeypatch.setattr(Run, "run", run)
    monkeypatch.setattr(Run, "running", [], raising=False)
    with signals_kept():
        Worker(tmp_path, 0, 1, 4).work()
    assert batches == [(4, [0, 1, 3]), (4, [0, 3])]
    assert [store.is_done(cell.id) for cell in cells] == [True, False, False, True]
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    failed = {e["cell"]: e for e in events if e["event"] == "failed"}
    assert set(failed) == {cells[1].id, cells[2].id}
    assert "seed 1 was written by other code" in failed[cells[1].id]["error"]
    assert "is damaged" in failed[cells[2].id]["error"]
    assert "Traceback" in Path(failed[cells[1].id]["text"]).read_text(encoding="utf-8")


CALLED = """INTERNAL: {kind} callback: Traceback (most recent call last):
  File "a.py", line 9, in <module>
  File "b.py", line 6, in boom
    raise ValueError
    ^^^^^
{error}"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (CALLED.format(kind="Error when calling buffer", error="ValueError: joint 3 broke"),
         "ValueError: joint 3 broke"),
        (CALLED.format(kind="CpuCallback error calling", error="a.b.Error: one\n  two\nthree"),
         "a.b.Error: one"),
        (CALLED.format(kind="Error when calling buffer", error="AssertionError"), "AssertionError"),
        ("INTERNAL: no memory", None),
        ("Traceback of something else\nValueError: x", None),
        ("", None),
    ],
)  # fmt: skip
def test_an_environments_own_error_is_found_in_what_jax_says(text: str, line: str | None) -> None:
    assert own_error(text) == line


@pytest.mark.parametrize("kind", ["buffer", "pure", "io"])
def test_own_errors_are_found_in_what_this_jax_says(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("joint 3 broke\nand so on")

    shape = jax.ShapeDtypeStruct((), jnp.float32)
    calls = {
        "buffer": lambda x: buffer_callback(broken, (shape,), has_side_effect=True)(x)[0],
        "pure": lambda x: jax.pure_callback(broken, shape, x),
        "io": lambda x: io_callback(broken, shape, x),
    }
    with pytest.raises(jax.errors.JaxRuntimeError) as found:
        jax.block_until_ready(jax.jit(calls[kind])(jnp.float32(1.0)))
    assert own_error(str(found.value)) == "ValueError: joint 3 broke"
