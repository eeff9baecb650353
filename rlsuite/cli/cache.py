"""`rlsuite cache`: what was made once and is kept for all run folders; list it, clear it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.table import Table

from rlsuite.cli import common
from rlsuite.cli.parser import Parser, parse
from rlsuite.contracts.errors import UsageError
from rlsuite.io import artefact_cache

EXAMPLE = """example:
  rlsuite cache
  rlsuite cache clear --kind neighbours
  rlsuite cache clear --older 30

Fitted models and rules, recorded datasets and tables of neighbours lie in $RLSUITE_CACHE, by
default ~/.cache/rlsuite. What is cleared is made again when it is needed; run folders keep what
they have."""
DAY = 24 * 3600.0


def build_parser() -> Parser:
    """The options of `cache`."""
    parser = Parser(prog="rlsuite cache", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("action", nargs="?", default="list", help="list or clear [list]")
    parser.add_argument("--kind", default="", help="only of this kind")
    parser.add_argument(
        "--older", type=float, metavar="DAYS", help="only what was not used for so long"
    )
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(build_parser(), argv, agent_flags=False)
    if args.action not in ("list", "clear"):
        raise UsageError(f"cache {args.action!r} must be list or clear")
    now = time.time()
    found = [
        entry
        for entry in artefact_cache.entries(args.kind)
        if args.older is None or now - entry.used > args.older * DAY
    ]
    if args.action == "clear":
        freed = artefact_cache.clear(found)
        print(f"{len(found)} removed, {size(freed)} freed")
        return 0
    table = Table("kind", "name", "size", "last used")
    for entry in sorted(found, key=lambda entry: (entry.kind, -entry.used)):
        days = (now - entry.used) / DAY
        table.add_row(entry.kind, entry.path.name, size(entry.size), f"{days:.0f} days ago")
    common.make_console().print(table)
    print(f"{len(found)} kept, {size(sum(entry.size for entry in found))}")
    return 0


def size(count: int) -> str:
    """Bytes in a word."""
    for unit, step in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << step:
            return f"{count / (1 << step):.1f} {unit}"
    return f"{count} B"
