"""Training with a replay on the whole machine, beside sbx and rejax.

Every process trains one seed after the other would: one environment step, one gradient step of
batch 256 on two layers of 256, and so on, on Pendulum-v1, which all three have. Rivals are run in
the same way, a single-threaded process a core, and as they come: one process with all its threads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from rlsuite.bench.race import Rival

AGENTS = ("sac", "td3")
# rejax's TD3 has layers of 64 and no setting for it.
RIVALS = {
    "sbx": Rival("sbx", "run_replay_sbx", AGENTS, 1.5),
    "rejax": Rival("rejax", "run_replay_rejax", ("sac",), 1.5),
}


@dataclass(frozen=True)
class Working:
    """What every process does.

    Attributes:
      env: the task.
      steps: of a call of the compiled program, or of the rival's training loop.
      prefill, buffer: random steps before the first gradient step, and rows of the ring.
      seconds: how long each is timed.
      repeats: measurements of each, in turn.
      workers: processes, one a core.
    """

    child: ClassVar[str] = "run_replay"

    env: str = "Pendulum-v1"
    steps: int = 200
    prefill: int = 1000
    buffer: int = 100_000
    seconds: float = 5.0
    repeats: int = 3
    workers: int = 1

    def orders(self, agent: str, way: str) -> list[str]:
        """One for each process."""
        count = 1 if way == "documented" else self.workers
        order: dict[str, Any] = {**vars(self), "agent": agent, "way": way}
        return [json.dumps({**order, "seed": seed}) for seed in range(count)]


def title(work: Working) -> str:
    """Of the table."""
    return f"env steps/s of the machine, one gradient step each, {work.env}"
