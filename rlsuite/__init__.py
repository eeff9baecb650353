"""rlsuite: policy optimisation in JAX. Importing it loads neither jax nor an environment.

The house, from the ground up; what lies lower imports nothing of what lies higher:

  contracts          what everything is written against; `types` is the page to read first
  io                 files, the machine, and imports on demand
  nn                 networks and distributions
  ops                pure maths: returns, drifts, normalisers, optimisers, shuffles
  data               what agents learn from: datasets, replays, nearest rows of a dataset
  acting             many copies of an environment, and playing a policy in them
  engine.plan        from what a user asks to cells; loads no jax
  engine.store       run folders: what is written of a cell, who claims it, where it comes from
  engine.run         inside a worker: from a cell to its rows
  engine.launch      the parent of the workers: starts them, follows them, shows what they say
  analysis.load      from run folders and kept tables to frames
  analysis.stats     scores, curves, intervals and comparisons
  analysis.figures   every figure
  analysis.report    the folder and the page that hold figures and tables
  training, library  what `rlsuite.train` and the other names below are
  bench, cli         speed, and the command line
  envs, agents       each simulator and each algorithm, in folders of their own at the top level
  experiments        papers and studies, likewise
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsuite.io import lazy

__version__ = "0.1.0"

_LAZY = {
    **dict.fromkeys(
        (
            "context", "load", "load_dataset", "load_results", "make", "make_env", "save", "search",
            "train",
        ),
        "rlsuite.library",
    ),
    "UsageError": "rlsuite.contracts.errors",
    "check_env": "rlsuite.acting.vector",
}  # fmt: skip
__all__ = [
    "UsageError",
    "__version__",
    "check_env",
    "context",
    "load",
    "load_dataset",
    "load_results",
    "make",
    "make_env",
    "save",
    "search",
    "train",
]

if TYPE_CHECKING:
    from rlsuite.acting.vector import check_env
    from rlsuite.contracts.errors import UsageError
    from rlsuite.library import (
        context,
        load,
        load_dataset,
        load_results,
        make,
        make_env,
        save,
        search,
        train,
    )


__getattr__ = lazy.attributes(__name__, _LAZY)
lazy.keep_old_names()


def __dir__() -> list[str]:
    """So that tab completion shows what is imported on demand too."""
    return lazy.names(globals(), _LAZY)
