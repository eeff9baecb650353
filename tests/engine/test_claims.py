"""Claims: one owner at a time, freed by death."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rlsuite.engine.store.claims import Claims

CELL, OTHER = "0123456789abcdef", "fedcba9876543210"

HOLDER = """
import sys
from pathlib import Path
from rlsuite.engine.store.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(claims.take(sys.argv[2]), flush=True)
sys.stdin.read()
"""


def holder(folder: Path, cell: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), cell],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "True"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_claim_excludes_others_until_its_holder_dies(tmp_path: Path) -> None:
    process = holder(tmp_path, CELL)
    mine = Claims(tmp_path)
    assert not mine.take(CELL)
    assert mine.take(OTHER)
    end(process)
    assert mine.take(CELL)
    mine.close()


def test_release_frees_one_claim_only(tmp_path: Path) -> None:
    mine = Claims(tmp_path)
    assert mine.take(CELL)
    assert mine.take(OTHER)
    mine.release(CELL)
    process = holder(tmp_path, CELL)
    assert not mine.take(CELL)
    end(process)
    mine.close()
