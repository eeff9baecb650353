"""A child for the tests of crews: answers at once, hangs or dies as told. No jax."""

from __future__ import annotations

import sys
import time

from rlsuite.bench.children.serve import serve

CALLS: list[None] = []


def hang() -> None:
    """Use no CPU for longer than any test waits."""
    time.sleep(600)


def die() -> None:
    """End with a complaint."""
    sys.exit("out of luck")


def rate() -> float:
    """The first argument; the next time one more."""
    CALLS.append(None)
    return float(sys.argv[1]) + len(CALLS) - 1


if __name__ == "__main__":
    if "print" in sys.argv:
        print("a rival prints what it likes")
    serve(
        {
            "run": lambda: None,
            "number": lambda: float(sys.argv[1]),
            "rate": rate,
            "hang": hang,
            "die": die,
        },
        compile_seconds=0.5,
        versions={"python": sys.version.split()[0]},
    )
