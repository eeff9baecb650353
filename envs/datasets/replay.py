"""Datasets the suite records itself on first use: nothing to download, no jax in the caller."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from rlsuite.contracts.errors import UsageError
from rlsuite.engine.launch import execute
from rlsuite.engine.launch.process_env import worker_environment
from rlsuite.engine.launch.session import Workers
from rlsuite.engine.plan import spec
from rlsuite.engine.store.store import Store
from rlsuite.io import artefact_cache

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
    return artefact_cache.place("datasets", f"{recipe['name']}-{digest}.npz")


def recorded(recipe: dict[str, Any]) -> Path:
    """The file of a recipe: what an agent's training run on one environment put into its replay.

    The run is one like any other, in a folder of the cache: a kill or Ctrl-C loses little of it.

    Raises:
      UsageError: the cache cannot be written, or recording failed.
    """
    path = kept(recipe)
    if path.exists():
        return path
    # Another process may be recording it; then this one waits.
    with artefact_cache.locked(path):
        if not path.exists():
            _record(recipe, path)
    return path


def _record(recipe: dict[str, Any], path: Path) -> None:
    console = Console(stderr=True, highlight=False)
    steps, name = recipe["total_steps"], recipe["name"]
    console.print(
        f"recording {name}: {recipe['agent']} on {recipe['env']}, {steps:,} steps, once "
        f"(kept in {path.parent})"
    )
    try:
        done = _trained(recipe, console)
    except UsageError as error:
        raise UsageError(f"recording {name} failed: {error}") from None
    # In a process of its own: this one has not loaded jax.
    command = [sys.executable, "-m", "rlsuite.envs.datasets.record", name, str(done), str(path)]
    made = subprocess.run(
        command, env=worker_environment("cpu"), capture_output=True, text=True, check=False
    )
    if made.returncode != 0 or not path.exists():
        last = made.stderr.strip().splitlines() or [f"code {made.returncode}"]
        raise UsageError(f"recording {name} failed: {last[-1]}")
    shutil.rmtree(done.parents[1])


def _trained(recipe: dict[str, Any], console: Console) -> Path:
    """The finished run of a recipe."""
    request = spec.Request(
        f"{recipe['agent']}-replay", [recipe["env"]], [recipe["seed"]],
        settings=recipe["settings"], total_steps=recipe["total_steps"],
    )  # fmt: skip
    cells = spec.plan([request])
    store = Store(artefact_cache.place("recording", cells[0].id))
    cells = store.prepare(cells, ["rlsuite", "recording", recipe["name"]])
    workers = Workers(1, "cpu", execute.modules(cells))
    outcome = execute.execute(store, cells, workers, console, store.folder)
    if outcome.failed:
        raise UsageError(next(iter(outcome.failed.values())))
    if outcome.left:
        raise UsageError("it was stopped, the same command goes on")
    return store.path(cells[0].id, "done")
