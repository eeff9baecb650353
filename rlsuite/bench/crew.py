"""Processes that are timed together: started, compiled, then released at once."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from rlsuite.engine.launch.session import cpu_seconds

# jax 0.10 on CPU can stop for ever, without error or load, in vmapped training scans.
HANG_SECONDS = 20.0
LIMIT_SECONDS = 900.0


class Hung(Exception):
    """No process that still owes an answer has used the CPU for a while."""


class Died(Exception):
    """A process ended instead of answering; the last line it wrote on standard error."""


@dataclass
class Child:
    """One process, where its complaints go, and the thread that reads its answers."""

    popen: subprocess.Popen[str]
    errors: IO[str]
    listener: threading.Thread

    def last_error(self) -> str:
        """The last line of its standard error."""
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.popen.poll()}"


class Crew:
    """One process a command; a context that ends them.

    Args:
      commands: what to start; each process follows `rlsuite.bench.children.serve`.
      env: of all of them.
      hang_seconds: without CPU time until they count as hung.
      limit_seconds: for any answer.
    """

    def __init__(
        self,
        commands: Sequence[Sequence[str]],
        env: Mapping[str, str],
        hang_seconds: float = HANG_SECONDS,
        limit_seconds: float = LIMIT_SECONDS,
    ) -> None:
        self.hang_seconds, self.limit_seconds = hang_seconds, limit_seconds
        self._answers: queue.Queue[tuple[int, float, dict[str, Any] | None]] = queue.Queue()
        self.children = [self._spawn(i, command, env) for i, command in enumerate(commands)]

    def _spawn(self, index: int, command: Sequence[str], env: Mapping[str, str]) -> Child:
        errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        popen = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            text=True,
        )  # fmt: skip
        listener = threading.Thread(target=self._listen, args=(index, popen), daemon=True)
        listener.start()
        return Child(popen, errors, listener)

    def _listen(self, index: int, popen: subprocess.Popen[str]) -> None:
        assert popen.stdout is not None
        for line in popen.stdout:
            now = time.perf_counter()
            # Rivals may print; only objects with an event are for us.
            if line.startswith('{"event"'):
                self._answers.put((index, now, json.loads(line)))
        popen.wait()
        self._answers.put((index, time.perf_counter(), None))

    def ready(self) -> list[dict[str, Any]]:
        """Wait until all are compiled; what each says of itself.

        Raises:
          Hung, Died: instead.
        """
        return self._collect(0.0)[1]

    def release(self, command: str) -> tuple[float, list[Any]]:
        """Let all do `command` at once.

        Returns:
          Seconds from the release to the last answer, and each one's value.

        Raises:
          Hung, Died: instead.
        """
        start = time.perf_counter()
        for child in self.children:
            assert child.popen.stdin is not None
            try:
                child.popen.stdin.write(command + "\n")
                child.popen.stdin.flush()
            except BrokenPipeError:
                raise Died(child.last_error()) from None
        seconds, answers = self._collect(start)
        return seconds, [answer["value"] for answer in answers]

    def _collect(self, start: float) -> tuple[float, list[dict[str, Any]]]:
        answers: dict[int, dict[str, Any]] = {}
        last, began = start, time.monotonic()
        used, alive = -1.0, began
        while len(answers) < len(self.children):
            owing = [c for i, c in enumerate(self.children) if i not in answers]
            now, cpu = time.monotonic(), sum(cpu_seconds(c.popen.pid) or 0.0 for c in owing)
            if cpu != used:
                used, alive = cpu, now
            if now - alive > self.hang_seconds or now - began > self.limit_seconds:
                raise Hung
            try:
                index, at, answer = self._answers.get(timeout=min(1.0, self.hang_seconds / 4))
            except queue.Empty:
                continue
            if answer is None:
                raise Died(self.children[index].last_error())
            answers[index], last = answer, at
        return last - start, [answers[i] for i in range(len(self.children))]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for child in self.children:
            child.popen.kill()
            child.listener.join(timeout=5.0)
            for stream in (child.popen.stdin, child.popen.stdout, child.errors):
                with contextlib.suppress(BrokenPipeError):
                    if stream is not None:
                        stream.close()
