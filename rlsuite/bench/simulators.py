"""How fast environments step, without an agent."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from rich.table import Table

from rlsuite.bench.crew import Crew
from rlsuite.bench.results import Spread, spread
from rlsuite.engine.launch.process_env import worker_environment

DEFAULT_ENVS = ("CartPole-v1", "Pendulum-v1", "Acrobot-v1", "Breakout-MinAtar")


@dataclass(frozen=True)
class Stepping:
    """What every process does: `num_steps` steps of `num_envs` copies with random actions."""

    num_envs: int = 64
    num_steps: int = 10_000
    repeats: int = 3
    workers: int = 1


def rate(env: str, work: Stepping) -> Spread:
    """Environment steps per second of all workers together."""
    module = "rlsuite.bench.children.run_env"
    shared = {"env": env, "num_envs": work.num_envs, "num_steps": work.num_steps}
    orders = [json.dumps({**shared, "seed": seed}) for seed in range(work.workers)]
    commands = [[sys.executable, "-m", module, order] for order in orders]
    with Crew(commands, worker_environment("cpu")) as crew:
        crew.ready()
        seconds = [crew.release("run")[0] for _ in range(work.repeats)]
    found = spread([work.workers * work.num_envs * work.num_steps / s for s in seconds])
    assert found is not None
    return found


def table(rates: dict[str, Spread], work: Stepping) -> Table:
    """One row an environment."""
    shown = Table(title=f"random actions, {work.num_envs} copies, {work.workers} processes")
    shown.add_column("environment")
    for column in ("env steps/s: least", "median", "greatest"):
        shown.add_column(column, justify="right")
    for env, found in rates.items():
        shown.add_row(env, *(f"{x:,.0f}" for x in found))
    return shown
