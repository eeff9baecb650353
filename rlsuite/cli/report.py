"""`rlsuite report`: figures and one self-contained HTML page of a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlsuite.cli import common
from rlsuite.cli.parser import Parser, parse
from rlsuite.errors import UsageError

EXAMPLE = """example:
  rlsuite report runs/minatar
  rlsuite report runs/minatar --into results/ppo_minatar --title "PPO on MinAtar"

Works on a folder whose runs are still under way."""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    from rlsuite.engine.store import Store

    parser = Parser(prog="rlsuite report", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--title", help="default: the folder's name")
    parser.add_argument("--into", type=Path, help="where to write; default the run folder")
    args = parse(parser, argv, agent_flags=False)
    folder = args.folder.absolute()
    store = Store(folder)
    if not store.exists():
        raise UsageError(f"{args.folder} is no run folder (no spec.json)")
    store.cells()
    into = (args.into or folder).absolute()
    common.show(folder, args.title or folder.name, common.make_console(), into)
    return 0
