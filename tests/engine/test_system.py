"""The command line's workers as a user runs them: killed, shared, extended, orphaned."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import same_bits

from rlsuite.engine import files

SETTINGS = {"num-envs": 4, "num-steps": 32, "hidden": "16,16", "minibatches": 2, "epochs": 2}
STEPS = 400_000


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One compile cache for the module's processes."""
    folder = tmp_path_factory.mktemp("cache")
    clean = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "PJRT_NPROC")}
    return {**clean, "RLSUITE_CACHE": str(folder)}


def train(out: Path, seeds: int, *extra: str) -> list[str]:
    """The command line of a small training run."""
    flags = [part for k, v in SETTINGS.items() for part in (f"--agent.{k}", str(v))]
    return [
        sys.executable, "-m", "rlsuite.cli.main", "train", "ppo", "--env", "CartPole-v1",
        "--seeds", str(seeds), "--total-steps", str(STEPS), "--out", str(out),
        "--evaluations", "4", "--no-report", "--workers", "2", *flags, *extra,
    ]  # fmt: skip


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
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def assert_same(a: dict[str, dict], b: dict[str, dict]) -> None:
    """Equal cells, rows and parameters, bit for bit."""
    assert a.keys() == b.keys()
    for cell in a:
        assert a[cell].keys() == b[cell].keys()
        assert same_bits(a[cell], b[cell])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cache: dict[str, str]) -> dict[str, dict]:
    """Four seeds that nobody interrupted."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(train(out, 4), cache)
    return results(out)


def kill_and_rerun(out: Path, cache: dict[str, str], kills: int, rng: random.Random) -> int:
    """Kill parent and workers `kills` times while they run, then let the command end."""
    effective = 0
    for _ in range(kills):
        process = subprocess.Popen(train(out, 4), env=cache, stdout=subprocess.DEVNULL)
        time.sleep(rng.uniform(3.0, 8.0))
        victims = [process.pid, *children(process.pid)]
        effective += process.poll() is None
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()
    finish(train(out, 4), cache)
    return effective


def test_killed_runs_end_as_undisturbed_ones(
    tmp_path: Path, cache: dict[str, str], undisturbed: dict[str, dict]
) -> None:
    assert kill_and_rerun(tmp_path / "run", cache, 2, random.Random(0)) >= 1
    assert_same(results(tmp_path / "run"), undisturbed)


@pytest.mark.slow
def test_ten_kills(tmp_path: Path, cache: dict[str, str], undisturbed: dict[str, dict]) -> None:
    assert kill_and_rerun(tmp_path / "run", cache, 10, random.Random(1)) >= 3
    assert_same(results(tmp_path / "run"), undisturbed)


def test_more_seeds_run_only_the_new_ones(
    tmp_path: Path, cache: dict[str, str], undisturbed: dict[str, dict]
) -> None:
    out = tmp_path / "run"
    finish(train(out, 2), cache)
    stamps = {p.name: p.stat().st_mtime_ns for p in (out / "cells").glob("*.done")}
    assert len(stamps) == 2
    printed = finish(train(out, 4), cache)
    assert "2 of 4 runs are finished already" in printed
    for name, stamp in stamps.items():
        assert (out / "cells" / name).stat().st_mtime_ns == stamp
    assert_same(results(out), undisturbed)
    assert "4 of 4 runs are finished already" in finish(train(out, 4), cache)


def test_three_workers_share_and_take_over(
    tmp_path: Path, cache: dict[str, str], undisturbed: dict[str, dict]
) -> None:
    out = tmp_path / "run"
    # The plan comes from a parent that is killed before its workers have done anything.
    planner = subprocess.Popen(train(out, 4), env=cache, stdout=subprocess.DEVNULL)
    while not (out / "spec.json").exists():
        time.sleep(0.02)
    for pid in [planner.pid, *children(planner.pid)]:
        os.kill(pid, signal.SIGKILL)
    planner.wait()
    work = [sys.executable, "-m", "rlsuite.cli.main", "work", str(out)]
    helpers = [subprocess.Popen(work, env=cache, stdout=subprocess.DEVNULL) for _ in range(3)]
    deadline = time.monotonic() + 60
    while not list((out / "cells").glob("*.checkpoint")) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in [helpers[0].pid, *children(helpers[0].pid)]:
        os.kill(pid, signal.SIGKILL)
    assert helpers[0].wait() == -signal.SIGKILL
    assert [helper.wait(timeout=240) for helper in helpers[1:]] == [0, 0]
    assert_same(results(out), undisturbed)
    assert not list((out / "cells").glob("*.checkpoint"))


def test_orphaned_workers_commit_and_end(tmp_path: Path, cache: dict[str, str]) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(train(out, 2), env=cache, stdout=subprocess.DEVNULL)
    while not list(out.glob("cells/*.checkpoint")):
        time.sleep(0.1)
        assert process.poll() is None
    workers = children(process.pid)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert list(out.glob("cells/*.checkpoint")) or len(results(out)) == 2


def test_interrupt_commits_and_says_how_to_go_on(tmp_path: Path, cache: dict[str, str]) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(train(out, 4), env=cache, stdout=subprocess.PIPE, text=True)
    while not list(out.glob("cells/*.checkpoint")):
        time.sleep(0.1)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the same command goes on" in printed


@pytest.mark.slow
def test_twenty_starts_in_a_row_all_end(tmp_path: Path, cache: dict[str, str]) -> None:
    """With default settings; jax on CPU hangs where workers are started otherwise."""
    for start in range(20):
        command = [
            *(sys.executable, "-m", "rlsuite.cli.main", "train", "ppo", "--env", "CartPole-v1"),
            *("--seeds", "4", "--total-steps", "20000", "--out", str(tmp_path / str(start))),
        ]
        finish(command, cache)
        assert len(results(tmp_path / str(start))) == 4


def test_a_killed_wide_run_ends_as_an_undisturbed_one(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    wide = ("--vmap", "3", "--workers", "1")
    finish(train(tmp_path / "whole", 4, *wide), cache)
    out = tmp_path / "killed"
    process = subprocess.Popen(train(out, 4, *wide), env=cache, stdout=subprocess.DEVNULL)
    while len(list(out.glob("cells/*.checkpoint"))) < 3:
        time.sleep(0.05)
        assert process.poll() is None
    time.sleep(0.5)
    for pid in [process.pid, *children(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    finish(train(out, 4, *wide), cache)
    assert_same(results(out), results(tmp_path / "whole"))
