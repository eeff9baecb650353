"""The parent: hung workers are found, killed, restarted, and given up in the end."""

from __future__ import annotations

import itertools
import os
import queue
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rlsuite.engine.launch import session
from rlsuite.engine.launch.process_env import worker_environment
from rlsuite.engine.launch.session import Workers, cpu_seconds
from rlsuite.io import files

SAY = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
folder = Path(sys.stdin.readline().strip())
def say(**event): os.write(int(os.environ["RLSUITE_EVENTS"]), json.dumps(event).encode() + b"\\n")
"""
SLEEPER = "import sys, time; sys.stdin.readline(); time.sleep(600)"
BUSY = "import sys\nsys.stdin.readline()\nwhile True: pass"


def workers_running(script: str, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Workers that run a script in place of the real worker."""
    real = subprocess.Popen

    def popen(command: list[str], **kwargs: Any) -> Any:
        return real([sys.executable, "-c", script], **kwargs)

    monkeypatch.setattr(session.subprocess, "Popen", popen)
    monkeypatch.setattr(session, "HANG_SECONDS", 1.5)
    monkeypatch.setattr(session, "RESTARTS", 1)
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


def events_of(workers: Workers, folder: Path) -> list[tuple[str, Any]]:
    """Events of some workers until they are gone."""
    seen: list[tuple[str, Any]] = []
    workers.start(folder)
    workers.follow(lambda _, event: seen.append((event["event"], event)))
    return seen


def test_text_is_text_whatever_it_looks_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from C, on standard error, and megabytes of it without a line break."""
    lines = ["3.5", "null", "[1]", '{"event": "done", "cell": "x"}', '{"event": "exit", "code": 1}']
    script = f"""{SAY}
for line in {lines}: print(line, flush=True)
os.write(1, b"from C, no text: \\xff\\n")
print("to standard error", file=sys.stderr, flush=True)
say(event="start", cell="a")
print("x" * 3_000_000)
for k in range(1000): print("line", k)
say(event="idle", slot=0)
"""
    seen = events_of(workers_running(script, monkeypatch), tmp_path)
    assert [kind for kind, _ in seen if kind != "output"] == ["start", "idle"]
    shown = [event["text"] for kind, event in seen if kind == "output"]
    assert shown[:7] == [*lines, "from C, no text: \ufffd", "to standard error"]
    assert shown[7].startswith("xxx")
    (log,) = (tmp_path / "logs").iterdir()
    assert len(shown) == session.LINES_SHOWN + 1
    assert shown[-1] == f"prints more, which is in {log}"
    assert max(map(len, shown)) < 400
    text = log.read_text(encoding="utf-8")
    assert text.splitlines()[:7] == shown[:7]
    assert text.count("x") >= 3_000_000
    assert text.endswith("line 999\n")


def test_what_a_worker_leaves_running_does_not_hold_up_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"""{SAY}
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
say(event="idle", slot=0, child=child)
"""
    ((kind, event),) = events_of(workers_running(script, monkeypatch), tmp_path)
    assert kind == "idle"
    # Not by a clock: the command has ended though what was left still sleeps.
    assert is_running(event["child"])
    os.kill(event["child"], signal.SIGKILL)


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended unseen (a zombie answers signals too)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


def test_the_watchdog_looks_though_another_worker_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LOOK_SECONDS", 0.05)
    workers = Workers.__new__(Workers)
    workers.processes, workers.events = {}, queue.Queue()
    looks: list[float] = []
    monkeypatch.setattr(workers, "_watch", lambda _: looks.append(time.monotonic()))
    for _ in range(40):
        workers.events.put((0, {"event": "progress"}))
    for _ in range(40):
        workers._one(lambda *_: time.sleep(0.02))
    assert workers.events.empty()
    assert len(looks) >= 8


@pytest.mark.parametrize(("cpu", "moved", "hung"), [(0.002, 0, True), (0.2, 0, False),
                                                    (0.0, 1 << 20, False)])  # fmt: skip
def test_a_sleeper_whose_clock_ticks_is_hung_and_one_that_reads_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: float, moved: int, hung: bool
) -> None:
    looks = itertools.count()
    monkeypatch.setattr(session, "cpu_seconds", lambda _: cpu * next(looks))
    monkeypatch.setattr(session, "bytes_moved", lambda _: moved * next(looks))
    workers = workers_running(SLEEPER, monkeypatch)
    watched: list[float] = []
    watch = workers._watch
    monkeypatch.setattr(
        workers, "_watch", lambda say: (watched.append(time.monotonic()), watch(say))
    )
    workers.start(tmp_path)
    seen: list[str] = []
    # Four looks, a second apart, are twice the patience. The deadline is for a broken watchdog.
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline and not seen and (hung or len(watched) < 4):
        workers._one(lambda _, event: seen.append(event["event"]))
    workers.dismiss()
    assert seen[:1] == ["hung"] * hung
    assert len(watched) >= (2 if hung else 4)


def test_a_run_that_ends_its_worker_every_time_is_given_up_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"""{SAY}
if not (folder / "cells" / "bad.failed").exists():
    say(event="start", cell="bad")
    print("joint 3 broke", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)
say(event="start", cell="good")
say(event="done", cell="good", ret=1.0)
"""
    (tmp_path / "cells").mkdir()
    workers = workers_running(script, monkeypatch)
    monkeypatch.setattr(session, "RESTARTS", 3)
    seen = events_of(workers, tmp_path)
    kinds = [kind for kind, _ in seen if kind != "output"]
    once = ["start", "died"]
    assert kinds == [*once * session.DEATHS_OF_A_RUN, "failed", "start", "done"]
    died = next(event for kind, event in seen if kind == "died")
    assert (died["code"], died["text"], died["restarted"]) == (-11, "joint 3 broke", True)
    error = files.read_json(tmp_path / "cells" / "bad.failed")["error"]
    assert error == "its worker was killed by SIGSEGV, 3 times: joint 3 broke"


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
