"""A box of actions on the scale where it is [-1, 1]."""

from __future__ import annotations

from typing import Any


def from_unit(action: Any, low: Any, high: Any) -> Any:
    """[-1, 1] -> [low, high], for arrays of numpy or jax."""
    return low + (action + 1) * 0.5 * (high - low)
