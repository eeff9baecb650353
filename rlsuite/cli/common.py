"""What `train`, `grid` and `work` share: options, execution, and what is shown at the end."""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rlsuite.cli.parser import Parser
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.launch.process_env import check_workers
from rlsuite.engine.plan.cells import Cell
from rlsuite.io import files

UNITS = {"env_steps": "environment steps", "updates": "updates"}
DATASET_FOLDER = "RLSUITE_DATASETS"


def make_console() -> Console:
    """A console that does not fold tables into a log file's assumed 80 columns."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=130)


def add_execution_options(parser: Parser) -> None:
    """--workers, --device, --no-report."""
    group = parser.add_argument_group("execution")
    group.add_argument("--workers", type=int, help="processes; default one a core, or one a GPU")
    group.add_argument("--device", default="auto", help="auto, cpu or gpu")
    add_how(group)
    group.add_argument("--no-report", action="store_true", help="skip figures and HTML at the end")


def add_how(parser: argparse._ActionsContainer) -> None:
    """--vmap and --deterministic, which a run folder keeps."""
    parser.add_argument(
        "--vmap", type=int, metavar="W",
        help="runs a worker does at once, vmapped; default the folder's, 1 in a new one",
    )  # fmt: skip
    parser.add_argument(
        "--deterministic", action="store_true", default=None,
        help="on a GPU only operations that give the same bits every time; default the folder's",
    )  # fmt: skip


def add_dataset_folder(parser: argparse._ActionsContainer) -> None:
    """--dataset-dir."""
    parser.add_argument(
        "--dataset-dir", metavar="DIR",
        help=f"where D4RL's files lie, by default ${DATASET_FOLDER}; nothing is downloaded",
    )  # fmt: skip


def use_dataset_folder(args: argparse.Namespace) -> None:
    """Workers inherit it.

    Raises:
      UsageError: it is no folder.
    """
    if args.dataset_dir is not None:
        if not Path(args.dataset_dir).is_dir():
            raise UsageError(f"--dataset-dir {args.dataset_dir} is no folder")
        os.environ[DATASET_FOLDER] = str(Path(args.dataset_dir).absolute())


def not_there(datasets: Sequence[str]) -> str:
    """What a dry run says of datasets that the suite has not recorded yet."""
    return f"{' and '.join(datasets)} would be recorded first"


def stages(cells: Sequence[Cell], folder: Path) -> list[str]:
    """A line for each run that makes what others are given, and whether it is kept already."""
    return [
        f"{cell.id}  {cell.series}  {cell.task}  seed {cell.seed}  {cell.total_steps:,}  "
        f"makes a {cell.makes}, {'kept already' if is_kept(cell, folder) else 'first'}"
        for cell in cells
        if cell.makes
    ]


def is_kept(cell: Cell, folder: Path) -> bool:
    """Whether what a run makes is there, in the run folder or in the cache."""
    from rlsuite.engine.plan import artefacts

    here = folder / "cells" / f"{cell.id}.done"
    return here.exists() or artefacts.of_cell(cell).exists()


def check_execution(args: argparse.Namespace) -> None:
    """Refuse impossible execution options.

    Raises:
      UsageError: zero workers, an unknown or absent device, more workers than GPUs.
    """
    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers must be at least 1, not {args.workers}")
    if args.vmap is not None and args.vmap < 1:
        raise UsageError(f"--vmap must be at least 1, not {args.vmap}")
    if args.device not in ("auto", "cpu", "gpu"):
        raise UsageError(
            f"no device {args.device!r}: {nearest(args.device, ['auto', 'cpu', 'gpu'])}"
        )
    if not getattr(args, "dry_run", False):
        check_workers(args.device, args.workers)


def run_cells(
    cells: Sequence[Cell],
    folder: Path,
    command: list[str],
    args: argparse.Namespace,
    title: str,
    targets: Path | None = None,
    grid: Path | None = None,
) -> int:
    """Run cells in workers into a folder, then show the table and write the report.

    Args:
      cells: what to run.
      folder: the run folder.
      command: the command line, kept with the results.
      args: with workers, device and no_report.
      title: of the report.
      targets: published numbers to draw, kept with the results.
      grid: the file that asks, kept with the results.

    Returns:
      Exit code: 0 all finished, 1 some failed or are left.
    """
    from rlsuite.engine.launch import execute
    from rlsuite.engine.launch.session import Workers
    from rlsuite.engine.store.store import Store, keep_grid

    console = make_console()
    store = Store(folder)
    execute.check_vmap(cells, args.vmap or store.how()["width"])
    execute.check_checkpoints(store, cells)
    how = {"width": args.vmap, "deterministic": args.deterministic}
    cells = store.prepare(cells, command, title, how)
    if grid is not None:
        keep_grid(grid, folder)
    if targets is not None:
        files.write_atomic(folder / "targets.csv", targets.read_bytes())
    asked = [cell for cell in cells if not cell.makes] or cells
    budgets = sorted({cell.own_steps for cell in asked})
    shown = f"{budgets[0]:,}" if len(budgets) == 1 else f"{budgets[0]:,} to {budgets[-1]:,}"
    units = " or ".join(sorted({UNITS[cell.budget_unit] for cell in cells}))
    makers = len(cells) - len(asked)
    first = f", {makers} more make what they are given" if makers else ""
    console.print(f"{len(asked)} runs of {shown} {units}{first} -> {folder}")
    workers = Workers(args.workers, args.device, execute.modules(cells), **store.how())
    outcome = execute.execute(store, cells, workers, console, folder)
    if outcome.finished and importlib.util.find_spec("polars") is None:
        # Machines with GPUs have not always room for it; nothing but tables and reports needs it.
        console.print(f"no table: polars is missing here; elsewhere: rlsuite report {folder}")
    elif outcome.finished:
        show([folder], title, console, into=None if args.no_report else folder)
    console.print(execute.describe(outcome, folder))
    return 0 if not outcome.left else 1


def show(
    folders: Sequence[Path], title: str, console: Console, into: Path | None, tables: bool = False
) -> None:
    """The table of some folders' runs, and their report in the folder `into`, where `tables` are
    kept too if wanted.

    Args:
      folders: run folders, or those of tables kept.
      title: of the report.
      console: where the tables are printed.
      into: the report's folder; None: no report.
      tables: keep what the report can be made of again.
    """
    from rlsuite.analysis.load import loading, merging
    from rlsuite.analysis.report import terminal
    from rlsuite.analysis.report.tables import makers, summary
    from rlsuite.engine.store.store import Store

    loaded = merging.load(folders)
    if len(folders) == 1 and Store(folders[0]).exists():
        loading.compact(folders[0], loaded)
    runs, made = loaded.parted()
    if not runs.cells.is_empty():
        console.print(terminal.summary_table(summary(runs)))
    if not made.cells.is_empty():
        console.print(terminal.makers_table(makers(made)))
    if into is not None:
        from rlsuite.analysis.load import origin, targets
        from rlsuite.analysis.report import report

        published = [f / "targets.csv" for f in folders if (f / "targets.csv").exists()]
        drawn = targets.read(published[0]) if published else None
        page = report.write(loaded, into, title, drawn)
        origin.write(loaded, merging.commands(folders), into, title)
        if tables:
            merging.keep(loaded, folders, into)
        console.print(f"report {page}\nfigures {page.parent / 'figures'}")
