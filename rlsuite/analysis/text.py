"""Numbers and words as text, for terminals and pages alike."""

from __future__ import annotations

import math
from collections.abc import Iterable

NOTHING = "–"
# As published offline results are often averaged, which are else the last evaluation's.
TAIL = 10


def decimals(value: float) -> int:
    """How many decimals leave about four significant figures; none from a thousand on."""
    size = abs(value)
    if not math.isfinite(size) or size >= 1000:
        return 0
    return 1 if size >= 100 else 2 if size >= 1 else 3


def score(value: float | None) -> str:
    """A score, or a dash."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return _fixed(value, decimals(value))


def interval(value: float, low: float, high: float) -> str:
    """[low, high] with the decimals of the value, or a dash where there is no interval.

    Args:
      value: what it is the interval of; for the decimals.
      low: NaN where there is no interval.
      high: likewise.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return NOTHING
    places = decimals(max(abs(low), abs(high), abs(value)))
    return f"[{_fixed(low, places)}, {_fixed(high, places)}]"


def _fixed(value: float, places: int) -> str:
    # Minus nothing is no score: what would be rounded away keeps one figure.
    return f"{value:,.{places}f}" if value == 0 or round(value, places) else f"{value:.1g}"


def count(value: float | None) -> str:
    """A whole number with separators, or a dash."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """12.3 s, 4 min 10 s, 3 h 05 min."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"


def tail(taken: Iterable[int | None]) -> str:
    """Over which evaluations a mean of the last ten is: last 10, or all 5 where there are no more.

    Args:
      taken: how many evaluations of each run, or None.
    """
    counts = {count for count in taken if count is not None}
    if not counts or counts == {TAIL}:
        return f"last {TAIL}"
    return f"all {min(counts)}" if len(counts) == 1 else f"last {TAIL}, or all"


def seeds(ok: int, nan: int, failed: int, unfinished: int) -> str:
    """16, or 14 ok, 1 nan, 1 failed: nothing lost is ever left unsaid.

    Args:
      ok: that have finished with numbers.
      nan: that turned to NaN.
      failed: that raised.
      unfinished: that have not come to their end.
    """
    parts = ((ok, "ok"), (nan, "nan"), (failed, "failed"), (unfinished, "open"))
    if not (nan or failed or unfinished):
        return str(ok)
    return ", ".join(f"{number} {name}" for number, name in parts if number)


def with_article(noun: str) -> str:
    """A training return, an evaluation return."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
