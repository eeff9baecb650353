# pyright: strict, reportUnknownMemberType=false
"""Random streams: every key is folded from (root seed, purpose, counter), and used once.

Because a stream depends on nothing but those three, evaluating, logging or checkpointing more or
less often cannot change what training draws.
"""

from __future__ import annotations

from enum import IntEnum

import jax
from jaxtyping import Array, Int, PRNGKeyArray

Counter = int | Int[Array, ""]


class Purpose(IntEnum):
    """What a stream is for. Values are part of the saved results: never renumber.

    One purpose, one stream: an agent that fills a replay and learns from a dataset too draws both
    from the same key and counters. DATA is the former's first steps; before DATASET was added, rows
    of a dataset were drawn from it as well.
    """

    INIT = 0
    RESET = 1
    COLLECT = 2
    LEARN = 3
    EVALUATE = 4
    DATA = 5  # the steps that fill a replay before the first update
    RULE = 6
    DATASET = 7  # which rows of a dataset are drawn


class Namespace(IntEnum):
    """Seeds for reporting and seeds for tuning never meet (Eimer et al., 2023)."""

    REPORT = 0
    TUNE = 1


def root(seed: int | Int[Array, ""], namespace: Namespace = Namespace.REPORT) -> PRNGKeyArray:
    """The key of one run. Seed 3 for tuning and seed 3 for reporting are different keys."""
    return jax.random.fold_in(jax.random.key(seed), namespace)


def stream(key: PRNGKeyArray, purpose: Purpose, counter: Counter = 0) -> PRNGKeyArray:
    """The `counter`-th key of the stream of `purpose` below `key`.

    Args:
      key: of a run (`root`), or below it.
      purpose: what is drawn.
      counter: iterations, or whatever counts the draws for this purpose.
    """
    return jax.random.fold_in(jax.random.fold_in(key, purpose), counter)
