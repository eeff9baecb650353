"""Datasets the suite records itself on first use: nothing to download, no jax in the caller."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from rlsuite.engine import files
from rlsuite.engine.environment import cache_folder, worker_environment
from rlsuite.errors import UsageError

# Everything that decides the data but the code: another recipe is another file in the cache.
PENDULUM: dict[str, Any] = {
    "name": "pendulum-replay",
    "version": 1,
    "agent": "sac",
    "env": "Pendulum-v1",
    "seed": 0,
    "total_steps": 60_000,
    "settings": {
        "num_envs": 4, "num_steps": 1, "updates": 1, "batch_size": 128, "buffer_size": 60_000,
        "learning_starts": 2000, "prefill": "uniform", "hidden": [64, 64], "gamma": 0.98,
        "learning_rate": 1e-3, "critic_learning_rate": 1e-3, "temperature_learning_rate": 1e-3,
        "alpha": 0.2,
    },
}  # fmt: skip


def pendulum() -> Path:
    """The path of pendulum-replay, recorded now if it is not in the cache."""
    return recorded(PENDULUM)


def pendulum_path() -> Path:
    """Where pendulum-replay is kept once it is recorded."""
    return kept(PENDULUM)


def kept(recipe: dict[str, Any]) -> Path:
    """Where the file of a recipe lies once it is recorded."""
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]
    return cache_folder() / "datasets" / f"{recipe['name']}-{digest}.npz"


def recorded(recipe: dict[str, Any]) -> Path:
    """The file of a recipe: an agent's training run on one environment, its replay kept.

    Raises:
      UsageError: the cache cannot be written, or recording failed.
    """
    path = kept(recipe)
    files.remove_strays(path.parent)
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(path.with_suffix(".lock"), "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise UsageError(
            f"cannot keep {recipe['name']} in {path.parent} ({error.strerror}): set RLSUITE_CACHE"
        ) from None
    with lock:
        # Another process may be recording it; then this one waits.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _record(recipe, path)
    return path


def _record(recipe: dict[str, Any], path: Path) -> None:
    console = Console(stderr=True, highlight=False)
    steps = recipe["total_steps"]
    console.print(
        f"recording {recipe['name']}: {recipe['agent']} on {recipe['env']}, {steps:,} steps, once "
        f"(kept in {path.parent})"
    )
    command = [sys.executable, "-m", "rlsuite.envs.datasets.record", json.dumps(recipe), str(path)]
    columns = (TextColumn("{task.completed:,.0f} steps"), BarColumn(), TimeRemainingColumn())
    child = subprocess.Popen(
        command, env=worker_environment("cpu"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with child, Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=steps)
        assert child.stdout is not None
        assert child.stderr is not None
        for line in child.stdout:
            bar.update(task, completed=int(line))
        said = child.stderr.read().strip().splitlines()
    if child.returncode != 0 or not path.exists():
        last = said[-1] if said else f"code {child.returncode}"
        raise UsageError(f"recording {recipe['name']} failed: {last}")
