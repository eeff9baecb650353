"""Running the command line as a user does, and killing it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from tiny import same_bits

from rlsuite.io import files


def finish(command: list[str], env: dict[str, str]) -> str:
    """Run to the end and give what it printed."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def results(out: Path) -> dict[str, dict]:
    """Arrays of every finished cell."""
    return {p.stem: files.read_arrays(p)[0] for p in sorted((out / "cells").glob("*.done"))}


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    try:
        return [
            int(c)
            for c in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
        ]
    except OSError:
        return []


def assert_same(a: dict[str, dict], b: dict[str, dict]) -> None:
    """Equal cells, rows and parameters, bit for bit."""
    assert a.keys() == b.keys()
    for cell in a:
        assert a[cell].keys() == b[cell].keys()
        assert same_bits(a[cell], b[cell])


def kill_and_rerun(
    command: list[str],
    env: dict[str, str],
    kills: int,
    rng: random.Random,
    wait: tuple[float, float] = (3.0, 8.0),
    begun: Path | None = None,
) -> int:
    """Kill parent and workers `kills` times while they run, then let the command end.

    With `begun`, a run folder, the wait starts at its first checkpoint, however fast the machine.

    Returns:
      How many of the kills met a running process.
    """
    effective = 0
    for _ in range(kills):
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
        while begun and process.poll() is None and not list(begun.glob("cells/*.checkpoint")):
            time.sleep(0.01)
        time.sleep(rng.uniform(*wait))
        victims = [process.pid, *children(process.pid)]
        effective += process.poll() is None
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()
    finish(command, env)
    return effective
