"""`rlsuite list`: what there is to run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.table import Table

from rlsuite.cli import common
from rlsuite.cli.parser import Parser, parse
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError, nearest

EXAMPLE = """example:
  rlsuite list envs
  rlsuite list envs minatar discrete     # rows that have all of these words
  rlsuite list presets ppo --json

`rlsuite show NAME` says more of an agent or a preset."""


class Listing(NamedTuple):
    """A table in plain words; of the first `names` columns nothing is cut or broken."""

    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    names: int = 1


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = Parser(prog="rlsuite list", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("kind", help=", ".join(KINDS))
    parser.add_argument("words", nargs="*", help="only rows with all of these words")
    parser.add_argument("--json", action="store_true", help="a JSON list of the rows")
    args = parse(parser, argv, agent_flags=False)
    if args.kind not in KINDS:
        raise UsageError(f"cannot list {args.kind!r}: {nearest(args.kind, KINDS)}")
    listing = KINDS[args.kind]()
    rows = [row for row in listing.rows if _has(row, args.words)]
    if not rows and args.words:
        names = [row[listing.names - 1] for row in listing.rows]
        hint = nearest(args.words[0], names)
        raise UsageError(f"no {args.kind} with {' and '.join(args.words)}: {hint}")
    if args.json:
        print(json.dumps([dict(zip(listing.headings, row, strict=True)) for row in rows], indent=1))
    else:
        common.make_console().print(table(listing.headings, rows, listing.names))
    for line in registry.left_out():
        print(f"rlsuite: {line}", file=sys.stderr)
    return 0


def _has(row: tuple[str, ...], words: Sequence[str]) -> bool:
    text = "\n".join(row).lower()
    return all(word.lower() in text for word in words)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> Table:
    """A plain table for a terminal.

    Args:
      headings: of the columns.
      rows: as texts.
      names: so many of the first columns hold names, which are copied and searched for: they stay
        whole.
    """
    out = Table(box=None, pad_edge=False)
    for place, heading in enumerate(headings):
        out.add_column(heading, overflow="fold", no_wrap=place < names)
    for row in rows:
        out.add_row(*row)
    return out


def _agents() -> Listing:
    rows = [
        (row.name, ", ".join(row.actions), _learns_from(row), row.summary)
        for row in registry.agents().values()
    ]
    return Listing(("agent", "actions", "learns from", "what it is"), rows)


def _learns_from(row: registry.AgentRow) -> str:
    inputs = [f"--input {given.role}" for given in row.inputs]
    return ", ".join(["--dataset" if row.data else "--env", *inputs])


def _envs() -> Listing:
    rows = []
    for row in registry.envs().values():
        limit = "–" if row.time_limit is None else str(row.time_limit)
        params = ", ".join(param.name for param in row.params)
        rows.append((row.id, row.family, str(row.observation), str(row.action), limit, params))
    rows.append(("gym:ID", "Gymnasium", "any Box or Discrete environment, on the host", "", "", ""))
    headings = ("environment", "family", "observations", "actions", "time limit", "--env-param")
    return Listing(headings, rows)


def _datasets() -> Listing:
    rows = [
        (row.name, row.env or "–", row.family, row.summary) for row in registry.datasets().values()
    ]
    rows.append(("FILE or FOLDER", "as it says", "", "D4RL's HDF5, npz, or a Minari folder"))
    return Listing(("dataset", "environment", "family", "what it is"), rows)


def _experiments() -> Listing:
    rows = [(row.name, row.summary) for row in registry.experiments().values()]
    return Listing(("experiment", "what it shows"), rows)


def _presets() -> Listing:
    rows = []
    for row in registry.agents().values():
        try:
            presets = row.load_presets()
        except UsageError as error:
            print(f"rlsuite: {error}", file=sys.stderr)
            continue
        for name, preset in presets.items():
            listed = [*preset.get("env", {}), *preset.get("dataset", {})]
            rows.append((row.name, name, ", ".join(listed) or "any", preset.get("source", "")))
    headings = ("agent", "preset", "environments and datasets with their own set", "source")
    return Listing(headings, rows, names=2)


KINDS: dict[str, Callable[[], Listing]] = {
    "agents": _agents,
    "datasets": _datasets,
    "envs": _envs,
    "experiments": _experiments,
    "presets": _presets,
}
