"""What one accelerator does: cost of a seed as more of them share the device, and what is promised
there of bits and of resuming.

Every case is a process of its own: one that fails, hangs or runs out of memory says so and the rest
goes on, and the device's peak of memory is the case's own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.launch.process_env import worker_environment
from rlsuite.io import files
from rlsuite.io.machine import gpus

CHILD = "rlsuite.bench.children.run_accelerator"
Say = Callable[[str], None]
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One process.

    Attributes:
      name: what it is asked for by.
      order: see `rlsuite.bench.children.run_accelerator`.
      limit: seconds after which it is ended.
      what: a line on what is measured.
      device: 'cpu' for a reference on one core of the same machine.
      deterministic: whether XLA is told to use only deterministic operations.
      killed: whether it is killed once a checkpoint is there and started again, and its files are
        compared with those of an undisturbed run.
    """

    name: str
    order: Row
    limit: float
    what: str
    device: str = "accelerator"
    deterministic: bool = False
    killed: bool = False


@dataclass
class Found:
    """What a case left: rows, seconds it took, why it has no (more) rows."""

    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""


def cases(tiny: bool = False) -> dict[str, Case]:
    """All cases by name, the most telling first; `tiny`: the same code in seconds on a CPU."""
    do = _orders(tiny)
    listed = [
        Case("ceilings", {"kind": "ceilings", "size": 256 if tiny else 8192}, 40, "the device"),
        _training("ppo", do["ppo"], 110, (1, 16, 256, 2048, 8192), tiny),
        _exact("bits", do, False, tiny),
        _exact("bits-deterministic", do, True, tiny),
        _whole("resume", do["ppo"], (16, 250_000), tiny, killed=True),
        _training("ppo-core", do["ppo"], 60, (1,), tiny, device="cpu"),
        _training("td3-bc", do["td3-bc"], 60, (1, 32), tiny),
        _training("prdc", do["prdc"], 80, (1, 32), tiny),
        _training("minatar", do["minatar"], 80, (64, 256), tiny),
        _training("sac", do["sac"], 60, (1, 256), tiny),
        _whole("whole-256", do["ppo"], (256, 500_000), tiny),
        _whole("whole-2048", do["ppo"], (2048, 500_000), tiny),
        _training("mjx", do["mjx"], 150, (1,), tiny),
    ]
    return {case.name: case for case in listed}


def _orders(tiny: bool) -> dict[str, Row]:
    """Agents, where they learn, and with which settings."""
    sizes = {"obs": 17, "action": 6, "rows": 2_000 if tiny else 1_000_000}
    ring = {"buffer_size": 2_000 if tiny else 100_000, "learning_starts": 1_000}
    rollout = {"num_envs": 2048, "num_steps": 16, "minibatches": 32, "epochs": 4}
    short = {"num_envs": 2, "num_steps": 2, "minibatches": 1, "epochs": 1}
    cnn = {"network": "cnn", "hidden": [128]}
    return {
        "ppo": {"agent": "ppo", "env": "CartPole-v1", "preset": "purejaxrl", "settings": {}},
        "minatar": {
            "agent": "ppo", "env": "Breakout-MinAtar", "preset": "purejaxrl-minatar",
            "settings": cnn,
        },
        "sac": {"agent": "sac", "env": "Pendulum-v1", "settings": ring},
        "td3-bc": {"agent": "td3-bc", "settings": {"updates": 10}, **sizes},
        "prdc": {"agent": "prdc", "settings": {"updates": 10}, **sizes},
        "mjx": {"agent": "ppo", "env": "mjx:Hopper-v4", "settings": short if tiny else rollout},
    }  # fmt: skip


def _training(
    name: str, order: Row, limit: float, widths: tuple[int, ...], tiny: bool, **kinds: Any
) -> Case:
    """Steps a second at ascending widths."""
    chosen = [min(width, 2) for width in widths[:2]] if tiny else widths
    timed = {"seconds": 0.01, "repeats": 1} if tiny else {"seconds": 1.0, "repeats": 3}
    what = f"{order['agent']} on {order.get('env') or 'a random walk'}"
    return Case(name, {"kind": "train", "widths": chosen, **timed, **order}, limit, what, **kinds)


def _exact(name: str, do: Mapping[str, Row], deterministic: bool, tiny: bool) -> Case:
    """A seed again, and beside other seeds."""
    agents = [do["ppo"], do["sac"], {**do["td3-bc"], "rows": 2_000}]
    size = {"width": 3, "iterations": 2} if tiny else {"width": 16, "iterations": 8}
    what = "a seed's bits, repeated and beside others"
    order = {"kind": "exact", "agents": agents, **size}
    return Case(name, order, 75, what, deterministic=deterministic)


def _whole(name: str, agent: Row, size: tuple[int, int], tiny: bool, killed: bool = False) -> Case:
    """So many runs of so many steps, to the files that they leave."""
    width, steps = (2, 4_096) if tiny else size
    what = "killed and gone on" if killed else "first step to files on disk"
    order = {"kind": "whole", **agent, "width": width, "total_steps": steps}
    return Case(name, order, 90, what, deterministic=killed, killed=killed)


def chosen(names: str, tiny: bool) -> list[Case]:
    """The cases asked for, comma-separated; none: all of them.

    Raises:
      UsageError: an unknown one.
    """
    known = cases(tiny)
    for name in (wanted := [part for part in names.split(",") if part]):
        if name not in known:
            raise UsageError(f"--cases: no case {name!r}: {nearest(name, known)}")
    return [known[name] for name in wanted or known]


def measure(
    wanted: Sequence[Case], seconds: float, say: Say, kept: Callable[[dict[str, Found]], None]
) -> dict[str, Found]:
    """Every case in turn, as long as there is time.

    Args:
      wanted: in this order.
      seconds: for all of them together; a case that can no longer begin says so.
      say: told how each one ended.
      kept: called with everything found so far after each case.
    """
    found: dict[str, Found] = {}
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as scratch:
        for case in wanted:
            left = min(case.limit, end - time.monotonic())
            found[case.name] = _one(case, left, Path(scratch))
            say(f"{case.name}: {found[case.name].seconds:.0f} s{_why(found[case.name])}")
            kept(found)
    return found


def _why(found: Found) -> str:
    return f", {found.failure}" if found.failure else ""


def _one(case: Case, limit: float, scratch: Path) -> Found:
    if limit < 5.0:
        return Found(failure="not begun: no time left")
    begun, found = time.monotonic(), Found()
    try:
        if case.killed:
            _killed(case, limit, scratch, found)
        else:
            _follow(case, {"folder": str(scratch / case.name)}, limit, scratch, found)
    except OSError as error:
        found.failure = f"{type(error).__name__}: {error}"
    found.seconds = time.monotonic() - begun
    return found


# --- a case's process ----------------------------------------------------------------------------


def _spawn(case: Case, changes: Row, scratch: Path) -> subprocess.Popen[str]:
    on_gpu = case.device != "cpu" and bool(gpus().ids)
    env = worker_environment("gpu" if on_gpu else "cpu", deterministic=case.deterministic)
    # Compiled anew in every run of the benchmark, once for cases that share a program.
    env["JAX_COMPILATION_CACHE_DIR"] = str(scratch / f"xla-{case.device}-{case.deterministic}")
    order = json.dumps({**case.order, **changes})
    with open(scratch / f"{case.name}.err", "a", encoding="utf-8") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", CHILD, order], env=env, stdout=subprocess.PIPE, stderr=errors,
            text=True, encoding="utf-8", start_new_session=True,
        )  # fmt: skip


def _follow(case: Case, changes: Row, limit: float, scratch: Path, found: Found) -> None:
    """Until the process ends, at most so long; its rows and how it failed go to `found`."""
    process = _spawn(case, changes, scratch)
    try:
        out, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        _end(process)
        out, _ = process.communicate()
        found.failure = f"ended after {limit:.0f} s"
    finally:
        # Ctrl-C too: it reaches this process alone, and the device must be free.
        _end(process)
    found.rows += [row for line in out.splitlines() if (row := _row(line)) is not None]
    if process.returncode and not found.failure:
        found.failure = _last_line(scratch / f"{case.name}.err", process.returncode)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _row(line: str) -> Row | None:
    """A row of a line; anything else is what some library printed."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.pop("event", None) != "row":
        return None
    return event


def _last_line(errors: Path, code: int) -> str:
    text = errors.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line for line in text if "Error" in line and not line.startswith(" ")]
    last = (said or [line for line in text if line.strip()] or ["nothing was said"])[-1]
    return f"exit {code}: {last.strip()[:300]}"


# --- killed and gone on --------------------------------------------------------------------------


def _killed(case: Case, limit: float, scratch: Path, found: Found) -> None:
    end = time.monotonic() + limit
    calm, disturbed = scratch / "calm", scratch / "disturbed"
    _follow(case, {"folder": str(calm)}, limit, scratch, found)
    if found.failure:
        return
    process = _spawn(case, {"folder": str(disturbed)}, scratch)
    try:
        while process.poll() is None and time.monotonic() < end:
            # All of them: what stands in fewer files is not a moment of the whole width.
            if len(list(disturbed.glob("cells/*.checkpoint"))) == case.order["width"]:
                break
            time.sleep(0.02)
    finally:
        _end(process)
    process.communicate()
    _follow(case, {"folder": str(disturbed)}, max(end - time.monotonic(), 5.0), scratch, found)
    if not found.failure:
        found.rows.append({"same_bits": _same_files(calm, disturbed)})
    for folder in (calm, disturbed):
        shutil.rmtree(folder, ignore_errors=True)


def _same_files(a: Path, b: Path) -> bool:
    """Policies and rows of two run folders, the clock aside."""

    def held(folder: Path) -> dict[str, dict[str, bytes]]:
        return {
            path.name: {
                name: array.tobytes()
                for name, array in files.read_arrays(path)[0].items()
                if not name.endswith("/seconds")
            }
            for path in (folder / "cells").glob("*.done")
        }

    first, second = held(a), held(b)
    return bool(first) and first == second


# --- tables --------------------------------------------------------------------------------------


def table(found: dict[str, Found], known: dict[str, Case]) -> list[Table]:
    """Speed; bits, kills and whole runs."""
    speed = Table(title="training, nothing else")
    for column in (
        "case",
        "width",
        "steps/s",
        "per seed",
        "ms an iteration",
        "compile s",
        "peak GiB",
    ):
        speed.add_column(column, justify="left" if column == "case" else "right")
    rest = Table(title="bits, kills, whole runs")
    for column in ("case", "what", "found"):
        rest.add_column(column)
    for name, case in found.items():
        for row in case.rows:
            if "steps_per_second" in row:
                speed.add_row(f"{name}: {known[name].what}", *_speed(row))
            else:
                rest.add_row(name, known[name].what, _sentence(row))
        if case.failure:
            rest.add_row(name, known[name].what, f"failed: {case.failure}")
    return [speed, rest]


def _speed(row: Row) -> list[str]:
    peak = row["peak_bytes"] or row["program_bytes"]
    return [
        f"{row['width']:,}",
        f"{row['steps_per_second']:,.0f}",
        f"{row['steps_per_second'] / row['width']:,.0f}",
        f"{row['iteration_ms']:,.2f}",
        f"{row['compile_seconds']:.1f}",
        f"{peak / 2**30:.2f}",
    ]


def _sentence(row: Row) -> str:
    shown = []
    for name, value in row.items():
        text = f"{value:,.4g}" if isinstance(value, float) else str(value)
        shown.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(shown)
