"""`rlsuite grid`: every run of a grid file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlsuite.cli import common
from rlsuite.cli.parser import Parser, parse
from rlsuite.cli.train import whole
from rlsuite.contracts import config, registry
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.plan import grid
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.plan.spec import plan, to_record, with_data
from rlsuite.engine.store.store import Store, check_readable

EXAMPLE = """example:
  rlsuite grid experiments/ppo_minatar/grid.toml --out runs/minatar
  rlsuite grid classic_control --seeds 8          # by name, see `rlsuite list experiments`
  rlsuite grid sweep.toml --set agent.gamma=0.99,0.995 --seeds 8 --dry-run

A grid file:
  [[run]]
  agent = "ppo"
  preset = "purejaxrl"
  env = ["CartPole-v1", "Acrobot-v1"]     # an offline agent takes dataset = [...] instead
  seeds = 16
  total_steps = 500_000
  [run.set]
  gamma = 0.99
  [run.sweep]                      # the product of these
  entropy_coef = [0.0, 0.01]
  learning_rate = [1e-4, 1e-3]
  [run.zip]                        # side by side
  num_envs = [4, 8]
  num_steps = [128, 64]"""


def build_parser() -> Parser:
    """The options of `grid`."""
    parser = Parser(prog="rlsuite grid", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("file", type=Path, help="TOML, see below; or an experiment's name")
    parser.add_argument("--out", type=Path, help="run folder; default runs/NAME of the grid")
    parser.add_argument(
        "--set", action="append", default=[], metavar="agent.NAME=VALUE[,VALUE...]",
        help="override a setting in every run; several values are swept",
    )  # fmt: skip
    parser.add_argument("--seeds", help="override the seeds of every run")
    parser.add_argument("--total-steps", type=whole, help="override every budget")
    parser.add_argument("--dry-run", action="store_true", help="list the runs, start none")
    parser.add_argument(
        "--without", type=Path, action="append", default=[], metavar="FOLDER",
        help="leave out what this run folder, or the tables kept of one, has finished",
    )  # fmt: skip
    common.add_dataset_folder(parser)
    common.add_execution_options(parser)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(build_parser(), argv, agent_flags=False)
    common.check_execution(args)
    common.use_dataset_folder(args)
    args.file = find(args.file)
    overrides: dict[str, Any] = {}
    if args.seeds is not None:
        overrides["seeds"] = grid.parse_seeds(args.seeds)
    if args.total_steps is not None:
        overrides["total_steps"] = args.total_steps
    title, requests = grid.read(args.file, overrides)
    if args.set:
        agents = {request.agent for request in requests}
        title, requests = grid.read(args.file, overrides | parse_sets(args.set, agents))
    cells = plan(requests)
    folder = (args.out or Path("runs") / run_name(args.file)).absolute()
    if args.dry_run:
        print(describe(missing(Store(folder).known_as(cells), args.without), folder))
        return 0
    Store(folder).check_folder()
    targets = published(args.file, cells)
    cells = missing(with_data(cells), args.without)
    if not cells:
        print("every run is finished in the folders of --without")
        return 0
    command = ["rlsuite", "grid", *argv]
    return common.run_cells(cells, folder, command, args, title, targets, args.file)


def published(file: Path, cells: Sequence[Cell]) -> Path | None:
    """The targets.csv beside a grid file, if any of its numbers is on a task of these runs.

    Raises:
      UsageError: it cannot be read.
    """
    from rlsuite.analysis.load import targets

    beside = file.with_name("targets.csv")
    tasks = {cell.task for cell in cells}
    found = beside.exists() and any(target.env in tasks for target in targets.read(beside))
    return beside if found else None


def describe(cells: Sequence[Cell], folder: Path) -> str:
    """A line for each run, and what would be recorded for them."""
    lines = common.stages(cells, folder)
    for cell in (cell for cell in cells if not cell.makes):
        # Without content there is no id yet.
        name = "-" * len(cell.id) if to_record([cell]) else cell.id
        lines.append(f"{name}  {cell.series}  {cell.task}  seed {cell.seed}  {cell.total_steps:,}")
    lines.append(f"{len(cells)} runs in {len({c.group for c in cells})} programs -> {folder}")
    if unrecorded := to_record(cells):
        lines.append(common.not_there(unrecorded))
    return "\n".join(lines)


def missing(cells: Sequence[Cell], folders: Sequence[Path]) -> list[Cell]:
    """The runs that none of some folders has finished.

    Raises:
      UsageError: a folder holds neither runs nor tables.
    """
    if not folders:
        return list(cells)
    for folder in folders:
        check_readable(folder)
    # It loads polars, which a grid otherwise needs only at its end.
    from rlsuite.analysis.load import merging

    done = merging.finished([folder.absolute() for folder in folders])
    left = [cell for cell in cells if not done & {cell.id, cell.first_id}]
    # What only finished runs were given need not be made either.
    wanted, before = ({need for c in some for need in c.needs} for some in (left, cells))
    return [c for c in left if c.digest in wanted or c.digest not in before]


def find(file: Path) -> Path:
    """A grid file, or the one of the experiment of that name.

    Raises:
      UsageError: neither exists.
    """
    if file.exists() or file.suffix or len(file.parts) > 1:
        return file
    known = registry.experiments()
    if str(file) not in known:
        raise UsageError(f"no grid file or experiment {str(file)!r}: {nearest(str(file), known)}")
    return known[str(file)].grid()


def run_name(file: Path) -> str:
    """What a grid's run folder is called: by its folder where it is 'grid.toml', by both where it
    lies beside one, else by itself."""
    parent = file.absolute().parent
    if file.stem == "grid":
        return parent.name or "grid"
    return f"{parent.name}_{file.stem}" if (parent / "grid.toml").exists() else file.stem


def parse_sets(items: Sequence[str], agents: set[str]) -> dict[str, Any]:
    """`agent.gamma=0.99,0.995` as overrides of `set` or `sweep`.

    Raises:
      UsageError: no '=', an unknown setting, a value that does not parse.
    """
    fixed: dict[str, Any] = {}
    swept: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals:
            raise UsageError(f"--set {item!r} must be agent.NAME=VALUE")
        field = grid.field_name(name)
        infos = [config.fields(registry.agent(agent).load_config()) for agent in agents]
        known = set().union(*infos)
        if field not in known:
            raise UsageError(f"--set {name}: no such setting: {nearest(field, known)}")
        info = next(fields[field] for fields in infos if field in fields)
        if "," in text and info.describe_type().startswith("list"):
            fixed[field] = config.parse(info, text)
        elif "," in text:
            swept[field] = [config.parse(info, part) for part in text.split(",")]
        else:
            fixed[field] = config.parse(info, text)
    return {"set": fixed, "sweep": swept}
