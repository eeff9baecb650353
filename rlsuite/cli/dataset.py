"""`rlsuite dataset`: look into datasets, convert them, record new ones."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from rlsuite.cli import common
from rlsuite.cli import dataset_texts as texts
from rlsuite.cli.evaluate import check_policy
from rlsuite.cli.parser import Parser, parse
from rlsuite.cli.train import whole
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.launch.process_env import worker_environment
from rlsuite.io import files


def main(argv: Sequence[str]) -> int:
    """Dispatch to inspect, convert, collect or mix."""
    if not argv or argv[0] in ("-h", "--help"):
        print(texts.USAGE)
        return 0
    commands = {"inspect": inspect, "convert": convert, "collect": collect, "mix": mix}
    if argv[0] not in commands:
        raise UsageError(f"no command 'dataset {argv[0]}': {nearest(argv[0], commands)}")
    return commands[argv[0]](argv[1:])


def _parser(command: str) -> Parser:
    does, more = texts.COMMANDS[command]
    return Parser(prog=f"rlsuite dataset {command}", description=does, epilog=more)


def _tools() -> Any:
    return importlib.import_module(registry.data_kind("dataset").tools)


def inspect(argv: Sequence[str]) -> int:
    """`rlsuite dataset inspect`."""
    parser = _parser("inspect")
    parser.add_argument("dataset", help="a name of `rlsuite list datasets`, a file or a folder")
    parser.add_argument(
        "--figures", type=Path, metavar="DIR", help="draw the returns there, PNG and SVG"
    )
    common.add_dataset_folder(parser)
    args = parse(parser, argv, agent_flags=False)
    common.use_dataset_folder(args)
    if args.figures is not None:
        files.check_folder(args.figures, "--figures")
    tools = _tools()
    found = tools.inspect(args.dataset)
    print("\n".join(found.lines()))
    if args.figures is not None:
        print(f"figure        {tools.histogram(found, args.figures)}")
    return 0


def convert(argv: Sequence[str]) -> int:
    """`rlsuite dataset convert`."""
    parser = _parser("convert")
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
    parser = _parser("collect")
    parser.add_argument("target", type=Path, help="a folder to make")
    parser.add_argument("--env", required=True, help="see `rlsuite list envs`")
    parser.add_argument(
        "--steps", type=whole, required=True,
        help="in all, rounded up to whole steps of every environment of every policy",
    )  # fmt: skip
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
    tools.check_target(args.target, args.env)
    # jax is not imported yet: this process becomes what a worker would be.
    os.environ.update(worker_environment("cpu"))
    console = common.make_console()
    if what.total != what.steps:
        players = max(1, len(args.policy)) * args.num_envs
        console.print(f"{what.steps:,} steps rounded up to {what.total:,}, {players} at a time")
    return _record(tools, what, args.target, console)


def _record(tools: Any, what: Any, target: Path, console: Any) -> int:
    """Play with a bar; Ctrl-C leaves what is recorded where the same command finds it."""
    columns = (TextColumn("{task.completed:,.0f} steps"), BarColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    task = bar.add_task("", total=what.total)
    try:
        with bar:
            rows = tools.collect(what, target, lambda n: bar.update(task, completed=n))
    except KeyboardInterrupt:
        done = bar.tasks[0].completed
        print(f"rlsuite: stopped at {done:,.0f} steps: the same command goes on", file=sys.stderr)
        return 130
    console.print(f"{rows:,} steps of {what.env} -> {target}")
    return 0


def mix(argv: Sequence[str]) -> int:
    """`rlsuite dataset mix`."""
    parser = _parser("mix")
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
