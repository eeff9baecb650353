"""`rlsuite work`: claim, run and commit cells of a run folder until nothing is left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlsuite.cli import common
from rlsuite.cli.parser import Parser, parse
from rlsuite.contracts.errors import UsageError

EXAMPLE = """example:
  rlsuite work runs/minatar --workers 1

Any number may run on one folder, on one machine or several that share it. A worker that is killed
frees its claim; another takes the cell over from its last checkpoint."""


def build_parser() -> Parser:
    """The options of `work`."""
    parser = Parser(prog="rlsuite work", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, help="made by `train` or `grid`")
    parser.add_argument("--workers", type=int, default=1, help="processes [1]")
    common.add_how(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu or gpu")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    from rlsuite.engine.launch.execute import (
        check_checkpoints,
        check_vmap,
        describe,
        execute,
        modules,
    )
    from rlsuite.engine.launch.session import Workers
    from rlsuite.engine.store.store import Store

    args = parse(build_parser(), argv, agent_flags=False)
    common.check_execution(args)
    folder = args.folder.absolute()
    store = Store(folder)
    if not store.exists():
        raise UsageError(
            f"{args.folder} is no run folder (no spec.json): make one with `rlsuite grid`"
        )
    cells = store.cells()
    how = store.how()
    how = {"width": args.vmap or how["width"], "deterministic": args.deterministic or
           how["deterministic"]}  # fmt: skip
    check_vmap(cells, how["width"])
    check_checkpoints(store, cells)
    console = common.make_console()
    workers = Workers(args.workers, args.device, modules(cells), **how)
    outcome = execute(store, cells, workers, console, folder)
    console.print(describe(outcome, folder))
    return 0 if not outcome.left else 1
