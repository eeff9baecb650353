"""What reading a damaged file may raise, as one line."""

from __future__ import annotations

import contextlib
import lzma
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlsuite.contracts.errors import UsageError

# A flipped byte reaches far: h5py, zipfile and numpy's header parser answer with all of these.
ERRORS = (
    OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    EOFError, MemoryError, SyntaxError, struct.error, tokenize.TokenError, zipfile.BadZipFile,
    zlib.error, lzma.LZMAError,
)  # fmt: skip


@contextlib.contextmanager
def readable(path: Path, kind: str) -> Iterator[None]:
    """Reading a file: whatever its content raises becomes a `UsageError` that says so.

    Raises:
      UsageError: there is none, it must not be read, it is damaged or not of this kind.
    """
    try:
        with warnings.catch_warnings():
            # Of headers that are odd, but can be read.
            warnings.simplefilter("ignore")
            yield
    except UsageError:
        raise
    except FileNotFoundError:
        raise UsageError(f"no file {path}") from None
    except PermissionError:
        raise UsageError(f"cannot read {path}: permission denied") from None
    except ERRORS as error:
        raise UsageError(f"{path} is damaged or no {kind} file ({_reason(error)})") from None


def _reason(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or str(error)
    return (said.splitlines() or [type(error).__name__])[0].partition(". ")[0]


def score(path: Path, low: Any, high: Any) -> tuple[float, float] | None:
    """The returns that count as 0 and 100, as a file says them; None where it says neither or half.

    Args:
      path: for the message.
      low: the return that counts as 0, whatever the file holds there; None where it holds nothing.
      high: the return that counts as 100, likewise.

    Raises:
      UsageError: they are no numbers, or not one below the other.
    """
    if low is None or high is None:
        return None
    try:
        pair = float(low), float(high)
    except (TypeError, ValueError):
        pair = (math.nan, math.nan)
    if not (all(map(math.isfinite, pair)) and pair[0] < pair[1]):
        raise UsageError(
            f"{path} says returns of {low} and {high} count as 0 and 100: they must be two "
            "numbers, the first below the second"
        )
    return pair
