"""Tables on disk: found again, built anew when damaged, built once by two processes."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from rlsuite.contracts.errors import UsageError
from rlsuite.data.neighbours import build, cache, keys

CHILD = """
import sys, numpy as np
from pathlib import Path
from rlsuite.data.neighbours import build, cache
true, count = build.build, []
def slow(*args):
    import time
    count.append(1)
    time.sleep(3.0)
    return true(*args)
cache.build = slow
sys.stdin.readline()
found = cache.cached(np.load(sys.argv[1]), 5, Path(sys.argv[2]))
print(len(count), found.places.sum(), flush=True)
"""


def points(rows: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)


@pytest.fixture
def built(monkeypatch):
    """How often something was built."""
    calls = []

    def counting(*args):
        calls.append(args[1])
        return build.build(*args)

    monkeypatch.setattr(cache, "build", counting)
    return calls


def test_a_table_is_built_once(tmp_path, built, capsys):
    first = cache.cached(points(), 5, tmp_path)
    again = cache.cached(points(), 5, tmp_path)
    assert built == [5]
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    assert capsys.readouterr().err.count("building the table of 5 nearest states of 400 rows") == 1


def test_other_data_scale_or_k_is_another_table(tmp_path, built):
    cache.cached(points(), 5, tmp_path)
    cache.cached(points(), 6, tmp_path)
    cache.cached(points(seed=1), 5, tmp_path)
    cache.cached(points() * np.float32(1.0001), 5, tmp_path)
    cache.cached(points().reshape(600, 2), 5, tmp_path)
    assert built == [5, 6, 5, 5, 5]
    assert len(list(tmp_path.glob("*.safetensors"))) == 5


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_file_is_said_and_built_anew(tmp_path, built, capsys, damage):
    first = cache.cached(points(), 5, tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    data = path.read_bytes()
    if damage == "other":
        cache.files.write_arrays(path, {"places": first.places[:7]}, {})
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
        path.write_bytes({"cut": data[:middle], "flip": flipped, "empty": b""}[damage])
    capsys.readouterr()
    again = cache.cached(points(), 5, tmp_path)
    assert built == [5, 5]
    assert np.array_equal(first.places, again.places)
    lines = capsys.readouterr().err.splitlines()
    assert sum("is damaged and is built anew" in line for line in lines) == 1
    cache.cached(points(), 5, tmp_path)
    assert built == [5, 5]


def test_two_processes_build_one_table(tmp_path):
    np.save(tmp_path / "points.npy", points())
    command = [sys.executable, "-c", CHILD, str(tmp_path / "points.npy"), str(tmp_path)]
    pair = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers: list[str] = [""] * 2

    def finish(index: int) -> None:
        answers[index] = pair[index].communicate("go\n", timeout=120)[0]

    threads = [threading.Thread(target=finish, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts, sums = zip(*(answer.split() for answer in answers), strict=True)
    assert sorted(counts) == ["0", "1"]
    assert len(set(sums)) == 1
    assert not list(tmp_path.glob("*.tmp"))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="set RLSUITE_CACHE"):
        cache.cached(points(), 5, tmp_path / "file" / "below")


def test_only_tables_that_take_a_while_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("RLSUITE_CACHE", str(tmp_path))
    rng = np.random.default_rng(0)
    for rows, files in ((100, 0), (cache.SMALL, 1)):
        index = keys.index(rng.normal(size=(rows, 2)), rng.normal(size=(rows, 1)), 0.0, 1.0)
        index = cache.with_table(index, 3)
        assert index.table is not None
        assert index.table.places.shape == (rows, 3)
        assert len(list((tmp_path / "neighbours").glob("*.safetensors"))) == files
