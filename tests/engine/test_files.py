"""Atomic files and what is said of damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rlsuite.engine import files
from rlsuite.errors import UsageError

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.float32(2.5),
    "b": np.array([True]),
}


def test_arrays_and_meta_come_back(tmp_path: Path) -> None:
    files.write_arrays(tmp_path / "x", ARRAYS, {"n": 3})  # pyright: ignore[reportArgumentType]
    arrays, meta = files.read_arrays(tmp_path / "x")
    assert meta == {"n": 3} == files.read_meta(tmp_path / "x")
    assert arrays.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        assert arrays[name].shape == value.shape
        assert arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(arrays[name], value)


def test_nothing_is_left_aside(tmp_path: Path) -> None:
    files.write_json(tmp_path / "x.json", {"a": 1})
    files.write_json(tmp_path / "x.json", {"a": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
    assert files.read_json(tmp_path / "x.json") == {"a": 2}


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    files.write_atomic(path, b"old")

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text", "missing", "folder"])
def test_damage_is_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.checkpoint"
    files.write_arrays(path, {"a": np.arange(100.0)}, {})
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[:-50])
    elif damage == "flip":
        data[-9] ^= 1
        path.write_bytes(data)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not a checkpoint")
    else:
        path.unlink()
        if damage == "folder":
            path.mkdir()
    with pytest.raises(UsageError) as caught:
        files.read_arrays(path)
    assert "x.checkpoint" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_a_runs_own_files_are_to_be_deleted(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    own, users = tmp_path / "cells" / "x.done", tmp_path / "data.npz"
    for path in (own, users):
        path.write_text("no safetensors")
    for read in (files.read_arrays, files.read_meta):
        with pytest.raises(UsageError, match=r"x\.done is damaged .*: delete it to run that cell"):
            read(own)
        with pytest.raises(UsageError, match=r"data\.npz is no checkpoint of rlsuite \(") as caught:
            read(users)
        assert "delete" not in str(caught.value)
        with pytest.raises(UsageError, match="cells is a folder, not a checkpoint"):
            read(own.parent)
    files.write_arrays(users, {"a": np.arange(9.0)}, {})
    data = bytearray(users.read_bytes())
    data[-9] ^= 1
    users.write_bytes(data)
    with pytest.raises(UsageError, match=r"damaged \(checksum differs\)$"):
        files.read_arrays(users)


def test_damaged_json_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"cells": [')
    with pytest.raises(UsageError, match=r"spec\.json is damaged"):
        files.read_json(tmp_path / "spec.json")
