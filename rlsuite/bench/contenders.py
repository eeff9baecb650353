"""Who is measured: ourselves, and rivals in a Python of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlsuite.bench.workload import Workload
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.launch.process_env import worker_environment

CHILDREN = Path(__file__).parent / "children"
WAYS = ("documented", "per-core")
RIVALS = ("purejaxrl", "rejax")


@dataclass(frozen=True)
class Contender:
    """One way of running the workload.

    Attributes:
      name, way: what the table calls it.
      commands: one a process.
      env: of the processes.
    """

    name: str
    way: str
    commands: list[list[str]]
    env: dict[str, str] = field(repr=False)


def ours(work: Workload) -> Contender:
    """This suite: single-threaded workers, the seeds divided among them."""
    module = "rlsuite.bench.children.run_suite"
    orders = [json.dumps(work.order(share)) for share in work.shares()]
    commands = [[sys.executable, "-m", module, order] for order in orders]
    return Contender("rlsuite", "per-core", commands, worker_environment("cpu"))


def rivals(
    work: Workload, python: Path, folders: dict[str, str], ways: Sequence[str]
) -> list[Contender]:
    """Each rival in each way.

    Args:
      work: what to run.
      python: of an environment where they are installed.
      folders: rival -> checkout, or '' for one that is a package.
      ways: 'documented' and 'per-core', or one of them.
    """
    found = []
    for name, folder in folders.items():
        for way in ways:
            everyone = [list(range(work.seeds))]
            shares = everyone if way == "documented" else work.shares()
            orders = [work.order(share, way=way, folder=folder) for share in shares]
            script = str(CHILDREN / f"run_{name}.py")
            commands = [[str(python), script, json.dumps(order)] for order in orders]
            env = plain_environment() if way == "documented" else worker_environment("cpu")
            found.append(Contender(name, way, commands, env))
    return found


def plain_environment() -> dict[str, str]:
    """jax as it comes, on the CPU: what nobody set by hand is not set."""
    ours_only = ("XLA_FLAGS", "PJRT_NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    env = {name: value for name, value in os.environ.items() if name not in ours_only}
    return env | {"JAX_PLATFORMS": "cpu"}


def parse_rivals(text: str) -> dict[str, str]:
    """'purejaxrl=DIR,rejax' -> {'purejaxrl': DIR, 'rejax': ''}.

    Raises:
      UsageError: an unknown rival, or purejaxrl without a checkout.
    """
    folders = {}
    for part in filter(None, text.split(",")):
        name, _, folder = part.partition("=")
        if name not in RIVALS:
            raise UsageError(f"--rivals: no rival {name!r}: {nearest(name, RIVALS)}")
        if name == "purejaxrl" and not (Path(folder) / "purejaxrl" / "ppo.py").is_file():
            raise UsageError(
                f"--rivals: {folder or 'nothing'!r} is no checkout of purejaxrl (it has no "
                "purejaxrl/ppo.py): try purejaxrl=DIR"
            )
        folders[name] = folder
    return folders


def missing(python: Path, name: str) -> str | None:
    """Why a rival cannot run in that Python: the line its import ends with; None if it can."""
    needed = {"purejaxrl": "gymnax, distrax, flax, optax", "rejax": "rejax"}[name]
    return import_failure(python, needed)


def import_failure(python: Path, needed: str) -> str | None:
    """The line that `import NEEDED` ends with in another Python; None if it succeeds.

    Raises:
      UsageError: there is no such interpreter.
    """
    try:
        out = subprocess.run(
            [str(python), "-c", f"import {needed}"],
            env=plain_environment(), capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    except OSError as error:
        raise UsageError(f"--rival-python {python}: {error.strerror}") from None
    if out.returncode == 0:
        return None
    return out.stderr.strip().rpartition("\n")[2] or f"exit code {out.returncode}"
