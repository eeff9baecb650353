"""The timed process: it compiles, says it is ready, then does one command a line.

Standard library only, because rivals' scripts load it in an environment without rlsuite.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def serve(commands: Mapping[str, Callable[[], Any]], **facts: Any) -> None:
    """Answer commands from standard input until it is closed.

    Args:
      commands: by name; what one returns is sent back as `value`.
      facts: sent with the first line, which says that everything is compiled.
    """
    emit("ready", **facts)
    for line in sys.stdin:
        start = time.perf_counter()
        value = commands[line.strip()]()
        emit("done", seconds=time.perf_counter() - start, value=value)


def per_second(run: Callable[[], Any], count: int, seconds: float) -> Callable[[], float]:
    """A function that calls `run`, which does `count` of something, until that many seconds are
    over, and says how many it did in a second.

    Args:
      run: what is timed, compiled and warm.
      count: of what is counted, in one call.
      seconds: at least, of one measurement.
    """

    def measure() -> float:
        start, calls, taken = time.perf_counter(), 0, 0.0
        while taken < seconds:
            run()
            calls += 1
            taken = time.perf_counter() - start
        return calls * count / taken

    return measure


def serve_rate(
    prepare: Callable[[dict[str, Any]], tuple[Callable[[], Any], int]], packages: Sequence[str]
) -> None:
    """Serve `rate` for the order on the command line.

    Args:
      prepare: order -> what is timed, compiled and warm, and how much one call of it does.
      packages: whose versions are told.
    """
    order, start = json.loads(sys.argv[1]), time.perf_counter()
    rate = per_second(*prepare(order), order["seconds"])
    compiled = time.perf_counter() - start
    serve({"rate": rate}, compile_seconds=compiled, versions=versions(packages))


def emit(event: str, **values: Any) -> None:
    """One event for the parent, a JSON object a line."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Installed versions of those packages that are."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
