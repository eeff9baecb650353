"""`rlsuite report`: figures and one self-contained HTML page of a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlsuite.cli import common
from rlsuite.cli.parser import Parser, parse
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.store.store import check_readable

EXAMPLE = """example:
  rlsuite report runs/minatar
  rlsuite report runs/minatar --into results/ppo_minatar --title "PPO on MinAtar"
  rlsuite report runs/monday runs/tuesday --into results/both --tables
  rlsuite report results/both runs/wednesday --into results/both --tables

Works on a folder whose runs are still under way. Of several folders a run counts once, where it
came furthest. --tables keeps the numbers of every run in two small files, so that the folder is
read like a run folder and can be added to when the runs themselves are gone."""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = Parser(prog="rlsuite report", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, nargs="+", help="of runs, or of tables kept of them")
    parser.add_argument("--title", help="default: the one it had, else the last folder's name")
    parser.add_argument("--into", type=Path, help="where to write; default the run folder")
    parser.add_argument("--tables", action="store_true", help="keep every run's numbers there too")
    args = parse(parser, argv, agent_flags=False)
    folders = [folder.absolute() for folder in args.folder]
    if args.into is None and len(folders) > 1:
        raise UsageError("several folders are given: say --into FOLDER for their report")
    for folder in folders:
        check_readable(folder)
    into = (args.into or folders[0]).absolute()
    title = args.title or _title(into, folders)
    common.show(folders, title, common.make_console(), into, args.tables)
    return 0


def _title(into: Path, folders: Sequence[Path]) -> str:
    from rlsuite.analysis.load import origin

    return origin.title(into) or origin.title(folders[-1]) or folders[-1].name
