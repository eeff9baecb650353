"""Gradient updates of offline agents on the whole machine, beside d3rlpy's and plain PyTorch's.

Seeds are trained side by side, one process a core; what counts is how many updates all of them make
in a second. Rivals are run in the same way, and as they come: one process with all its threads.
Everyone has the same data, batches of 256 and two layers of 256 (ODICE's policy: of 1024).
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rlsuite.bench.race import Rival
from rlsuite.contracts import refs, registry
from rlsuite.contracts.errors import UsageError

AGENTS = ("td3-bc", "iql", "prdc", "odice")
RIVALS = {
    "d3rlpy": Rival("d3rlpy", "run_d3rlpy", ("td3-bc", "iql", "prdc"), 3.0),
    "torch": Rival("torch", "run_torch", ("td3-bc",), 1.3),
}


@dataclass(frozen=True)
class Racing:
    """What every process does: gradient steps on a dataset, or on a random walk of HalfCheetah's
    sizes.

    Attributes:
      dataset: what we load; `file`: an npz file of the same steps, for rivals; '' for the walk.
      updates: ours in one call of the compiled program.
      seconds: how long each is timed.
      rows: of the data.
      repeats: measurements of each, in turn.
      workers: processes, one a core.
    """

    child: ClassVar[str] = "run_updates"

    dataset: str = ""
    file: str = ""
    updates: int = 100
    seconds: float = 5.0
    rows: int = 60_000
    obs: int = 17
    action: int = 6
    repeats: int = 3
    workers: int = 1

    def orders(self, agent: str, way: str) -> list[str]:
        """One for each process."""
        count = 1 if way == "documented" else self.workers
        order: dict[str, Any] = {
            **vars(self), "agent": agent, "way": way, "settings": {"updates": self.updates},
            "matmul_seconds": 1.0,
        }  # fmt: skip
        return [json.dumps({**order, "seed": seed}) for seed in range(count)]


@contextlib.contextmanager
def racing(dataset: str | None, repeats: int, workers: int) -> Iterator[Racing]:
    """The work on a dataset, whose steps lie in a file for rivals meanwhile; None: on the walk.

    Args:
      dataset: name or path.
      repeats: measurements of each contender, in turn.
      workers: processes of each contender, one a core.

    Raises:
      UsageError: it is not to be found, damaged, or of no environment that we know.
    """
    if dataset is None:
        yield Racing(repeats=repeats, workers=workers)
        return
    ref = refs.resolve("dataset", dataset)
    if not ref.env:
        raise UsageError(
            f"--dataset {dataset} does not say its environment: write one that does by `rlsuite "
            "dataset convert --env ENV`"
        )
    if ref.discrete or len(ref.observation) != 1:
        raise UsageError(f"--dataset {dataset}: vectors of observations and actions are needed")
    rows = refs.load(ref, registry.make_env(ref.env)).rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steps.npz"
        np.savez(path, **columns(rows))  # pyright: ignore[reportArgumentType]
        sizes = {"rows": ref.rows, "obs": ref.observation[0], "action": ref.action[0]}
        yield Racing(ref.spec, str(path), repeats=repeats, workers=workers, **sizes)


def columns(rows: Any) -> dict[str, np.ndarray]:
    """Transitions as D4RL names them; the last row of an episode is a time limit unless terminal.

    Args:
      rows: `rlsuite.data.dataset.Rows`.
    """
    episode, terminated = np.asarray(rows.episode), np.asarray(rows.terminated)
    last = np.append(episode[1:] != episode[:-1], True)
    return {
        "observations": np.asarray(rows.obs), "actions": np.asarray(rows.action),
        "rewards": np.asarray(rows.reward), "terminals": terminated,
        "timeouts": last & ~terminated, "next_observations": np.asarray(rows.next_obs),
    }  # fmt: skip


def title(work: Racing) -> str:
    """Of the table."""
    name = Path(work.dataset).name or "random walk"
    rows = f"{work.rows:,} rows of {work.obs}+{work.action}"
    return f"gradient updates/s of the machine, {name}, {rows}"
