"""`rlsuite dataset`: look into datasets, convert them, record new ones."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from rlsuite import registry
from rlsuite.cli import common
from rlsuite.cli.evaluate import check_policy
from rlsuite.cli.parser import Parser, parse
from rlsuite.cli.train import whole
from rlsuite.engine import files
from rlsuite.engine.environment import worker_environment
from rlsuite.errors import UsageError, nearest

USAGE = """usage: rlsuite dataset COMMAND [--help]

  inspect    sizes, returns, normalised score, what is wrong; draw the returns
  convert    D4RL's HDF5 <-> Minari folder <-> npz; clip actions, leave out bad rows
  collect    record a new one with a trained policy, several, or at random
  mix        one out of several, or of parts of them

example:
  rlsuite dataset inspect pendulum-replay --figures ."""
INSPECT = """example:
  rlsuite dataset inspect data/hopper_medium-v2.hdf5 --figures figures
  rlsuite dataset inspect hopper-medium-v2 --dataset-dir data

Nothing is downloaded: D4RL's names are files in --dataset-dir."""
CONVERT = """example:
  rlsuite dataset convert data/hopper_medium-v2.hdf5 data/hopper-medium
  rlsuite dataset convert raw.npz clean.npz --clip-actions --env mujoco:Hopper-v4

TARGET ends in .hdf5 (D4RL's layout) or .npz, or has no ending (a Minari folder)."""
COLLECT = """example:
  rlsuite dataset collect data/random --env Pendulum-v1 --steps 20000
  rlsuite dataset collect data/mixed --env Pendulum-v1 --steps 100000 --mode explore \\
    --policy runs/a/cells/1f0c.done --policy runs/a/cells/77ab.done

TARGET is a folder in Minari's format. The same command goes on where it was stopped."""
MIX = """example:
  rlsuite dataset mix data/hopper-medium-expert.hdf5 hopper-medium-v2 hopper-expert-v2
  rlsuite dataset mix data/mixed.npz data/random.npz data/expert.npz:0.1

TARGET ends in .hdf5 or .npz, or has no ending (a Minari folder). A share takes whole episodes."""
COMMANDS = ("inspect", "convert", "collect", "mix")


def main(argv: Sequence[str]) -> int:
    """Dispatch to inspect, convert, collect or mix."""
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if argv[0] not in COMMANDS:
        raise UsageError(f"no command 'dataset {argv[0]}': {nearest(argv[0], COMMANDS)}")
    commands = {"inspect": inspect, "convert": convert, "collect": collect, "mix": mix}
    return commands[argv[0]](argv[1:])


def _tools() -> Any:
    return importlib.import_module(registry.data_kind("dataset").tools)


def inspect(argv: Sequence[str]) -> int:
    """`rlsuite dataset inspect`."""
    parser = Parser(prog="rlsuite dataset inspect", description=main.__doc__, epilog=INSPECT)
    parser.add_argument("dataset", help="a name of `rlsuite list datasets`, a file or a folder")
    parser.add_argument(
        "--figures", type=Path, metavar="DIR", help="draw the returns there, PNG and SVG"
    )
    common.add_dataset_folder(parser)
    args = parse(parser, argv, agent_flags=False)
    common.use_dataset_folder(args)
    tools = _tools()
    found = tools.inspect(args.dataset)
    print("\n".join(found.lines()))
    if args.figures is not None:
        print(f"figure        {tools.histogram(found, args.figures)}")
    return 0


def convert(argv: Sequence[str]) -> int:
    """`rlsuite dataset convert`."""
    parser = Parser(prog="rlsuite dataset convert", description=main.__doc__, epilog=CONVERT)
    parser.add_argument("dataset", help="a name, a file or a folder")
    parser.add_argument("target", type=Path)
    parser.add_argument("--clip-actions", action="store_true", help="to the environment's box")
    parser.add_argument("--drop-bad", action="store_true", help="leave out NaN and infinity")
    parser.add_argument("--env", default="", help="the environment, where the file says none")
    common.add_dataset_folder(parser)
    args = parse(parser, argv, agent_flags=False)
    common.use_dataset_folder(args)
    if args.env:
        registry.env(args.env)
    tools = _tools()
    flags = {"clip_actions": args.clip_actions, "drop_bad": args.drop_bad, "env": args.env}
    done = tools.convert(args.dataset, args.target, **flags)
    print(
        f"{done.source.name} ({done.source.rows:,} steps) -> {args.target} ({done.layout} layout)"
    )
    if args.clip_actions or args.drop_bad:
        print(f"{done.clipped:,} actions clipped, {done.dropped:,} rows left out")
    return 0


def collect(argv: Sequence[str]) -> int:
    """`rlsuite dataset collect`."""
    parser = Parser(prog="rlsuite dataset collect", description=main.__doc__, epilog=COLLECT)
    parser.add_argument("target", type=Path, help="a folder to make")
    parser.add_argument("--env", required=True, help="see `rlsuite list envs`")
    parser.add_argument("--steps", type=whole, required=True, help="in all")
    parser.add_argument(
        "--policy", type=Path, action="append", default=[], metavar="CHECKPOINT",
        help="a cell of a run folder or a saved policy; several share the steps; none: random",
    )  # fmt: skip
    parser.add_argument("--mode", default="sample", help="greedy, sample or explore [sample]")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    parser.add_argument("--num-envs", type=int, default=16, help="stepped together [16]")
    args = parse(parser, argv, agent_flags=False)
    row = registry.env(args.env)
    if not row.resumable:
        raise UsageError(f"{row.id} keeps its state outside: it cannot be recorded resumably")
    for policy in args.policy:
        check_policy(files.read_meta(policy), policy, args.env)
    tools = _tools()
    what = tools.Collection(args.env, args.steps, args.policy, args.mode, args.seed, args.num_envs)
    # jax is not imported yet: this process becomes what a worker would be.
    os.environ.update(worker_environment("cpu"))
    console = common.make_console()
    columns = (TextColumn("{task.completed:,.0f} steps"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=args.steps)
        rows = tools.collect(what, args.target, lambda n: bar.update(task, completed=n))
    console.print(f"{rows:,} steps of {args.env} -> {args.target}")
    return 0


def mix(argv: Sequence[str]) -> int:
    """`rlsuite dataset mix`."""
    parser = Parser(prog="rlsuite dataset mix", description=main.__doc__, epilog=MIX)
    parser.add_argument("target", type=Path)
    parser.add_argument(
        "datasets", nargs="+", metavar="DATASET[:SHARE]", help="names, files or folders"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the episodes of a share [0]")
    common.add_dataset_folder(parser)
    args = parse(parser, argv, agent_flags=False)
    common.use_dataset_folder(args)
    tools = _tools()
    taken = tools.mix([tools.parse(text) for text in args.datasets], args.target, args.seed)
    for part in taken:
        print(f"{part.rows:>10,} of {part.source.rows:,} steps of {part.source.name}")
    print(f"{sum(part.rows for part in taken):>10,} steps -> {args.target}")
    return 0
