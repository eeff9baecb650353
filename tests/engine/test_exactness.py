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

from rlsuite.contracts import keys, metrics
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.run import tree
from rlsuite.engine.run.program import Program, context, evaluation_key
from rlsuite.engine.run.runner import Damaged, Runner, Stopped, boundaries
from rlsuite.engine.run.track import completed
from rlsuite.engine.store.store import Store
from rlsuite.io import files

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
    monkeypatch.setattr("rlsuite.engine.run.runner.CHECKPOINT_LEAST", 0.0)
    monkeypatch.setattr("rlsuite.engine.run.runner.CHECKPOINT_MOST", 0.0)
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
        state, running = program.init(keys.root(0), ctx)
        for count in cuts:
            state, running, _ = program.chunk(state, running, ctx, count)
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
    _, running = program.shapes(ctx)
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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("when", [0, 4, 12])
def test_an_evaluation_that_is_no_number_ends_the_run(
    bad: float, when: int, run: Run, program: Program, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    evaluate, seen = program.evaluate, []

    def poisoned(*args: Any) -> Any:
        out = evaluate(*args)
        seen.append(out)
        returns = out.returns.at[0].set(bad)
        return out._replace(returns=returns) if len(seen) == when // 4 + 1 else out

    monkeypatch.setattr(program, "evaluate", poisoned)
    result = run(tiny_cells()[0], tmp_path)
    assert (result["status"], result["iteration"]) == ("nan", when)
    values = result["arrays"]["rows/eval/return/value"]
    assert np.isfinite(values).tolist() == [True] * (when // 4) + [False]
    assert np.isfinite(result["arrays"]["rows/eval/length/value"]).all()


def test_a_checkpoint_whose_metrics_say_by_infinity_that_they_are_unset_goes_on() -> None:
    """TRPO's largest KL divergence is a `Max`: its older checkpoints have a value and no flag."""
    values = {
        "metrics['kl'].value": -np.inf, "metrics['lr'].value": 0.5, "metrics['loss'].sum": 1.0,
        "state.value": np.nan,
    }  # fmt: skip
    old = {name: np.array(value, np.float32) for name, value in values.items()}
    added = {n: bool(v) for n, v in completed(old).items() if n not in old}
    assert added == {"metrics['kl'].given": False, "metrics['lr'].given": True}
    template = {"kl": metrics.Max(jnp.float32(0)), "lr": metrics.Last(jnp.float32(0))}
    shapes = jax.eval_shape(lambda: template)
    arrays = {n: v for n, v in completed(old).items() if "loss" not in n}
    assert metrics.to_host(tree.from_arrays(shapes, arrays, "metrics", "x")) == {"lr": 0.5}


@pytest.mark.parametrize(("iterations", "count"), [(10, 3), (3, 10), (1, 1), (976, 100)])
def test_boundaries_end_with_the_last_iteration(iterations: int, count: int) -> None:
    points = boundaries(iterations, count, first=False)
    assert points[-1] == iterations
    assert points == sorted(set(points))
    assert 0 not in points
    assert boundaries(iterations, count, first=True) == [0, *points]
    assert boundaries(iterations, 0, first=True) == []


@pytest.fixture(scope="module")
def wide() -> Program:
    """One compiled program of three runs at once."""
    return Program.for_cell(tiny_cells()[0], width=3)


def test_cells_committed_before_their_first_step_run_with_those_that_never_began(
    wide: Program, program: Program, tmp_path: Path
) -> None:
    """A kill while the first chunk compiles leaves such; theirs may be another width, too."""
    cells = tiny_cells(seeds=3)
    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    for store in (whole, broken):
        store.prepare(cells, [])
    drive(cells, wide, whole, None)
    for batch, made in (([cells[1]], wide), ([cells[2]], program)):
        Runner(batch, made, broken, {}, lambda *_: None, lambda: False, commit_first=True)._begin()
    assert len(list(broken.cells_folder.glob("*.checkpoint"))) == 2
    drive(cells, wide, broken, 2)
    for cell in cells:
        found, meta = files.read_arrays(broken.path(cell.id, "done"))
        assert same_bits(found, files.read_arrays(whole.path(cell.id, "done"))[0])
        assert meta["provenance"]["width"] == 3


def test_a_checkpoint_that_does_not_fit_names_its_cell(program: Program, tmp_path: Path) -> None:
    cell = tiny_cells()[0]
    store = Store(tmp_path)
    store.prepare([cell], [])
    meta = {"iteration": 3, "provenance": {}, "latest": None, "clock": {}}
    store.commit(cell.id, {"state.other": np.zeros(1)}, {}, meta)
    with pytest.raises(Damaged, match="was written by other code") as found:
        Runner([cell], program, store, {}, lambda *_: None, lambda: False).run()
    assert found.value.cell_id == cell.id


def test_at_equal_width_a_seed_does_not_feel_its_companions(wide: Program, tmp_path: Path) -> None:
    cells = tiny_cells(seeds=4)
    folders = {"full": [0, 1, 2], "other": [3, 2, 1], "padded": [2]}
    found = {}
    for name, seeds in folders.items():
        store = Store(tmp_path / name)
        store.prepare(cells, [])
        batch = [cells[seed] for seed in seeds]
        stops = 2 if name == "other" else None
        drive(batch, wide, store, stops)
        found[name] = files.read_arrays(store.path(cells[2].id, "done"))
        assert found[name][1]["provenance"]["width"] == 3
        assert len(list(store.cells_folder.glob("*.done"))) == len(seeds)
    assert found["other"][1]["clock"]["resumes"] >= 1
    assert same_bits(found["full"][0], found["padded"][0])
    assert same_bits(found["full"][0], found["other"][0])
    assert wide.traces == {"init": 1, "chunk": 1, "evaluate": 1}


def test_keys_of_many_runs_are_those_of_each(wide: Program) -> None:
    seeds = [7, 0, 2**31 - 1][: wide.width]
    padded = [*seeds, *[seeds[-1]] * (wide.width - len(seeds))]
    for made, one in (
        (wide.roots(seeds), keys.root),
        (wide.evaluation_keys(seeds, 5), lambda seed: evaluation_key(seed, 5)),
    ):
        expected = [np.asarray(jax.random.key_data(one(seed))) for seed in padded]
        np.testing.assert_array_equal(jax.random.key_data(made), expected)


def test_going_on_at_another_width_is_refused(program: Program, tmp_path: Path) -> None:
    cell = tiny_cells()[0]
    store = Store(tmp_path)
    store.prepare([cell], [])
    with pytest.raises(Stopped):
        Runner([cell], program, store, {}, lambda *_: None, lambda: True).run()
    wide = Program.for_cell(cell, width=2)
    with pytest.raises(UsageError, match="made at --vmap 1"):
        Runner([cell], wide, store, {}, lambda *_: None, lambda: False).run()


def drive(cells: list[Cell], program: Program, store: Store, stops: int | None) -> None:
    """Run a batch to its end, stopping after every `stops` chunks."""
    while not all(store.is_done(cell.id) for cell in cells):
        chunks = iter(range(1, stops or 10**9))
        runner = Runner(
            cells, program, store, {}, lambda *_: None, lambda it=chunks: next(it, None) is None
        )
        try:
            runner.run()
        except Stopped:
            continue
