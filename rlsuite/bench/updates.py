"""Gradient updates of actor-critics against the float32 matrix product of the same run.

What an update must multiply, for a batch B, an actor A: o -> h... -> k and n critics
C: o + d -> h... -> 1, in multiply-adds a row (times 2 B for FLOPs), is

  target      A + n C                                     forward
  critics     n (C + C + C - first(C))                    forward, weights', inputs'
  actor       A + m C + m (C - first(C) + d h) + A + A - first(A)

where first() is the first layer, whose input needs no gradient but for the critics' d action
columns in the actor's step; m critics judge the actor (TD3: 1, SAC: n), k is d (SAC: 2 d), and the
actor's part is divided by the delay of its steps. Whatever else is computed counts for nothing.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from rlsuite import registry
from rlsuite.bench.crew import Crew
from rlsuite.bench.results import Spread, spread
from rlsuite.engine.environment import worker_environment
from rlsuite.errors import UsageError, nearest

TARGET = 0.90
# name -> (critics, critics that judge the actor, actor outputs per action)
KINDS = {
    "td3": (2, 1, 1), "ddpg": (1, 1, 1), "sac": (2, 2, 2), "td3-bc": (2, 1, 1), "prdc": (2, 1, 1),
}  # fmt: skip


@dataclass(frozen=True)
class Updating:
    """What every process does: `updates` gradient steps on random transitions.

    Attributes:
      agent: of `KINDS`; its settings are its defaults.
      obs, action: sizes; HalfCheetah's.
      rows: transitions, too many for the caches.
      updates: in one measurement.
      repeats: measurements.
      workers: processes, one a core.
      matmul_seconds: how long the matrix product is timed, before and after each.
    """

    agent: str = "td3"
    obs: int = 17
    action: int = 6
    rows: int = 100_000
    updates: int = 400
    repeats: int = 3
    workers: int = 1
    matmul_seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.agent not in KINDS:
            raise UsageError(f"--agent: no {self.agent!r} here: {nearest(self.agent, KINDS)}")

    def settings(self) -> dict[str, Any]:
        """The agent's settings; a ring is filled in part, at random."""
        if registry.agent(self.agent).data:
            return {"updates": self.updates}
        ring = {"buffer_size": self.rows, "learning_starts": self.rows // 5}
        return {"updates": self.updates, **ring}

    def flops(self) -> float:
        """Of one update; see above."""
        config: Any = registry.agent(self.agent).load_config().from_mapping(self.settings())
        critics, judges, outputs = KINDS[self.agent]
        actor = layers(self.obs, config.hidden, outputs * self.action)
        critic = layers(self.obs + self.action, config.critic_hidden or config.hidden, 1)
        a, c = sum(actor), sum(critic)
        columns = self.action * (config.critic_hidden or config.hidden)[0]
        target = a + critics * c
        critic_step = critics * (3 * c - critic[0])
        actor_step = a + judges * (2 * c - critic[0] + columns) + 2 * a - actor[0]
        rows = 2 * config.batch_size
        return rows * (target + critic_step + actor_step / getattr(config, "policy_delay", 1))


def layers(inputs: int, hidden: tuple[int, ...], outputs: int) -> list[int]:
    """Weights of each layer."""
    return [a * b for a, b in zip((inputs, *hidden), (*hidden, outputs), strict=True)]


@dataclass(frozen=True)
class Rates:
    """Of the repeats: updates a second on each core, GFLOP/s of the matrix product on each core,
    and the share of it that the updates need."""

    per_core: Spread
    gflops: Spread
    share: Spread


def start(work: Updating) -> Crew:
    """The processes; they serve `run` and `matmul`."""
    module = "rlsuite.bench.children.run_updates"
    order = {**vars(work), "settings": work.settings()}
    commands = [
        [sys.executable, "-m", module, json.dumps({**order, "seed": seed})]
        for seed in range(work.workers)
    ]
    return Crew(commands, worker_environment("cpu"))


def measure(work: Updating) -> Rates:
    """All processes at once; the matrix product right before and after each measurement."""
    rates, ceilings = [], []
    with start(work) as crew:
        crew.ready()
        for _ in range(work.repeats):
            before = sum(crew.release("matmul")[1])
            seconds = crew.release("run")[0]
            after = sum(crew.release("matmul")[1])
            rates.append(work.updates / seconds)
            ceilings.append((before + after) / 2 / work.workers)
    shares = [rate * work.flops() * 1e-9 / c for rate, c in zip(rates, ceilings, strict=True)]
    found = [spread(values) for values in (rates, ceilings, shares)]
    assert all(found)
    return Rates(*found)  # pyright: ignore[reportArgumentType]


def table(found: Rates, work: Updating) -> Table:
    """Against the target."""
    shown = Table(title=f"{work.agent}: {work.flops() * 1e-6:,.0f} MFLOP an update, "
                        f"{work.workers} processes")  # fmt: skip
    for column in ("", "least", "median", "greatest", "target"):
        shown.add_column(column, justify="left" if not column else "right")
    shown.add_row("updates/s per core", *(f"{x:,.1f}" for x in found.per_core), "")
    shown.add_row("matrix product per core, GFLOP/s", *(f"{x:.1f}" for x in found.gflops), "")
    verdict = "met" if found.share.median >= TARGET else "missed"
    target = f">= {TARGET:.0%} {verdict}"
    shown.add_row("share of the matrix ceiling", *(f"{x:.0%}" for x in found.share), target)
    return shown
