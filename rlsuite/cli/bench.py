"""`rlsuite bench`: speed, as ratios within one run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from rlsuite.bench.contenders import WAYS
from rlsuite.cli import common
from rlsuite.cli.bench_options import check_belonging, check_out
from rlsuite.cli.parser import Parser, parse
from rlsuite.cli.train import whole
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.store import provenance
from rlsuite.io import files
from rlsuite.io.machine import cores, gpus

EXAMPLE = """what:
  ppo    16 seeds of PPO on CartPole: env steps/s per GFLOP/s of matrix product measured in the
         same run, and how many times faster than rivals, where these are installed
  updates  gradient updates/s of an actor-critic (td3, ddpg, sac, td3-bc, prdc) on HalfCheetah's
         sizes, as a share of the matrix product measured in the same run
  replay  env steps/s of sac and td3 on Pendulum, a gradient step each, on the whole machine,
         beside sbx's and rejax's where --rival-python has them
  offline  gradient updates/s of td3-bc, iql, prdc and odice on the whole machine, beside d3rlpy's
         and plain PyTorch's where --rival-python has them
  neighbours  nearest-neighbour searches/s and memory of each backend, and PRDC's updates beside
         TD3+BC's
  env    environments alone, with random actions
  physics  MuJoCo tasks with random actions: ours in a compiled scan, Gymnasium's vector env, and
         EnvPool where --rival-python has it
  start  seconds from a command to its first result on disk, and of `import rlsuite`
  accelerator  one GPU: steps/s, memory and compile seconds at ascending widths, equal bits, kill
         and resume, whole runs; --tiny runs the same code on a CPU

example:
  rlsuite bench ppo
  rlsuite bench ppo --rival-python PYTHON --rivals purejaxrl=DIR,rejax --out bench.json
  rlsuite bench offline --rival-python PYTHON --rivals d3rlpy,torch

Rivals need a Python of their own (rejax 0.1.3 with gymnax 0.0.9). Each is run as it documents
(seeds vmapped in one process, jax as it comes) and per core, as we run. Everybody has the same
settings, compiles before the clock starts, and only trains: no evaluation, no checkpoints."""


def build_parser() -> Parser:
    """The options of `bench`."""
    parser = Parser(prog="rlsuite bench", description=__doc__, epilog=EXAMPLE)
    parser.add_argument(
        "what",
        help="ppo, updates, replay, offline, neighbours, env, physics, start or accelerator",
    )
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each [3]")
    parser.add_argument("--workers", type=int, help="processes; default one a core")
    parser.add_argument("--out", type=Path, help="a JSON file of everything measured")
    ppo = parser.add_argument_group("bench ppo", "rivals also of bench replay and offline")
    ppo.add_argument("--seeds", type=int, default=16, help="[16]")
    ppo.add_argument("--total-steps", type=whole, default=131_072, help="of each seed [131072]")
    ppo.add_argument("--rival-python", type=Path, help="interpreter of the rivals' environment")
    ppo.add_argument(
        "--rivals",
        default="",
        help="purejaxrl=DIR,rejax; bench offline: d3rlpy,torch; bench replay: sbx,rejax",
    )
    ppo.add_argument("--ways", default=",".join(WAYS), help="rivals' ways of running [both]")
    _add_updates(parser)
    offline = parser.add_argument_group("bench offline")
    offline.add_argument("--dataset", help="a name or path; default a random walk of 60,000 steps")
    common.add_dataset_folder(offline)
    searches = parser.add_argument_group("bench neighbours", "also --updates")
    searches.add_argument("--rows", type=whole, default=200_000, help="[200000]")
    searches.add_argument("--states", type=int, default=17, help="entries of an observation [17]")
    searches.add_argument("--actions", type=int, default=6, help="entries of an action [6]")
    searches.add_argument("--batch", type=int, default=256, help="queries of a search [256]")
    searches.add_argument("--neighbours", type=int, default=64, help="K of the table [64]")
    env = parser.add_argument_group("bench env")
    env.add_argument("--envs", help="comma-separated ids; default a few")
    physics = parser.add_argument_group("bench physics", "also --envs and --rival-python")
    physics.add_argument("--copies", default="16,256", help="environments a process [16,256]")
    physics.add_argument("--steps", type=whole, default=20_480, help="a measurement [20480]")
    _add_accelerator(parser)
    return parser


def _add_updates(parser: Parser) -> None:
    updates = parser.add_argument_group("bench updates")
    updates.add_argument("--agent", default="td3", help="[td3]")
    updates.add_argument("--updates", type=whole, default=400, help="in a measurement [400]")
    updates.add_argument(
        "--layers",
        default="",
        help="compare LayerNorms instead: ours,flax; any agent for boxes",
    )


def _add_accelerator(parser: Parser) -> None:
    accelerator = parser.add_argument_group("bench accelerator")
    accelerator.add_argument("--cases", default="", help="comma-separated; default all")
    accelerator.add_argument("--tiny", action="store_true", help="toy sizes, also on a CPU")
    accelerator.add_argument("--seconds", type=whole, default=480, help="for all of it [480]")


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(build_parser(), argv, agent_flags=False)
    commands = {
        "ppo": bench_ppo, "updates": bench_updates, "offline": bench_offline,
        "replay": bench_replay,
        "neighbours": bench_neighbours, "env": bench_env, "physics": bench_physics,
        "start": bench_start, "accelerator": bench_accelerator,
    }  # fmt: skip
    if args.what not in commands:
        raise UsageError(f"no benchmark {args.what!r}: {nearest(args.what, commands)}")
    check_belonging(args.what, argv)
    for name in ("repeats", "workers", "updates"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise UsageError(f"--{name} must be at least 1, not {value}")
    if args.out is not None:
        check_out(args.out)
    common.use_dataset_folder(args)
    if args.layers and args.workers:
        raise UsageError("--layers compares in one process: leave --workers out")
    args.workers = args.workers or cores()
    found = commands[args.what](args, common.make_console())
    if args.out is not None:
        found["software"] = provenance.software()
        found["command"] = provenance.portable(["rlsuite", "bench", *argv])
        files.write_utf8(args.out, json.dumps(found, indent=1) + "\n")
    return 0


def bench_ppo(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Ourselves and the rivals that are there."""
    from rlsuite.bench import contenders, measure, table
    from rlsuite.bench.workload import Workload

    work = Workload(args.seeds, args.total_steps, args.repeats, args.workers)
    entrants = [contenders.ours(work), *find_rivals(args, work, console)]
    results = measure.measure(work, entrants, console.print)
    console.print(table.suite_table(results))
    if (rivals := table.rival_table(results)) is not None:
        console.print(rivals)
    return results.to_mapping()


def find_rivals(args: argparse.Namespace, work: Any, console: Console) -> list[Any]:
    """Those asked for that can be run; one line for each that cannot.

    Args:
      args: of the command line: `rivals`, `ways` and `rival_python`.
      work: the `Workload`.
      console: told who is left out, and why.

    Raises:
      UsageError: an unknown rival or way; rivals without a Python or the other way round.
    """
    from rlsuite.bench import contenders

    folders = contenders.parse_rivals(args.rivals)
    ways = [way for way in args.ways.split(",") if way]
    for way in ways:
        if way not in WAYS:
            raise UsageError(f"--ways: no way {way!r}: {nearest(way, WAYS)}")
    if not folders or args.rival_python is None:
        if bool(folders) != (args.rival_python is not None):
            raise UsageError("--rivals and --rival-python go together")
        console.print("no rivals asked for: see --rivals and --rival-python")
        return []
    for name in list(folders):
        if reason := contenders.missing(args.rival_python, name):
            console.print(f"{name} is left out: {reason}")
            del folders[name]
    return contenders.rivals(work, args.rival_python, folders, ways)


def bench_updates(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Gradient steps alone."""
    from rlsuite.bench import updates

    if kinds := tuple(name for name in args.layers.split(",") if name):
        compared = updates.Layering(args.agent, kinds, args.updates, args.repeats)
        rates = updates.compare(compared)
        console.print(updates.layer_table(rates, compared))
        return {"work": vars(compared), "layers": rates}
    work = updates.Updating(
        args.agent, updates=args.updates, repeats=args.repeats, workers=args.workers
    )
    found = updates.measure(work)
    console.print(updates.table(found, work))
    return {"work": vars(work), "flops_per_update": work.flops(), **vars(found)}


def bench_offline(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Offline agents' gradient steps and their rivals'."""
    from rlsuite.bench import offline, race

    python = args.rival_python
    rivals = race.present(args.rivals, offline.RIVALS, python, console.print)
    laps = []
    with offline.racing(args.dataset, args.repeats, args.workers) as work:
        for agent in offline.AGENTS:
            entrants = race.contenders(work, agent, python, rivals)
            laps += race.race(agent, entrants, work.repeats, console.print)
    console.print(race.table(laps, offline.RIVALS, offline.title(work), "updates/s"))
    told = {name: value for name, value in vars(work).items() if name not in ("dataset", "file")}
    data = Path(work.dataset).name or "random walk"
    return {"work": {"data": data, **told}, "laps": [vars(lap) for lap in laps]}


def bench_replay(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Training with a replay, ours and theirs."""
    from rlsuite.bench import race, replay

    python = args.rival_python
    rivals = race.present(args.rivals, replay.RIVALS, python, console.print)
    work = replay.Working(repeats=args.repeats, workers=args.workers)
    laps = []
    for agent in replay.AGENTS:
        entrants = race.contenders(work, agent, python, rivals)
        laps += race.race(agent, entrants, work.repeats, console.print)
    console.print(race.table(laps, replay.RIVALS, replay.title(work), "env steps/s"))
    return {"work": vars(work), "laps": [vars(lap) for lap in laps]}


def bench_neighbours(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Searches, and updates with and without one."""
    from rlsuite.bench import neighbours

    names = ("rows", "states", "actions", "batch", "neighbours", "repeats")
    work = neighbours.Searching(**{name: getattr(args, name) for name in names})
    searched = neighbours.search(work)
    console.print(neighbours.search_table(searched, work))
    updated = neighbours.update(args.updates, args.repeats, console.print)
    console.print(neighbours.update_table(updated))
    return {"work": vars(work), **vars(searched), "updates": vars(updated)}


def bench_env(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Environments alone."""
    from rlsuite.bench import simulators

    names = args.envs.split(",") if args.envs else simulators.DEFAULT_ENVS
    for name in names:
        if not registry.env(name).resumable:
            raise UsageError(f"{name} steps outside jax: bench env times compiled environments")
    work = simulators.Stepping(repeats=args.repeats, workers=args.workers)
    rates = {name: simulators.rate(name, work) for name in names}
    console.print(simulators.table(rates, work))
    return {"work": vars(work), "env_steps_per_second": rates}


def bench_physics(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """MuJoCo tasks, ours and theirs."""
    from rlsuite.bench import physics

    names = args.envs.split(",") if args.envs else physics.DEFAULT_ENVS
    for name in names:
        if registry.env(name).family != "mujoco":
            raise UsageError(f"{name} is no MuJoCo task: bench physics takes mujoco: ids")
    sizes = [int(part) if part.isdigit() else 0 for part in args.copies.split(",")]
    if min(sizes) < 1 or args.steps < max(sizes):
        raise UsageError(f"--copies {args.copies}: whole numbers from 1 to --steps ({args.steps})")
    python = args.rival_python
    if python is not None and (reason := physics.missing(python)):
        console.print(f"envpool is left out: {reason}")
        python = None
    entrants = physics.racers(args.workers, python)
    laps = []
    for name in names:
        for size in sizes:
            found = physics.race(name, size, entrants, args.steps, args.repeats, console.print)
            laps.extend(found)
    console.print(physics.table(laps))
    return {"laps": [vars(lap) for lap in laps]}


def bench_start(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Cold and warm starts."""
    from rlsuite.bench import start

    found = start.measure()
    console.print(start.table(found))
    return vars(found)


def bench_accelerator(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Everything that is promised of a GPU."""
    from rlsuite.bench import accelerator

    if not (args.tiny or gpus().ids):
        raise UsageError(f"bench accelerator: {gpus().why}: --tiny runs on a CPU")
    wanted = accelerator.chosen(args.cases, args.tiny)

    def told(found: dict[str, Any]) -> dict[str, Any]:
        whole = {name: vars(case) for name, case in accelerator.cases(args.tiny).items()}
        return {"cases": {name: whole[name] | vars(x) for name, x in found.items()}}

    def keep(found: dict[str, Any]) -> None:
        # What was found stays if the machine is taken away before the end.
        if args.out is not None:
            result = told(found) | {"command": ["rlsuite", "bench", "accelerator"]}
            files.write_utf8(args.out, json.dumps(result, indent=1) + "\n")

    found = accelerator.measure(wanted, args.seconds, console.print, keep)
    for shown in accelerator.table(found, accelerator.cases(args.tiny)):
        console.print(shown)
    return told(found)
