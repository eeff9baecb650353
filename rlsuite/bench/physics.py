"""How fast MuJoCo tasks step: ours inside a compiled scan, Gymnasium's vector env, EnvPool.

Everybody plays uniform random actions with automatic resets. Per core: a process a core, each with
all copies and one thread. EnvPool also as documented: one process, a thread a core. Steps are
those of the physics: a call that only resets a copy, as the other two make, is none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from rlsuite.bench.contenders import CHILDREN, import_failure, plain_environment
from rlsuite.bench.crew import Crew, Died, Hung
from rlsuite.bench.results import spread
from rlsuite.engine.launch.process_env import worker_environment

DEFAULT_ENVS = ("mujoco:HalfCheetah-v4", "mujoco:Hopper-v4", "mujoco:Ant-v4", "mujoco:Humanoid-v4")


@dataclass(frozen=True)
class Racer:
    """One way of stepping.

    Attributes:
      name, way: what the table calls it.
      command: what to start, less its order.
      threads: of one process.
      processes: how many.
    """

    name: str
    way: str
    command: tuple[str, ...]
    threads: int
    processes: int
    env: Mapping[str, str] = field(repr=False)


@dataclass
class Lap:
    """What one racer did on one task.

    Attributes:
      wall, cpu: steps of the physics per second of wall and of CPU time, each repeat.
      resets: what part of its calls, copy by copy, were resets and no steps, each repeat.
    """

    env: str
    num_envs: int
    name: str
    way: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    resets: list[float] = field(default_factory=list)
    failure: str = ""


def racers(workers: int, rival_python: Path | None) -> list[Racer]:
    """Ourselves, Gymnasium, and EnvPool where a Python that has it is named."""
    env = worker_environment("cpu")
    ours = (sys.executable, "-m", "rlsuite.bench.children.run_env")
    gym = (sys.executable, str(CHILDREN / "run_gym.py"))
    found = [
        Racer("rlsuite", "per core", ours, 1, workers, env),
        Racer("gymnasium", "per core", gym, 1, workers, env),
    ]
    if rival_python is not None:
        pool = (str(rival_python), str(CHILDREN / "run_envpool.py"))
        plain = plain_environment()
        found.append(Racer("envpool", "per core", pool, 1, workers, plain))
        found.append(Racer("envpool", "documented", pool, workers, 1, plain))
    return found


def missing(python: Path) -> str | None:
    """Why EnvPool cannot run in that Python; None if it can."""
    return import_failure(python, "envpool")


def race(
    env: str, num_envs: int, entrants: Sequence[Racer], steps: int, repeats: int,
    say: Callable[[str], Any],
) -> list[Lap]:  # fmt: skip
    """All racers on one task, in turns, so that a busy machine slows everybody.

    Args:
      env: one of ours; what follows the colon is Gymnasium's and EnvPool's name.
      num_envs: copies in each process.
      entrants: who.
      steps: of all copies of a process together, in each measurement.
      repeats: measurements of each.
      say: told of failures.
    """
    laps = [Lap(env, num_envs, r.name, r.way) for r in entrants]
    crews = [_start(env, num_envs, racer, steps) for racer in entrants]
    try:
        for turn in range(repeats + 1):
            for lap, racer, crew in zip(laps, entrants, crews, strict=True):
                if not lap.failure:
                    _measure(lap, racer, crew, steps // num_envs * num_envs, turn)
    finally:
        for crew in crews:
            crew.close()
    for lap in laps:
        if lap.failure:
            say(f"{lap.name} on {env}: {lap.failure}")
    return laps


def _start(env: str, num_envs: int, racer: Racer, steps: int) -> Crew:
    shared = {
        "env": env if racer.name == "rlsuite" else env.partition(":")[2],
        "num_envs": num_envs, "num_steps": steps // num_envs, "threads": racer.threads,
    }  # fmt: skip
    orders = [json.dumps({**shared, "seed": seed}) for seed in range(racer.processes)]
    return Crew([[*racer.command, order] for order in orders], racer.env)


def _measure(lap: Lap, racer: Racer, crew: Crew, steps: int, turn: int) -> None:
    """Turn 0 waits until everything is compiled."""
    try:
        if turn == 0:
            crew.ready()
            return
        seconds, told = crew.release("run")
    except (Died, Hung) as e:
        lap.failure = str(e) or "hung"
        return
    taken = sum(count for _, count in told)
    lap.wall.append(taken / seconds)
    lap.cpu.append(taken / sum(used for used, _ in told))
    lap.resets.append(1 - taken / (steps * racer.processes))


def table(laps: Sequence[Lap]) -> Table:
    """One row a task and racer; ratios are to ours, median over median."""
    shown = Table(title="MuJoCo, random actions, automatic resets")
    for column in ("task", "copies", "who", "how"):
        shown.add_column(column)
    for column in ("steps/s: least", "median", "greatest", "per CPU second", "ours / theirs"):
        shown.add_column(column, justify="right")
    base: Lap | None = None
    for lap in laps:
        base = lap if lap.name == "rlsuite" else base
        wall, cpu = spread(lap.wall), spread(lap.cpu)
        if wall is None:
            shown.add_row(lap.env, str(lap.num_envs), lap.name, lap.way, lap.failure)
            continue
        numbers = [f"{x:,.0f}" for x in wall] + [f"{cpu.median:,.0f}" if cpu else ""]
        mine = spread(base.wall) if base is not None and base is not lap else None
        ratio = f"{mine.median / wall.median:.2f}" if mine else ""
        shown.add_row(lap.env, str(lap.num_envs), lap.name, lap.way, *numbers, ratio)
    return shown
