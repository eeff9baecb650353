"""`rlsuite list`: what there is to run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from rlsuite import registry
from rlsuite.cli import common
from rlsuite.cli.parser import Parser, parse
from rlsuite.errors import UsageError, nearest

EXAMPLE = """example:
  rlsuite list envs
  rlsuite list presets"""
KINDS = ("agents", "datasets", "envs", "experiments", "presets")


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = Parser(prog="rlsuite list", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("kind", help=", ".join(KINDS))
    args = parse(parser, argv, agent_flags=False)
    if args.kind not in KINDS:
        raise UsageError(f"cannot list {args.kind!r}: {nearest(args.kind, KINDS)}")
    table = {
        "agents": _agents, "datasets": _datasets, "envs": _envs,
        "experiments": _experiments, "presets": _presets,
    }  # fmt: skip
    common.make_console().print(table[args.kind]())
    return 0


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(headings):
        # Names are copied and searched for: they stay whole.
        table.add_column(heading, overflow="fold", no_wrap=place == 0)
    return table


def _agents() -> Table:
    table = _table("agent", "actions", "learns from", "what it is")
    for row in registry.agents().values():
        source = "--dataset" if row.data else "--env"
        table.add_row(row.name, ", ".join(row.actions), source, row.summary)
    return table


def _envs() -> Table:
    table = _table("environment", "family", "observations", "actions", "time limit")
    for row in registry.envs().values():
        limit = "–" if row.time_limit is None else str(row.time_limit)
        table.add_row(row.id, row.family, str(row.observation), str(row.action), limit)
    table.add_row("gym:ID", "Gymnasium", "any Box or Discrete environment, on the host", "", "")
    return table


def _datasets() -> Table:
    table = _table("dataset", "environment", "family", "what it is")
    for row in registry.datasets().values():
        table.add_row(row.name, row.env or "–", row.family, row.summary)
    table.add_row("FILE or FOLDER", "as it says", "", "D4RL's HDF5, npz, or a Minari folder")
    return table


def _experiments() -> Table:
    table = _table("experiment", "what it shows")
    for row in registry.experiments().values():
        table.add_row(row.name, row.summary)
    return table


def _presets() -> Table:
    table = _table("agent", "preset", "environments and datasets with their own set", "source")
    for row in registry.agents().values():
        for name, preset in row.load_presets().items():
            listed = [*preset.get("env", {}), *preset.get("dataset", {})]
            table.add_row(row.name, name, ", ".join(listed) or "any", preset.get("source", ""))
    return table
