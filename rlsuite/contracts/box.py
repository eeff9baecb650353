"""Actions as agents have them and as their environment has them; loads no jax.

An agent's action is a vector in [-1, 1] or an index from 0, whatever the shape of the box or the
first number of the discrete space. `to_env` is the one place where it becomes the environment's.
"""

from __future__ import annotations

import math
from typing import Any

from rlsuite.contracts.errors import UsageError

# A box this wide is no scale to act on: most say "any number" by float32's largest.
WIDEST = 1e6


def from_unit(action: Any, low: Any, high: Any) -> Any:
    """[-1, 1] -> [low, high], for arrays of numpy or jax.

    Args:
      action: in [-1, 1].
      low: a number, or an array that broadcasts with `action`.
      high: likewise.
    """
    return low + (action + 1) * 0.5 * (high - low)


def size(space: Any) -> int:
    """Entries of an agent's action in a box."""
    return math.prod(space.shape)


def shaped(action: Any, shape: tuple[int, ...]) -> Any:
    """[*b, d] -> [*b, *shape], for arrays of numpy or jax."""
    return action.reshape(*action.shape[:-1], *shape)


def to_env(space: Any, action: Any) -> Any:
    """An agent's actions as the environment takes them, for arrays of numpy or jax.

    Args:
      space: gymnasium's Discrete or Box, the environment's own.
      action: [*b, d] in [-1, 1], d the box's number of entries, or indices [*b] from 0.

    Returns:
      [*b, *space.shape] within the box, or numbers [*b] from `space.start`.
    """
    if hasattr(space, "n"):
        return from_index(action, int(space.start))
    low, high = (bound.ravel().astype("float32") for bound in (space.low, space.high))
    return shaped(from_unit(action, low, high), space.shape)


def from_index(action: Any, start: int) -> Any:
    """Indices from 0 -> numbers from `start`."""
    return action + start if start else action


def check_bounds(who: str, env_id: str, low: float, high: float) -> None:
    """Refuse a box without bounds, or with absurd ones, to a policy that fills [-1, 1].

    Args:
      who: the agent or setting that needs bounds.
      env_id: the environment.
      low: the lowest bound of any entry of its box.
      high: the highest.

    Raises:
      UsageError: naming agent, environment and bounds, and what to do.
    """
    if abs(low) <= WIDEST and abs(high) <= WIDEST:
        return
    raise UsageError(
        f"{who} scales its actions to the environment's bounds, and those of {env_id} are "
        f"[{low:g}, {high:g}]: give its action_space finite bounds, or use ppo with "
        "action_distribution 'gaussian'"
    )
