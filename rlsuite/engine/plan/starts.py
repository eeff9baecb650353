"""What a run goes on from: a whole state or a policy that another one left in a file.

A whole state (optimiser, normaliser, replay, counters, environments, keys) goes on as if it had
never stopped: its iterations count, budgets come on top, annealing runs over both together. From a
policy every seed starts anew. Loads no jax by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from rlsuite.contracts import registry
from rlsuite.contracts.config import Config
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan import artefacts
from rlsuite.engine.plan.cells import Start
from rlsuite.io import files


class Origin(NamedTuple):
    """A file to go on from, and what it says of the run that wrote it.

    Attributes:
      start: the reference that cells keep.
      env, env_options, env_params: of that run.
      config: its settings, all of them.
      seed: its own.
    """

    start: Start
    env: str
    env_options: dict[str, Any]
    env_params: dict[str, float]
    config: Config
    seed: int


def read(path: Path, agent: str) -> Origin:
    """What a cell (.checkpoint, .done) or a file of `rlsuite.save` holds for an agent.

    Raises:
      UsageError: no such file, a damaged one, or one of another agent or without any.
    """
    arrays, meta = files.read_arrays(path)
    if "cell" not in meta:
        raise UsageError(f"{path} holds no agent: give a cell or a file of rlsuite.save")
    if meta.get("status") == "nan":
        raise UsageError(f"{path} turned to NaN: nothing goes on from it")
    said = meta["cell"]
    if said["agent"] != agent:
        raise UsageError(
            f"{path} is of {said['agent']}, not of {agent}: rlsuite train {said['agent']} goes on "
            "from it"
        )
    config = registry.agent(said["agent"]).load_config().stored(said["config"])
    whole = any(name.startswith("state") for name in arrays)
    behind = meta.get("iteration", 0) if whole else 0
    steps = config.prefill_steps() + behind * config.steps_per_iteration() if whole else 0
    content = artefacts.content(arrays, "state" if whole else "policy")
    start = Start(str(path.absolute()), content, behind, steps, whole)
    options, params = said.get("env_options", {}), said.get("env_params", {})
    return Origin(start, said["env"], options, params, config, said.get("seed", 0))
