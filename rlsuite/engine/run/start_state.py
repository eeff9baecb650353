"""The whole state, or the policy, that a run goes on from, and whether it fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlsuite.contracts.config import Config
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan import artefacts
from rlsuite.engine.plan.cells import Cell
from rlsuite.io import files


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

    from rlsuite.contracts import keys
    from rlsuite.engine.run import tree
    from rlsuite.engine.run.program import context

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
