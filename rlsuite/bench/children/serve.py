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
