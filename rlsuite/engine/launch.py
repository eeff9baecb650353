"""The parent: starts workers, follows their events, restarts what hangs. It never touches jax."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlsuite.engine.environment import cores, visible_gpus, worker_environment

HANG_SECONDS = 60.0
RESTARTS = 3
Event = dict[str, Any]


@dataclass
class Process:
    """One worker as its parent sees it."""

    slot: int
    popen: subprocess.Popen[str]
    cell: str | None = None
    heard: float = field(default_factory=time.monotonic)
    cpu: float = 0.0
    restarts: int = 0


class Workers:
    """A set of worker processes on one run folder.

    Make it early: workers import while the caller plans, and wait for `start`.

    Args:
      count: processes; default one a core, or one a GPU.
      device: cpu, gpu or auto.
      modules: agent and environment modules to import meanwhile.
      width: cells each worker runs at once, vmapped.
    """

    def __init__(
        self,
        count: int | None = None,
        device: str = "auto",
        modules: tuple[str, ...] = (),
        width: int = 1,
    ) -> None:
        self.width = width
        gpus = visible_gpus() if device != "cpu" else []
        self.device = "gpu" if gpus and device in ("auto", "gpu") else "cpu"
        self.count = count or (len(gpus) if self.device == "gpu" else cores())
        self.modules = modules
        self.folder: Path | None = None
        self.stopping = False
        self.events: queue.Queue[tuple[int, Event]] = queue.Queue()
        self.processes = {slot: self._spawn(slot) for slot in range(self.count)}

    def _spawn(self, slot: int, restarts: int = 0) -> Process:
        popen = subprocess.Popen(
            [
                *(sys.executable, "-m", "rlsuite.engine.worker"),
                *(str(slot), str(self.count), str(self.width), *self.modules),
            ],
            env=worker_environment(self.device, slot),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # A terminal's Ctrl-C reaches only the parent, which then asks the workers.
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(slot, popen), daemon=True).start()
        return Process(slot, popen, restarts=restarts)

    def _listen(self, slot: int, popen: subprocess.Popen[str]) -> None:
        assert popen.stdout is not None
        with popen.stdout:
            for line in popen.stdout:
                try:
                    event = json.loads(line)
                except json.JSONDecodeError:
                    event = {"event": "output", "text": line.rstrip()}
                self.events.put((slot, event))
        self.events.put((slot, {"event": "exit", "code": popen.wait(), "pid": popen.pid}))

    def start(self, folder: Path, count: int | None = None) -> None:
        """Tell the workers their folder; those beyond `count` are sent home."""
        self.folder = folder
        for slot in list(self.processes):
            if count is not None and slot >= count:
                self._close(self.processes.pop(slot))
            else:
                self._tell(self.processes[slot])

    def _tell(self, process: Process) -> None:
        assert process.popen.stdin is not None
        try:
            process.popen.stdin.write(f"{self.folder}\n")
            process.popen.stdin.flush()
        except BrokenPipeError:
            pass  # It died while importing; its exit event says so.

    def _close(self, process: Process) -> None:
        assert process.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.popen.stdin.close()

    def dismiss(self) -> None:
        """Nothing to do after all."""
        for process in self.processes.values():
            process.popen.kill()
            process.popen.wait()
            self._close(process)
        self.processes.clear()

    def follow(self, on_event: Callable[[int, Event], None]) -> None:
        """Hand events on until all workers are gone; Ctrl-C asks them to commit and stop."""
        previous = signal.signal(signal.SIGTERM, lambda *_: self.ask_to_stop())
        try:
            while self.processes:
                try:
                    self._one(on_event)
                except KeyboardInterrupt:
                    self.ask_to_stop()
        finally:
            signal.signal(signal.SIGTERM, previous)

    def _one(self, on_event: Callable[[int, Event], None]) -> None:
        try:
            slot, event = self.events.get(timeout=1.0)
        except queue.Empty:
            self._watch(on_event)
            return
        process = self.processes.get(slot)
        if event["event"] == "exit":
            if process is not None and process.popen.pid == event["pid"]:
                self._exited(process, event["code"], on_event)
            return
        if process is not None:
            process.heard = time.monotonic()
            process.cell = event.get("cell", process.cell)
        on_event(slot, event)

    def _exited(self, process: Process, code: int, on_event: Callable[[int, Event], None]) -> None:
        del self.processes[process.slot]
        self._close(process)
        if code == 0:
            return
        again = process.restarts < RESTARTS and not self.stopping
        on_event(process.slot, {
            "event": "died", "code": code, "cell": process.cell, "restarted": again,
        })  # fmt: skip
        if again:
            fresh = self._spawn(process.slot, process.restarts + 1)
            self.processes[process.slot] = fresh
            self._tell(fresh)

    def _watch(self, on_event: Callable[[int, Event], None]) -> None:
        """Kill a worker that neither speaks nor computes; `_exited` starts it again."""
        for process in list(self.processes.values()):
            used = cpu_seconds(process.popen.pid)
            now = time.monotonic()
            # An idle worker that waits for another's cell polls and so uses CPU time.
            if used is None or used > process.cpu:
                process.cpu, process.heard = used or 0.0, now
            elif now - process.heard > HANG_SECONDS:
                on_event(process.slot, {
                    "event": "hung", "cell": process.cell, "seconds": now - process.heard,
                })  # fmt: skip
                process.popen.kill()
                process.heard = now

    def ask_to_stop(self) -> None:
        """Workers commit what they have and end; one that dies meanwhile is not replaced."""
        self.stopping = True
        for process in self.processes.values():
            process.popen.terminate()


def cpu_seconds(pid: int) -> float | None:
    """CPU time a process has used; None where the system does not say."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            parts = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")
