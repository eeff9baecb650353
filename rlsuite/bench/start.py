"""Time from a command to its first result on disk, and of `import rlsuite`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

LIMIT_SECONDS = 300.0
TARGETS = {"cold": 20.0, "warm": 10.0, "import": 0.5}
# The name under which a committed file holds rows of the first evaluation.
MARK = b"rows/eval/return/value"


@dataclass(frozen=True)
class Starts:
    """Seconds: `cold` with an empty folder of compiled programs, `warm` with a filled one."""

    cold: float
    warm: float
    imported: float


def measure() -> Starts:
    """Start the same training twice in temporary folders, then import."""
    with tempfile.TemporaryDirectory(prefix="rlsuite-bench-") as folder:
        env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
        env["RLSUITE_CACHE"] = str(Path(folder) / "cache")
        cold = first_row(Path(folder) / "cold", env)
        warm = first_row(Path(folder) / "warm", env)
    return Starts(cold, warm, min(import_seconds() for _ in range(3)))


def command(out: Path) -> list[str]:
    """The training command that is timed: two seeds of a named preset."""
    run = ["train", "ppo", "--env", "CartPole-v1", "--preset", "purejaxrl", "--seeds", "2"]
    return [sys.executable, "-m", "rlsuite.cli.main", *run, "--no-report", "--out", str(out)]


def first_row(out: Path, env: dict[str, str]) -> float:
    """Seconds until an evaluation of a new run is committed; the run is then stopped.

    Raises:
      RuntimeError: the command ended or took too long without one; its last line.
    """
    start = time.perf_counter()
    popen = subprocess.Popen(
        command(out), env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        while not committed(out):
            if popen.poll() is not None or time.perf_counter() - start > LIMIT_SECONDS:
                break
            time.sleep(0.02)
        seconds, found = time.perf_counter() - start, committed(out)
    finally:
        # The parent asks its workers to commit and stop.
        popen.terminate()
        said = popen.communicate()[0]
    if not found:
        raise RuntimeError(f"no first row: {said.strip()[-300:]}")
    return seconds


def committed(out: Path) -> bool:
    """Whether a checkpoint or a finished file of the run folder holds an evaluation."""
    files = [*out.glob("cells/*.checkpoint"), *out.glob("cells/*.done")]
    for file in files:
        try:
            if MARK in file.read_bytes():
                return True
        except FileNotFoundError:
            continue  # Replaced between the look and the read.
    return False


def import_seconds() -> float:
    """`import rlsuite` in a fresh interpreter, beyond what an empty program takes."""

    def run(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    return max(run("import rlsuite") - run("pass"), 0.0)


def table(found: Starts) -> Table:
    """Against the targets."""
    shown = Table(title="rlsuite train ppo --env CartPole-v1: seconds to the first row on disk")
    for column in ("", "seconds", "target"):
        shown.add_column(column, justify="right" if column else "left")
    rows = (
        ("nothing compiled yet", found.cold, TARGETS["cold"]),
        ("compiled programs in the cache", found.warm, TARGETS["warm"]),
        ("import rlsuite", found.imported, TARGETS["import"]),
    )
    for name, seconds, target in rows:
        verdict = "met" if seconds <= target else "missed"
        shown.add_row(name, f"{seconds:.2f}", f"<= {target:g} {verdict}")
    return shown
