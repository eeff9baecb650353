"""A seed's bits depend on nothing but the cell: not on cadences, stops, resumes or companions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import same_bits, tiny_cells

from rlsuite.engine.program import Program, context
from rlsuite.engine.runner import boundaries

Run = Callable[..., dict[str, Any]]


def test_stopping_and_resuming_changes_no_bit(run: Run, tmp_path: Path) -> None:
    cell = tiny_cells()[0]
    whole = run(cell, tmp_path / "whole")
    for chunks in (1, 2):
        parts = run(cell, tmp_path / f"parts{chunks}", stop_after=chunks)
        assert parts["clock"]["resumes"] >= 2
        assert same_bits(whole["arrays"], parts["arrays"])
        assert whole["arrays"].keys() == parts["arrays"].keys()


def test_evaluating_logging_and_checkpointing_change_no_bit(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = run(tiny_cells()[0], tmp_path / "base")
    evaluated = run(tiny_cells(evaluations=12)[0], tmp_path / "evaluated")
    assert same_bits(base["arrays"], evaluated["arrays"], only="policy")
    assert same_bits(base["arrays"], evaluated["arrays"], only="rows/train")
    assert same_bits(base["arrays"], evaluated["arrays"], only="rows/loss")
    never = run(tiny_cells(evaluations=0)[0], tmp_path / "never")
    assert same_bits(base["arrays"], never["arrays"], only="policy")
    logged = run(tiny_cells(logs=12)[0], tmp_path / "logged")
    assert same_bits(base["arrays"], logged["arrays"], only="policy")
    assert same_bits(base["arrays"], logged["arrays"], only="rows/eval")
    monkeypatch.setattr("rlsuite.engine.runner.CHECKPOINT_LEAST", 0.0)
    monkeypatch.setattr("rlsuite.engine.runner.CHECKPOINT_MOST", 0.0)
    saved = run(tiny_cells()[0], tmp_path / "saved")
    assert saved["clock"]["commit"] > 0
    assert same_bits(base["arrays"], saved["arrays"])


def test_a_seed_does_not_feel_its_companions(run: Run, tmp_path: Path) -> None:
    cells = tiny_cells(seeds=3)
    alone = run(cells[2], tmp_path / "alone")
    together = [run(cell, tmp_path / "together") for cell in cells]
    assert same_bits(alone["arrays"], together[2]["arrays"])
    assert not same_bits(alone["arrays"], together[0]["arrays"])


def test_how_a_run_is_cut_into_chunks_changes_no_bit(program: Program) -> None:
    cell = tiny_cells()[0]
    ctx = context(program.agent, cell.load_config(), 12)
    results = []
    for cuts in ([12], [1] * 12, [5, 7]):
        state, running = program.init(0, ctx)
        for count in cuts:
            state, running = program.chunk(state, running, ctx, count)
        results.append(jax.device_get(jax.tree.leaves((state.params, running))))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert a.tobytes() == b.tobytes()


def test_one_compilation_serves_every_cell(run: Run, program: Program, tmp_path: Path) -> None:
    for i, cell in enumerate(tiny_cells(seeds=2, iterations=7)):
        run(cell, tmp_path / str(i), stop_after=1)
    assert program.traces["chunk"] == 1
    assert program.traces["evaluate"] == 1
    assert program.traces["init"] == 1


def test_metrics_stay_small(program: Program) -> None:
    cell = tiny_cells()[0]
    ctx = context(program.agent, cell.load_config(), 12)
    _, running = program.shapes(0, ctx)
    assert sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(running)) <= 1000


def test_a_run_that_turns_to_nan_is_kept_and_ends(
    run: Run, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = program.chunk

    def poisoned(state: Any, running: Any, ctx: Any, count: int) -> Any:
        bad = jax.tree.map(lambda x: x * jnp.nan, state.params)
        return chunk(state.replace(params=bad), running, ctx, count)

    monkeypatch.setattr(program, "chunk", poisoned)
    result = run(tiny_cells()[0], tmp_path)
    assert result["status"] == "nan"
    assert result["iteration"] == 3
    assert np.isnan(result["arrays"]["rows/loss/policy/value"]).any()


@pytest.mark.parametrize(("iterations", "count"), [(10, 3), (3, 10), (1, 1), (976, 100)])
def test_boundaries_end_with_the_last_iteration(iterations: int, count: int) -> None:
    points = boundaries(iterations, count, first=False)
    assert points[-1] == iterations
    assert points == sorted(set(points))
    assert 0 not in points
    assert boundaries(iterations, count, first=True) == [0, *points]
    assert boundaries(iterations, 0, first=True) == []
