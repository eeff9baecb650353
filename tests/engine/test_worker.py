"""A worker that is asked to stop before its first run."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny import tiny_cells

from rlsuite.engine import worker as module
from rlsuite.engine.data import DataRef
from rlsuite.engine.program import Program
from rlsuite.engine.store import Store
from rlsuite.engine.worker import Worker


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
    monkeypatch.setattr(module, "load", lambda ref, env: "rows")
    monkeypatch.setattr(Program, "for_cell", lambda cell, width: SimpleNamespace(agent=agent))
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        worker = Worker(tmp_path, 0, 1, 1)
        assert worker._run_claimed([cell])
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert seen == ["begun"]
    assert worker.should_stop()
    # Neither done nor failed: it is run the next time.
    assert [c.id for c in worker._left()] == [cell.id]
    assert not worker.preparing
    assert not worker.prepared
