"""The parent: hung workers are found, killed, restarted, and given up in the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rlsuite.engine import launch
from rlsuite.engine.environment import worker_environment
from rlsuite.engine.launch import Workers, cpu_seconds

SLEEPER = "import sys, time; sys.stdin.readline(); time.sleep(600)"
BUSY = "import sys\nsys.stdin.readline()\nwhile True: pass"


def workers_running(script: str, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Workers that run a script in place of the real worker."""
    real = subprocess.Popen

    def popen(command: list[str], **kwargs: Any) -> Any:
        return real([sys.executable, "-c", script], **kwargs)

    monkeypatch.setattr(launch.subprocess, "Popen", popen)
    monkeypatch.setattr(launch, "HANG_SECONDS", 1.5)
    monkeypatch.setattr(launch, "RESTARTS", 1)
    return Workers(count=1, device="cpu")


def test_a_silent_idle_worker_is_killed_restarted_and_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = workers_running(SLEEPER, monkeypatch)
    workers.start(tmp_path)
    seen: list[tuple[str, Any]] = []
    workers.follow(lambda slot, event: seen.append((event["event"], event.get("restarted"))))
    assert seen == [("hung", None), ("died", True), ("hung", None), ("died", False)]
    assert not workers.processes


def test_a_worker_that_dies_while_all_are_to_stop_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = workers_running(
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True)\n"
        "time.sleep(600)",
        monkeypatch,
    )
    workers.start(tmp_path)
    assert workers.events.get(timeout=60)[1] == {"event": "output", "text": "ready"}
    workers.ask_to_stop()
    workers.processes[0].popen.kill()
    seen: list[tuple[str, Any]] = []
    workers.follow(lambda slot, event: seen.append((event["event"], event.get("restarted"))))
    assert seen == [("died", False)]


def test_a_busy_silent_worker_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = workers_running(BUSY, monkeypatch)
    workers.start(tmp_path)
    seen: list[str] = []
    for _ in range(4):
        workers._one(lambda slot, event: seen.append(event["event"]))
    workers.dismiss()
    assert seen == []


def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "rlsuite.cli.main", "train", "ppo", "--env", "CartPole-v1"),
            *("--total-steps", "2e9", "--agent.num-envs", "2000000", "--agent.num-steps", "1000"),
            *("--seeds", "3", "--out", str(tmp_path / "run")),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("rlsuite: ppo on CartPole-v1 needs about ")
    assert done.stderr.count("\n") == 1
    assert "are free" in done.stderr


def test_cpu_time_is_read() -> None:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        first = cpu_seconds(process.pid)
        process.poll()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        second = cpu_seconds(process.pid)
    finally:
        process.kill()
        process.wait()
    assert first is not None
    assert second is not None
    assert second > first
    assert cpu_seconds(2**22 + 1) is None


def test_workers_are_single_threaded_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x")
    env = worker_environment("cpu")
    assert env["PJRT_NPROC"] == "1"
    assert env["XLA_FLAGS"].startswith("--xla_dump_to=x ")
    assert "concurrency_optimized_scheduler=false" in env["XLA_FLAGS"]
    assert env["JAX_COMPILATION_CACHE_DIR"]
