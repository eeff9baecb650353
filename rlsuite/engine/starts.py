"""What a run goes on from: a whole state or a policy that another one left in a file.

A whole state (optimiser, normaliser, replay, counters, environments, keys) goes on as if it had
never stopped: its iterations count, budgets come on top, annealing runs over both together. From a
policy every seed starts anew. Loads no jax by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from rlsuite import registry
from rlsuite.config import Config
from rlsuite.engine import artefacts, files
from rlsuite.engine.cells import Cell, Start
from rlsuite.errors import UsageError


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


def load(cell: Cell, agent: Any, data: Any, inputs: Any) -> Any:
    """The whole state, or the policy, that a cell goes on from.

    Args:
      cell: that has a start.
      agent: built for it.
      data: prepared, or None.
      inputs: role -> what another run made.

    Raises:
      UsageError: the file is missing, has changed since the run was asked for, or does not fit.
    """
    import jax

    from rlsuite import keys
    from rlsuite.engine import tree
    from rlsuite.engine.program import context

    start = cell.start
    assert start is not None
    path, part = Path(start.path), "state" if start.whole else "policy"
    arrays, meta = files.read_arrays(path)
    if (now := artefacts.content(arrays, part)) != start.content:
        raise UsageError(
            f"{path} changed: its content was {start.content} when the run was asked for, now {now}"
        )
    config = cell.load_config()
    ctx = context(agent, config, cell.iterations, data, inputs)
    wanted = jax.eval_shape(agent.init, keys.root(0), ctx)
    if not start.whole:
        wanted = jax.eval_shape(agent.policy, wanted)
    try:
        return tree.from_arrays(wanted, arrays, part, str(path))
    except UsageError as error:
        raise UsageError(_misfit(path, meta["cell"], config, str(error))) from None


def _misfit(path: Path, said: dict[str, Any], config: Config, why: str) -> str:
    """Which settings the shapes differ by, where the file's are not the cell's."""
    was, now = type(config).stored(said["config"]).to_mapping(), config.to_mapping()
    other = [n for n in now if n not in config.hyper() and was[n] != now[n]]
    if not other:
        return why
    told = " and ".join(f"{n} {was[n]}, not {now[n]}" for n in other)
    return f"{path} does not fit: it was made with {told}"
