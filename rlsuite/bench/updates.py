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
import statistics
import sys
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from rlsuite.bench.crew import Crew
from rlsuite.bench.results import Spread, spread
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.launch.process_env import worker_environment

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


# Whose LayerNorm networks have; all else in them is flax's.
LAYERS = ("ours", "flax")


@dataclass(frozen=True)
class Layering:
    """Whole updates of one agent with several kinds of layers, in one process that measures them in
    turn.

    Attributes:
      agent: any that acts in a box; its settings are its defaults.
      layers: of `LAYERS`, the one that others are compared with first.
      steps: gradient steps in one measurement, at least.
      repeats: measurements of each.
      obs, action, rows: as in `Updating`.
    """

    agent: str
    layers: tuple[str, ...]
    steps: int = 400
    repeats: int = 9
    obs: int = 17
    action: int = 6
    rows: int = 100_000

    def __post_init__(self) -> None:
        for kind in self.layers:
            if kind not in LAYERS:
                raise UsageError(f"--layers: no {kind!r} here: {nearest(kind, LAYERS)}")
            if self.layers.count(kind) > 1:
                raise UsageError(f"--layers: {kind!r} is there twice, once is enough")

    def settings(self) -> dict[str, Any]:
        """The agent's, few steps an iteration and a ring filled in part where it has these."""
        known = registry.agent(self.agent).load_config()().to_mapping()
        wanted = {
            "updates": 50, "buffer_size": self.rows, "learning_starts": self.rows // 5
        }  # fmt: skip
        return {name: value for name, value in wanted.items() if name in known}


def compare(work: Layering) -> dict[str, dict[str, list[float]]]:
    """Of each kind of layers: its rates, in updates a second of CPU time, repeat by repeat, and how
    many times the rate of the first kind is as high (least, median, greatest)."""
    order = json.dumps({**vars(work), "settings": work.settings(), "seed": 0})
    command = [sys.executable, "-m", "rlsuite.bench.children.run_updates", order]
    rates: dict[str, list[float]] = {kind: [] for kind in work.layers}
    with Crew([command], worker_environment("cpu")) as crew:
        crew.ready()
        for repeat in range(work.repeats):
            # There and back, so that a machine that grows slower favours nobody.
            for kind in work.layers[:: -1 if repeat % 2 else 1]:
                rates[kind] += crew.release(kind)[1]
    found = {}
    for kind, each in rates.items():
        ratios = [a / b for a, b in zip(rates[work.layers[0]], each, strict=True)]
        found[kind] = {"updates_per_cpu_second": each, "ratio": list(spread(ratios) or ())}
    return found


def layer_table(found: dict[str, dict[str, list[float]]], work: Layering) -> Table:
    """Against the first kind."""
    shown = Table(title=f"{work.agent}: whole updates, {work.repeats} measurements in turn")
    for column in ("layers", "updates/s of CPU", f"{work.layers[0]} is faster by"):
        shown.add_column(column, justify="left" if column == "layers" else "right")
    for kind, values in found.items():
        low, middle, high = values["ratio"]
        rate = statistics.median(values["updates_per_cpu_second"])
        shown.add_row(kind, f"{rate:,.1f}", f"{middle:.3f} [{low:.3f}, {high:.3f}]")
    return shown
