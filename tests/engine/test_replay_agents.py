"""What is promised of every agent holds with a replay: exact resume, independence, room."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from driving import drive
from tiny import same_bits, tiny_td3_cells

from rlsuite.contracts import keys
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.run import memory, tree
from rlsuite.engine.run.program import Program, context
from rlsuite.io import files


@pytest.fixture(scope="module")
def program() -> Program:
    """One compiled tiny TD3."""
    return Program.for_cell(tiny_td3_cells()[0])


def test_stopping_and_resuming_changes_no_bit(program: Program, tmp_path: Path) -> None:
    """The ring is cut off partly filled, full and wrapped around."""
    cells = tiny_td3_cells()
    [(whole, _)] = drive(cells, program, tmp_path / "whole")
    for stops in (1, 2):
        [(parts, meta)] = drive(cells, program, tmp_path / f"parts{stops}", stops)
        assert meta["clock"]["resumes"] >= 2
        assert whole.keys() == parts.keys()
        assert same_bits(whole, parts)
    assert program.traces == {"init": 1, "chunk": 1, "evaluate": 1}


def test_evaluating_and_logging_change_no_bit(program: Program, tmp_path: Path) -> None:
    [(base, _)] = drive(tiny_td3_cells(), program, tmp_path / "base")
    for name, cadence in {"evals": {"evaluations": 8}, "none": {"evaluations": 0}}.items():
        [(other, _)] = drive(tiny_td3_cells(**cadence), program, tmp_path / name)
        assert same_bits(base, other, only="policy")
        assert same_bits(base, other, only="rows/loss")
    [(logged, _)] = drive(tiny_td3_cells(logs=10), program, tmp_path / "logs")
    assert same_bits(base, logged, only="policy")
    assert same_bits(base, logged, only="rows/eval")


def test_a_checkpoint_holds_the_filled_rows_and_comes_back_whole(
    program: Program, tmp_path: Path
) -> None:
    cell = tiny_td3_cells()[0]
    ctx = context(program.agent, cell.load_config(), cell.iterations)
    state, running = program.init(keys.root(0), ctx)
    for chunks, filled in ((1, 20), (20, 64)):
        state, running, _ = program.chunk(state, running, ctx, chunks)
        arrays = tree.to_arrays(state, "state")
        assert arrays["state.replay.data.obs"].shape == (filled, 3)
        files.write_arrays(tmp_path / "file", arrays, {})
        read = files.read_arrays(tmp_path / "file")[0]
        back = tree.from_arrays(program.shapes(ctx)[0], read, "state", "file")
        for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(back), strict=True):
            if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
                assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    short = {**arrays, "state.replay.data.obs": arrays["state.replay.data.obs"][:5]}
    with pytest.raises(UsageError, match="other settings"):
        tree.from_arrays(program.shapes(ctx)[0], short, "state", "file")


@pytest.mark.slow
def test_at_equal_width_a_seed_does_not_feel_its_companions(tmp_path: Path) -> None:
    wide = Program.for_cell(tiny_td3_cells()[0], width=2)
    cells = tiny_td3_cells(seeds=3)
    full = drive(cells[:2], wide, tmp_path / "full")[1]
    stopped = drive([cells[2], cells[1]], wide, tmp_path / "other", stops=2)[1]
    padded = drive([cells[1]], wide, tmp_path / "padded")[0]
    assert stopped[1]["clock"]["resumes"] >= 1
    assert same_bits(full[0], padded[0])
    assert same_bits(full[0], stopped[0])


def test_a_ring_counts_once_for_each_run_and_for_a_checkpoint(program: Program) -> None:
    cell = tiny_td3_cells()[0]
    need = memory.estimate(program, cell)
    # Two observations of 3, an action, a reward; two flags. And the ring's own two numbers.
    assert need.replay == 3 * (64 * (4 * (2 * 3 + 1 + 1) + 2) + 8)


def test_a_replay_larger_than_memory_is_refused_with_one_that_fits(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = tiny_td3_cells()[0]
    need = memory.estimate(program, cell)
    monkeypatch.setattr(memory, "available_memory", lambda: need.total - need.replay // 2)
    with pytest.raises(UsageError, match=r"are the replay, try agent.buffer_size (31|32) or") as e:
        memory.check_memory(program, cell, 1)
    assert "\n" not in str(e.value)
    monkeypatch.setattr(memory, "available_memory", lambda: need.total)
    assert memory.check_memory(program, cell, 1) == need.total
