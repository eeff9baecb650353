"""The parent: starts workers, follows their events, restarts what hangs. It never touches jax.

A worker's events come through a pipe of its own. What environments, simulators and libraries write
to standard output and standard error is text, whatever it looks like: it is shown, and kept in the
run folder.
"""

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
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rlsuite.engine.launch.process_env import check_workers, where, worker_environment
from rlsuite.engine.store.store import Store
from rlsuite.io.machine import EVENTS, LOGS, cores, gpus

HANG_SECONDS = 60.0
# A process whose threads all wait still uses some CPU time: timers, a library's background threads.
HANG_SHARE = 0.02
HANG_BYTES = 1 << 20
# While a GPU computes its worker may rest.
GPU_PATIENCE = 5.0
LOOK_SECONDS = 1.0
PAUSE_SECONDS = 10.0
RESTARTS = 3
# A run that ends its worker so often is given up, so that the others go on.
DEATHS_OF_A_RUN = 3
LINES_SHOWN = 20
LINE_LENGTH = 2000
LOG_BYTES = 10 << 20
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
    read: int = 0
    running: set[str] = field(default_factory=set)
    transcript: Transcript = field(default_factory=lambda: Transcript())

    def alive(self) -> None:
        """It spoke, computed or read: count from now."""
        self.heard = time.monotonic()
        self.cpu, self.read = cpu_seconds(self.popen.pid) or 0.0, bytes_moved(self.popen.pid)


@dataclass
class Transcript:
    """What one worker prints: the first lines are shown, all of it (but no more than some
    megabytes) is kept in a file of the run folder."""

    name: str = "worker.txt"
    lines: int = 0
    size: int = 0
    last: str = ""
    _waiting: list[str] = field(default_factory=list)
    _path: Path | None = None

    def take(self, line: str, folder: Path | None) -> str | None:
        """Keep a line; what to show of it, if anything."""
        text = line.rstrip()
        if not text:
            return None
        self.lines, self.last = self.lines + 1, text
        if self.size < LOG_BYTES:
            self.size += len(line)
            self._waiting.append(line if self.size < LOG_BYTES else f"{line}\n(and so on)\n")
            self.write(folder)
        if self.lines <= LINES_SHOWN:
            return text if len(text) <= 300 else f"{text[:300]} ..."
        where = "in the run folder" if folder is None else f"in {folder / LOGS / self.name}"
        return f"prints more, which is {where}" if self.lines == LINES_SHOWN + 1 else None

    def write(self, folder: Path | None) -> None:
        """Append what waits, once the folder is known; a full disk stops no run."""
        if folder is None or not self._waiting:
            return
        with contextlib.suppress(OSError):
            (folder / LOGS).mkdir(exist_ok=True)
            with open(folder / LOGS / self.name, "a", encoding="utf-8") as file:
                file.write("".join(self._waiting))
        self._waiting.clear()


class Workers:
    """A set of worker processes on one run folder.

    Make it early: workers import while the caller plans, and wait for `start`.

    Args:
      count: processes; default one a core, or one a GPU.
      device: cpu, gpu or auto.
      modules: agent and environment modules to import meanwhile.
      width: cells each worker runs at once, vmapped.
      deterministic: on a GPU, only operations that give the same bits every time.

    Raises:
      UsageError: no such device, or more workers than GPUs.
    """

    folder: Path | None = None
    asked, device = "cpu", "cpu"
    count, width = 1, 1
    stopping = False
    _looked = 0.0

    def __init__(
        self,
        count: int | None = None,
        device: str = "auto",
        modules: tuple[str, ...] = (),
        width: int = 1,
        deterministic: bool = False,
    ) -> None:
        self.width, self.deterministic = width, deterministic
        self.asked, self.device = device, check_workers(device, count)
        self.count = count or (len(gpus(True).ids) if self.device == "gpu" else cores())
        self.modules = modules
        self.events: queue.Queue[tuple[int, Event]] = queue.Queue()
        self.deaths: Counter[str] = Counter()
        self.processes = {slot: self._spawn(slot) for slot in range(self.count)}

    def _spawn(self, slot: int, restarts: int = 0) -> Process:
        hear, speak = os.pipe()
        env = worker_environment(self.device, slot, self.deterministic)
        popen = subprocess.Popen(
            [
                *(sys.executable, "-m", "rlsuite.engine.run.worker"),
                *(str(slot), str(self.count), str(self.width), *self.modules),
            ],
            env={**env, EVENTS: str(speak)},
            pass_fds=(speak,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            # A terminal's Ctrl-C reaches only the parent, which then asks the workers.
            start_new_session=True,
        )
        os.close(speak)
        process = Process(slot, popen, restarts=restarts)
        process.transcript.name = f"worker-{popen.pid}.txt"
        events = os.fdopen(hear, encoding="utf-8", errors="replace")
        readers = [
            threading.Thread(target=self._hear, args=(process, events), daemon=True),
            threading.Thread(target=self._listen, args=(slot, process), daemon=True),
        ]
        for reader in readers:
            reader.start()
        threading.Thread(target=self._wait, args=(process, readers), daemon=True).start()
        return process

    def _hear(self, process: Process, events: IO[str]) -> None:
        """A worker's events."""
        with events:
            for line in events:
                process.heard = time.monotonic()
                # Half a line is what a kill leaves.
                with contextlib.suppress(json.JSONDecodeError):
                    self.events.put((process.slot, json.loads(line)))

    def _listen(self, slot: int, process: Process) -> None:
        """A worker's text, read as fast as it comes, also where it has no line breaks."""
        popen, transcript = process.popen, process.transcript
        assert popen.stdout is not None
        with popen.stdout:
            while line := popen.stdout.readline(LINE_LENGTH):
                shown = transcript.take(line, self.folder)
                if shown is not None:
                    self.events.put((slot, {"event": "output", "text": shown}))
        transcript.write(self.folder)

    def _wait(self, process: Process, readers: list[threading.Thread]) -> None:
        """A worker's end, after its last words. What it leaves running may keep its pipes open."""
        code = process.popen.wait()
        for reader in readers:
            reader.join(timeout=1.0)
        self.events.put((process.slot, {"event": "exit", "code": code, "pid": process.popen.pid}))

    def describe(self, count: int) -> str:
        """Where up to so many workers run, and how."""
        text = where(self.asked, self.device, min(count, self.count))
        if self.width > 1:
            return f"{text}, each runs up to {self.width} at once"
        if self.device == "gpu" and count > self.count:
            return f"{text}, each one run at a time (--vmap W for W at once)"
        return text

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
        # Only the main thread may say what a signal does.
        main = threading.current_thread() is threading.main_thread()
        previous = main and signal.signal(signal.SIGTERM, lambda *_: self.ask_to_stop())
        try:
            while self.processes:
                try:
                    self._one(on_event)
                except KeyboardInterrupt:
                    self.ask_to_stop()
        finally:
            if main:
                signal.signal(signal.SIGTERM, previous)

    def _one(self, on_event: Callable[[int, Event], None]) -> None:
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look(on_event)
        try:
            slot, event = self.events.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            return
        process = self.processes.get(slot)
        if event["event"] == "exit":
            if process is not None and process.popen.pid == event["pid"]:
                self._exited(process, event["code"], on_event)
            return
        if process is not None and event["event"] != "output":
            self._note(process, event)
        on_event(slot, event)

    def _note(self, process: Process, event: Event) -> None:
        """What a worker is at, for when it dies."""
        process.cell = event.get("cell", process.cell)
        if event["event"] == "start":
            process.running.add(event["cell"])
        elif event["event"] in ("done", "nan", "failed"):
            process.running.discard(event["cell"])
            process.restarts = 0

    def _exited(self, process: Process, code: int, on_event: Callable[[int, Event], None]) -> None:
        del self.processes[process.slot]
        self._close(process)
        if code == 0 or (self.stopping and code == -signal.SIGTERM):
            return
        again = process.restarts < RESTARTS and not self.stopping
        on_event(process.slot, {
            "event": "died", "code": code, "cell": process.cell, "restarted": again,
            "text": process.transcript.last,
        })  # fmt: skip
        self._blame(process, code, on_event)
        if again:
            fresh = self._spawn(process.slot, process.restarts + 1)
            self.processes[process.slot] = fresh
            self._tell(fresh)
            if self.stopping:
                # Asked to stop just now, when it was not among those that were told.
                fresh.popen.terminate()

    def _blame(self, process: Process, code: int, on_event: Callable[[int, Event], None]) -> None:
        """Give up the runs that ended their worker every time."""
        if self.stopping or self.folder is None:
            return
        for cell in sorted(process.running):
            self.deaths[cell] += 1
            if self.deaths[cell] < DEATHS_OF_A_RUN:
                continue
            error = f"its worker {how_it_ended(code)}, {self.deaths[cell]} times"
            if process.transcript.last:
                error += f": {process.transcript.last[:300]}"
            store = Store(self.folder)
            if not store.is_done(cell):
                store.fail(cell, error)
                on_event(process.slot, {"event": "failed", "cell": cell, "error": error})

    def _look(self, on_event: Callable[[int, Event], None]) -> None:
        """Look after the workers; after a pause of the machine or of this process they get time."""
        now = time.monotonic()
        if self._looked and now - self._looked > PAUSE_SECONDS:
            for process in self.processes.values():
                process.alive()
        self._looked = now
        self._watch(on_event)

    def _watch(self, on_event: Callable[[int, Event], None]) -> None:
        """Kill a worker that neither speaks nor computes; `_exited` starts it again."""
        patience = HANG_SECONDS * (GPU_PATIENCE if self.device == "gpu" else 1.0)
        for process in list(self.processes.values()):
            used, moved = cpu_seconds(process.popen.pid), bytes_moved(process.popen.pid)
            silent = time.monotonic() - process.heard
            if (
                used is None
                or used - process.cpu >= HANG_SHARE * HANG_SECONDS
                or moved - process.read >= HANG_BYTES
            ):
                process.alive()
            elif silent > patience:
                on_event(process.slot, {
                    "event": "hung", "cell": process.cell, "seconds": silent,
                })  # fmt: skip
                process.popen.kill()
                process.alive()

    def ask_to_stop(self) -> None:
        """Workers commit what they have and end; one that dies meanwhile is not replaced."""
        self.stopping = True
        for process in self.processes.values():
            process.popen.terminate()


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    # Nobody else sends it unasked.
    hint = " (out of memory?)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


def cpu_seconds(pid: int) -> float | None:
    """CPU time of a process and of what it waited for; None where the system does not say."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            parts = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return sum(int(part) for part in parts[11:15]) / os.sysconf("SC_CLK_TCK")


def bytes_moved(pid: int) -> int:
    """Bytes that a process has read and written; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/io", encoding="utf-8") as file:
            lines = dict(line.split(": ") for line in file.read().splitlines())
    except OSError:
        return 0
    return sum(int(lines.get(name, 0)) for name in ("rchar", "wchar", "read_bytes"))
