"""`rlsuite train`: one agent on one environment, many seeds."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlsuite.cli import common
from rlsuite.cli.parser import Parser, agent_help, agent_settings, parse
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan import starts
from rlsuite.engine.plan.cells import Cadence, Cell
from rlsuite.engine.plan.checks import check_need
from rlsuite.engine.plan.grid import parse_seeds
from rlsuite.engine.plan.spec import Request, plan, to_record, with_data
from rlsuite.engine.plan.stages import Source, parse_inputs, parse_params
from rlsuite.engine.store.store import Store

EXAMPLE = """example:
  rlsuite train ppo --env CartPole-v1 --preset purejaxrl --seeds 16 --total-steps 500000
  rlsuite train ppo --env Pendulum-v1 --total-steps 1e6 --agent.gamma 0.9 --seeds 8:16
  rlsuite train prdc --dataset pendulum-replay --total-steps 20000
  rlsuite train ppo --from runs/NAME/cells/ID.checkpoint --total-steps 1e6

The same command again skips finished seeds, resumes broken ones and adds new ones.
`rlsuite train ppo --help` lists the agent's settings."""


def build_parser(agent: str | None) -> Parser:
    """The options of `train`; with an agent's name, its settings are in the help."""
    row = registry.agents().get(agent or "")
    epilog = f"{agent_help(row)}\n\n{EXAMPLE}" if row else EXAMPLE
    parser = Parser(prog="rlsuite train", description=__doc__, epilog=epilog)
    parser.add_argument("agent", help="see `rlsuite list agents`")
    parser.add_argument("--env", help="see `rlsuite list envs`; default the dataset's own")
    parser.add_argument("--dataset", help="a name of `rlsuite list datasets`, a file or a folder")
    common.add_dataset_folder(parser)
    parser.add_argument(
        "--input", action="append", default=[], metavar="ROLE=AGENT|FILE",
        help="what the agent is given that another makes; ROLE.NAME=VALUE sets how: total-steps, "
        "seed (a number, or own: one for each seed), preset, env, or a setting",
    )  # fmt: skip
    parser.add_argument(
        "--env-param", action="append", default=[], metavar="NAME=NUMBER",
        help="a parameter of the environment, see `rlsuite list envs`",
    )  # fmt: skip
    parser.add_argument("--preset", help="named settings, see `rlsuite list presets`")
    parser.add_argument(
        "--from", dest="start", type=Path, metavar="FILE",
        help="go on from a cell's .checkpoint or a file of rlsuite.save, --total-steps on top; "
        "from a .done, which is a policy, every seed starts anew. Settings are the file's",
    )  # fmt: skip
    parser.add_argument("--seeds", help="a number, FROM:TO, or a list 0,3,7 [1, or the file's]")
    parser.add_argument(
        "--total-steps", type=whole, help="of each seed: environment steps, or updates"
    )
    parser.add_argument(
        "--exact-steps", action="store_true", help="refuse a budget that is not whole iterations"
    )
    parser.add_argument("--evaluations", type=int, default=20, help="over the run [20]")
    parser.add_argument("--episodes", type=int, default=16, help="per evaluation [16]")
    parser.add_argument("--logs", type=int, default=100, help="rows of training metrics [100]")
    parser.add_argument("--eval-mode", help="greedy or sample; default the agent's own")
    parser.add_argument("--out", type=Path, help="run folder; default runs/NAME")
    parser.add_argument("--dry-run", action="store_true", help="show what would be run")
    common.add_execution_options(parser)
    return parser


def named_agent(argv: Sequence[str]) -> str | None:
    """The agent whose settings `--help` lists, wherever it stands, but no option's value."""
    actions = build_parser(None)._actions
    takes = {flag for action in actions if action.nargs != 0 for flag in action.option_strings}
    known = registry.agents()
    for before, word in itertools.pairwise(["", *argv]):
        valued = before in takes or (before.startswith("--agent.") and "=" not in before)
        if word in known and not valued:
            return word
    return None


def whole(text: str) -> int:
    """500000, 500_000 or 5e5."""
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        value = float("nan")
    if not value.is_integer():
        # A `UsageError` is a ValueError, of which argparse keeps only the type.
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(value)


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(build_parser(named_agent(argv)), argv, agent_flags=True)
    common.check_execution(args)
    common.use_dataset_folder(args)
    row = registry.agent(args.agent)
    check_need(row, args.dataset is not None)
    if not (args.env or args.dataset or args.start):
        raise UsageError("the following arguments are required: --env")
    cells = plan([_request(args, row)])
    if args.dry_run:
        print(describe(cells, args))
        return 0
    if args.out is not None:
        Store(args.out.absolute()).check_folder()
    cells = with_data(cells)
    folder = out_folder(cells, args)
    made = title(Store(folder), f"{args.agent} on {cells[-1].task}")
    return common.run_cells(cells, folder, ["rlsuite", "train", *argv], args, made)


def _request(args: argparse.Namespace, row: registry.AgentRow) -> Request:
    start = None if args.start is None else starts.read(args.start, args.agent)
    cadence = Cadence(args.evaluations, args.episodes, args.logs, args.eval_mode)
    settings = agent_settings(row, args.agent_options)
    inputs, params = parse_inputs(row, args.input), parse_params(args.env_param)
    return Request(
        agent=args.agent,
        **_where(args, start, params),
        start=start,
        preset=args.preset,
        settings=settings,
        total_steps=args.total_steps,
        exact_steps=args.exact_steps,
        cadence=cadence,
        datasets=[] if args.dataset is None else [args.dataset],
        flags=[*settings, "total_steps", *named(inputs, params)],
        inputs=inputs,
    )


def _where(
    args: argparse.Namespace, start: starts.Origin | None, params: dict[str, float]
) -> dict[str, Any]:
    """Seeds and environments, their options and parameters: as told, else those of the file that is
    gone on from."""
    envs = [] if args.env is None else [args.env]
    seeds = parse_seeds(args.seeds or "1")
    if start is None:
        return {"envs": envs, "seeds": seeds, "env_params": params}
    envs = envs or [start.env]
    seeds = [start.seed] if args.seeds is None else seeds
    same = envs == [start.env]
    return {
        "envs": envs, "seeds": seeds, "env_options": start.env_options if same else {},
        "env_params": {**start.env_params, **params} if same else params,
    }  # fmt: skip


def named(inputs: dict[str, Source], params: dict[str, float]) -> list[str]:
    """What the command line says of inputs and environment, as reports call it."""
    of = [[*vars(source), *source.settings] for source in inputs.values()]
    told = [f"{role}.{name}" for role, names in zip(inputs, of, strict=True) for name in names]
    return [*told, *(f"env.{name}" for name in params)]


def title(store: Store, told: str) -> str:
    """What the report of a folder is called that a command adds its runs to: what they alone would
    be called where those before them are called so too, else by the folder's name."""
    return told if not store.exists() or store.title() == told else store.folder.name


def out_folder(cells: list[Cell], args: argparse.Namespace) -> Path:
    """--out, or its default."""
    return (args.out or Path("runs") / folder_name(cells[-1], args.preset)).absolute()


def describe(cells: list[Cell], args: argparse.Namespace) -> str:
    """What would be run, and recorded for it."""
    asked = [cell for cell in cells if cell.agent == args.agent]
    what = f"{len(asked)} runs of {asked[0].own_steps:,} steps"
    what += f" from {asked[0].start.path}" if asked[0].start else ""
    if len(asked) < len(cells):
        what = "\n".join([*common.stages(cells, out_folder(cells, args)), what])
    if not (missing := to_record(cells)):
        return f"{what} -> {out_folder(cells, args)}"
    # The default folder's name depends on the content.
    where = f" -> {args.out.absolute()}" if args.out else ""
    return f"{what}{where}; {common.not_there(missing)}"


def folder_name(cell: Cell, preset: str | None) -> str:
    """A name that the same settings always get, whatever the seeds; other data, another name."""
    what: list[Any] = [cell.settings, cell.total_steps, vars(cell.cadence)]
    # Nothing without data, so that such runs keep the folders they always had.
    what += [] if cell.data is None else [cell.env, cell.data.identity]
    what += [{**cell.env_params, **{r: made.identity for r, made in cell.inputs.items()}}] * bool(
        cell.env_params or cell.inputs
    )
    what += [] if cell.start is None else [cell.start.identity]
    identity = json.dumps(what, sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    task = cell.task.replace(":", "-").replace("/", "-")
    return "-".join(filter(None, [cell.agent, task, preset, digest]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
