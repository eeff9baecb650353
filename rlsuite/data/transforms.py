"""Named normalisations of offline data, as the papers' codes have them.

Observations: (s - mean) / (std + eps) over the dataset's rows, the same statistics on next
observations and when acting. Rewards: every scheme in use is r -> scale * r + shift, so that a name
is two numbers and no copy of the data is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.data.dataset import Stats

# TD3+BC, PRDC, A2PR, CORL's IQL, CQL and BC; JAX-CORL has 1e-5; ReBRAC and ODICE use none.
OBS_EPSILON = 1e-3
Scalar = float | Float[Array, ""]
Affine = tuple[Scalar, Scalar]


def standardize(
    stats: Stats, obs: Float[Array, "*b"], epsilon: Scalar = OBS_EPSILON
) -> Float[Array, "*b"]:
    """(obs - mean) / (std + epsilon): epsilon is added to the deviation, not under a root.

    Args:
      stats: of the dataset.
      obs: its trailing axes are those of an observation.
      epsilon: in the observation's own units.
    """
    return (obs - stats.obs_mean) / (stats.obs_std + epsilon)


def _range(low: Any, high: Any) -> Affine:
    # One episode, or equal ones: no range to scale by.
    span = jnp.where(high > low, high - low, 1.0)
    return 1000.0 / span, 0.0


REWARDS: dict[str, Callable[[Stats], Affine]] = {
    "none": lambda _: (1.0, 0.0),
    # IQL and ODICE on locomotion: 1000 / (largest - smallest episode return).
    "return-range": lambda s: _range(s.return_min, s.return_max),
    # The same as ODICE's and CORL's helper computes it, see `Stats`.
    "return-range-legacy": lambda s: _range(s.chunk_return_min, s.chunk_return_max),
    # On AntMaze, whose reward is 0 or 1.
    "antmaze-iql": lambda _: (1.0, -1.0),
    "antmaze-odice": lambda _: (3.0, -3.0),
    "antmaze-cql": lambda _: (10.0, -5.0),
    "antmaze-prdc": lambda _: (10_000.0, -1.0),
    "antmaze-rebrac": lambda _: (100.0, 0.0),
}


def reward_affine(name: str, stats: Stats) -> Affine:
    """(scale, shift) of a named reward normalisation.

    Raises:
      UsageError: an unknown name, with the nearest.
    """
    if name not in REWARDS:
        raise UsageError(f"no reward normalisation {name!r}: {nearest(name, REWARDS)}")
    return REWARDS[name](stats)


def clip_actions(action: Float[Array, "*b"], margin: float = 1e-5) -> Float[Array, "*b"]:
    """Within 1 - margin of zero, where a tanh policy's log density is finite (official IQL)."""
    return jnp.clip(action, -1.0 + margin, 1.0 - margin)
