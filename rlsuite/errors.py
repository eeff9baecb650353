"""Errors a user can put right, and the nearest right answer.

Everything in the suite that finds a user's mistake raises `UsageError` with one line. The command
line prints that line and leaves with exit code 2; a library user sees an ordinary exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """A mistake in what the user asked for, described in one line."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant.

    Args:
      name: what the user wrote.
      known: the names that would have been accepted.

    Returns:
      A phrase to append to an error: the closest names, or all of them when none is close.
    """
    names = sorted(known)
    folded = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), list(folded), n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(folded[match]) for match in close) + "?"
    if not names:
        return "none is installed"
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"known: {shown}"
