"""The run folder: adding cells, refusing what does not fit, rows packed and unpacked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import tiny_cells

from rlsuite.contracts.errors import UsageError
from rlsuite.engine.store.store import Store, pack_rows, unpack_rows


def test_cells_come_back_and_add_up(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    store.prepare(tiny_cells(seeds=2), ["first"])
    asked = store.prepare(tiny_cells(seeds=4), ["second"])
    assert [c.seed for c in asked] == [0, 1, 2, 3]
    assert store.cells() == tiny_cells(seeds=4)
    assert store.commands() == [["first"], ["second"]]


def test_rows_survive_packing() -> None:
    rows = {
        "eval/return": [(0, 0.5, 1.0), (32, 1.5, float("inf"))],
        "loss/policy": [(32, 1.0, -2.0)],
    }
    assert unpack_rows(pack_rows(rows)) == rows  # pyright: ignore[reportArgumentType]


def test_another_cadence_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare(tiny_cells(), [])
    with pytest.raises(UsageError, match="same evaluations, episodes and logs"):
        store.prepare(tiny_cells(evaluations=9), [])


def test_a_run_under_the_id_of_another_is_damage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cell, other = tiny_cells(seeds=2)
    store.prepare([other.with_id(cell.id)], [])
    with pytest.raises(UsageError, match=r"damaged: .* \(seed is 1 there, not 0\)"):
        store.prepare([cell], [])


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear to somebody", encoding="utf-8")
    with pytest.raises(UsageError, match="holds other files"):
        Store(tmp_path).prepare(tiny_cells(), [])
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="is a file"):
        Store(tmp_path / "thesis.tex").prepare(tiny_cells(), [])


def test_a_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare(tiny_cells(), [])
    text = (tmp_path / "spec.json").read_text(encoding="utf-8")
    (tmp_path / "spec.json").write_text(
        text.replace('"version": 2', '"version": 99'), encoding="utf-8"
    )
    with pytest.raises(UsageError, match="another version"):
        store.cells()


def test_how_cells_are_run_is_kept_until_another_command_says_otherwise(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    assert store.how() == {"width": 1, "deterministic": False}
    for how, kept in (
        ({"width": 4, "deterministic": None}, {"width": 4, "deterministic": False}),
        (None, {"width": 4, "deterministic": False}),
        ({"width": None, "deterministic": True}, {"width": 4, "deterministic": True}),
        ({"width": 2, "deterministic": None}, {"width": 2, "deterministic": True}),
    ):
        store.prepare(tiny_cells(), ["x"], how=how)
        assert store.how() == kept
    # As folders were written before.
    spec = json.loads((store.folder / "spec.json").read_text(encoding="utf-8"))
    del spec["width"], spec["deterministic"]
    (store.folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    assert store.how() == {"width": 1, "deterministic": False}
    assert [cell.id for cell in store.cells()] == [cell.id for cell in tiny_cells()]
