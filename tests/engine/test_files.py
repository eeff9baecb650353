"""Atomic files and what is said of damaged ones."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_cells

from rlsuite.analysis.load import targets
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan import grid
from rlsuite.engine.store.store import Store
from rlsuite.io import files

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
        path.write_text("not a checkpoint", encoding="utf-8")
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
        path.write_text("no safetensors", encoding="utf-8")
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
    (tmp_path / "spec.json").write_text('{"cells": [', encoding="utf-8")
    with pytest.raises(UsageError, match=r"spec\.json is damaged"):
        files.read_json(tmp_path / "spec.json")


HALF_WAY = """
import sys, time
from pathlib import Path
from rlsuite.io import files
with files.aside(Path(sys.argv[1])) as place:
    place.write_bytes(b"half")
    print(place.name, flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process half way through a file, and the temporary file."""
    command = [sys.executable, "-c", HALF_WAY, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield child, path.with_name(child.stdout.readline().strip())
        finally:
            child.kill()


def test_what_a_killed_process_leaves_is_removed_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "run")
    cell = tiny_cells()[0]
    store.prepare([cell], [])
    path = store.path(cell.id, "checkpoint")
    with writing(path) as (child, place):
        store.prepare([cell], [])
        assert place.read_bytes() == b"half"
        # Not waited for: a zombie has a number still.
        os.kill(child.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while place.exists() and time.monotonic() < deadline:
            store.prepare([cell], [])
    assert not place.exists()
    assert not list(store.cells_folder.iterdir())


@pytest.mark.parametrize(
    ("name", "hours", "goes"),
    [
        (".x.done.{dead}.tmp", 0, True), (".x.done.{self}.tmp", 0, False),
        (".x.done.{self}.tmp", 48, True),
        (".x.done.{host}.{dead}-77.0.tmp", 0, True), (".x.done.{host}.{self}-77.0.tmp", 0, True),
        (".x.done.{host}.{self}-{began}.0.tmp", 48, False),
        (".x.done.elsewhere-9.{dead}-77.0.tmp", 0, False),
        (".x.done.elsewhere-9.{dead}-77.0.tmp", 48, True),
        ("x.done", 48, False), (".hidden", 48, False), (".notes.tmp", 48, False),
    ],
)  # fmt: skip
def test_whose_temporary_file_it_is(tmp_path: Path, name: str, hours: int, goes: bool) -> None:
    """Of this machine: while its process lives. Of another: while it is being written to."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    path = tmp_path / name.format(
        dead=gone.pid, self=os.getpid(), host=files._host(), began=files._began(os.getpid())
    )
    path.write_bytes(b"0")
    then = time.time() - hours * 3600
    os.utime(path, (then, then))
    assert files.remove_strays(tmp_path / "none", tmp_path) == ([path] if goes else [])
    assert path.exists() != goes


def test_folders_go_too_and_only_those_of_a_name_where_one_is_given(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f".{name}.{files._host()}.1-1.0.tmp").mkdir()
        (tmp_path / f".{name}.{files._host()}.1-1.0.tmp" / "main.hdf5").touch()
    assert len(files.remove_strays(tmp_path, of="b")) == 1
    assert [p.name[:3] for p in tmp_path.iterdir()] == [".a."]


def test_a_rename_is_synced_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    sync, replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        told.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def rename(a: Path, b: Path) -> None:
        told.append("rename")
        replace(a, b)

    monkeypatch.setattr(files.os, "fsync", fsync)
    monkeypatch.setattr(files.os, "replace", rename)
    files.write_atomic(tmp_path / "x", b"1")
    assert told == ["file", "rename", "folder"]
    told.clear()
    with files.aside(tmp_path / "set") as place:
        place.mkdir()
        (place / "main.hdf5").write_bytes(b"1")
    assert told == ["file", "folder", "rename", "folder"]


def test_two_at_once_do_not_meet(tmp_path: Path) -> None:
    """Two threads, the same file, names as long as names can be."""
    path = tmp_path / ("é" * 120)
    texts = [bytes([65 + i]) * 1000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: files.write_atomic(path, text), texts * 5))
    assert path.read_bytes() in texts
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with files.aside(path) as one, files.aside(path) as other:
        assert one != other
        one.touch()
        other.touch()


def test_a_users_text_may_begin_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfa = 1")
    assert files.user_text(tmp_path / "x") == "a = 1"
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert files.read_json(tmp_path / "x.json") == {"a": 1}
    lines = '[[run]]\nagent = "ppo"\nenv = "CartPole-v1"\ntotal_steps = 4096\n'
    (tmp_path / "grid.toml").write_text(lines, encoding="utf-8-sig")
    assert grid.read(tmp_path / "grid.toml")[1][0].envs == ["CartPole-v1"]
    lines = "env,series,value,source\nCartPole-v1,PPO,500,a paper\n"
    (tmp_path / "targets.csv").write_text(lines, encoding="utf-8-sig")
    assert [target.env for target in targets.read(tmp_path / "targets.csv")] == ["CartPole-v1"]
    (tmp_path / "targets.csv").write_text(lines, encoding="utf-16")
    with pytest.raises(UsageError, match=r"targets\.csv is no UTF-8 text"):
        targets.read(tmp_path / "targets.csv")
