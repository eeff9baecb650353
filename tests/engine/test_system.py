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
from system_tools import assert_same, children, finish, kill_and_rerun, results

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


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cache: dict[str, str]) -> dict[str, dict]:
    """Four seeds that nobody interrupted."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(train(out, 4), cache)
    return results(out)


def test_killed_runs_end_as_undisturbed_ones(
    tmp_path: Path, cache: dict[str, str], undisturbed: dict[str, dict]
) -> None:
    out, rng = tmp_path / "run", random.Random(0)
    assert kill_and_rerun(train(out, 4), cache, 2, rng, wait=(0.0, 0.3), begun=out) >= 1
    assert_same(results(out), undisturbed)


@pytest.mark.slow
def test_ten_kills(tmp_path: Path, cache: dict[str, str], undisturbed: dict[str, dict]) -> None:
    assert kill_and_rerun(train(tmp_path / "run", 4), cache, 10, random.Random(1)) >= 3
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


@pytest.mark.slow
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
