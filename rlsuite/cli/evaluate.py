"""`rlsuite evaluate`: play whole episodes with a trained policy; draw some."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlsuite.cli.parser import Parser, parse
from rlsuite.contracts import registry
from rlsuite.contracts.config import check_seed
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.launch.process_env import worker_environment
from rlsuite.engine.plan.cells import Cadence, Cell
from rlsuite.engine.plan.checks import check_actions
from rlsuite.engine.plan.spec import named
from rlsuite.engine.store.store import Store
from rlsuite.io import files

EXAMPLE = """example:
  rlsuite evaluate runs/minatar/cells/326d77e6b0c986c4.done --episodes 100
  rlsuite evaluate runs/minatar --best --env Breakout-MinAtar --video best.mp4 --video-episodes 3
  rlsuite evaluate policy.safetensors --video episode.gif --mode greedy

CHECKPOINT is a cell of a run folder (.done or .checkpoint), a file made by `rlsuite.save` or, with
--best, a run folder."""


def build_parser() -> Parser:
    """The options of `evaluate`."""
    parser = Parser(prog="rlsuite evaluate", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--best", action="store_true",
        help="of a run folder: the finished run with the highest return in its last evaluation",
    )  # fmt: skip
    parser.add_argument("--series", help="the best of this series only, as the report calls it")
    parser.add_argument("--env", help="default: the one it was trained on")
    parser.add_argument("--episodes", type=int, default=16, help="[16]")
    parser.add_argument("--seed", type=int, default=0, help="of the evaluation stream [0]")
    parser.add_argument("--mode", help="greedy or sample; default the agent's own")
    parser.add_argument("--video", type=Path, metavar="FILE", help="draw an episode: .gif or .mp4")
    parser.add_argument("--video-episodes", type=int, metavar="N", help="one after the other [1]")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(build_parser(), argv, agent_flags=False)
    Cadence(episodes=args.episodes, mode=args.mode)
    check_seed(args.seed, "--seed")
    _check_video(args)
    said = ""
    if Store(args.checkpoint).exists() or args.best or args.series:
        args.checkpoint, said = _best(args)
    meta = files.read_meta(args.checkpoint)
    env_id = check_policy(meta, args.checkpoint, args.env)
    cell = meta["cell"]
    row = registry.agent(cell["agent"])
    if args.video:
        _check_drawable(registry.env(env_id, _options(cell, env_id)))
    if said:
        print(said, flush=True)
    # jax is not imported yet: this process becomes what a worker would be.
    os.environ.update(worker_environment("cpu"))
    return _play(args, row, env_id, cell)


def _check_video(args: argparse.Namespace) -> None:
    if args.video_episodes is not None and args.video is None:
        raise UsageError("--video-episodes is missing its film: --video FILE.gif or FILE.mp4")
    if args.video_episodes is None:
        args.video_episodes = 1
    if args.video_episodes < 1:
        raise UsageError(f"--video-episodes must be at least 1, not {args.video_episodes}")
    if args.video is not None:
        files.check_video(args.video)


def _best(args: argparse.Namespace) -> tuple[Path, str]:
    """The run of a folder that --best means, and a line that says which it is.

    Raises:
      UsageError: no folder, no such run, or several environments, whose returns do not compare.
    """
    folder: Path = args.checkpoint
    if not Store(folder).exists():
        what = "is no run folder (no spec.json)" if folder.is_dir() else "is no folder"
        raise UsageError(f"--best and --series choose a run of a run folder: {folder} {what}")
    if not args.best:
        raise UsageError(
            f"{folder} is a run folder: --best takes the best of its runs, "
            f"or give one of {folder / 'cells'}/"
        )
    runs = _of_series(_of_environment(_finished(folder), args.env), args.series)
    latest = [(files.read_meta(path), cell, path) for cell, path in runs]
    ended = [(meta["latest"], cell, path) for meta, cell, path in latest if _counts(meta)]
    if not ended:
        raise UsageError(f"{folder}: none of its {len(runs)} finished runs ended with a return")
    value, cell, path = max(ended, key=lambda run: run[0])
    which = f"{cell.series} on {cell.task}, seed {cell.seed}"
    return path, f"best of {len(ended)} finished runs: {which}: return {value:.2f} ({path})"


def _counts(meta: dict[str, Any]) -> bool:
    """Whether a run ended with numbers, the last of them that of an evaluation."""
    evaluated = meta["cell"]["cadence"]["evaluations"] > 0
    return evaluated and meta["status"] == "done" and meta["latest"] is not None


def _finished(folder: Path) -> list[tuple[Cell, Path]]:
    """Runs that have a policy to play with, named as the report names them."""
    store = Store(folder)
    runs = [(cell, store.path(cell.id, "done")) for cell in named(store.cells())]
    runs = [(cell, path) for cell, path in runs if not cell.makes and path.exists()]
    if not runs:
        raise UsageError(f"{folder} has no finished run yet: `rlsuite work {folder}` goes on")
    return runs


def _of_environment(runs: list[tuple[Cell, Path]], env_id: str | None) -> list[tuple[Cell, Path]]:
    """Those trained on one; of a folder with just one, another may be asked for to play on."""
    known = sorted({cell.env for cell, _ in runs})
    if len(known) == 1:
        return runs
    if env_id not in known:
        asked = nearest(env_id, known) if env_id else f"say --env, {known[0]} for one"
        raise UsageError(
            f"--best: the runs are on {len(known)} environments, whose returns do not compare: "
            f"{asked}"
        )
    return [(cell, path) for cell, path in runs if cell.env == env_id]


def _of_series(runs: list[tuple[Cell, Path]], series: str | None) -> list[tuple[Cell, Path]]:
    known = sorted({cell.series for cell, _ in runs})
    if series is not None and series not in known:
        raise UsageError(f"--series: no finished runs are called {series!r}: "
                         f"{nearest(series, known)}")  # fmt: skip
    return [(cell, path) for cell, path in runs if series in (None, cell.series)]


def check_policy(meta: dict[str, Any], path: Path, env_id: str | None) -> str:
    """Refuse a file without an agent, and an environment that its policy cannot act on.

    Args:
      meta: of the file.
      path: for the message.
      env_id: None for the one it was trained on.

    Returns:
      The environment's id.

    Raises:
      UsageError: naming file or environments.
    """
    if "cell" not in meta:
        raise UsageError(f"{path} holds no agent: give a cell or a saved policy")
    cell = meta["cell"]
    if made := registry.agent(cell["agent"]).makes:
        raise UsageError(
            f"{path} holds a {made}, which plays no episodes: others are given it by --input"
        )
    env_id = env_id or str(cell["env"])
    asked = registry.env(env_id, _options(cell, env_id))
    check_actions(registry.agent(cell["agent"]), asked)
    _check_shapes(asked, registry.env(cell["env"], _options(cell, cell["env"])))
    return env_id


def _options(cell: dict[str, Any], env_id: str) -> dict[str, Any]:
    """The constructor's options that it was trained with: they are of that environment alone."""
    return cell.get("env_options", {}) if env_id == cell["env"] else {}


def _check_drawable(row: registry.EnvRow) -> None:
    if not row.render:
        raise UsageError(f"--video: {row.id} cannot be drawn: no renderer is known for it")


def _check_shapes(asked: registry.EnvRow, known: registry.EnvRow) -> None:
    if (asked.observation.shape, asked.action) != (known.observation.shape, known.action):
        raise UsageError(
            f"the policy was trained on {known.id} ({known.observation}, {known.action}) and "
            f"cannot act on {asked.id} ({asked.observation}, {asked.action})"
        )


def _play(args: Any, row: registry.AgentRow, env_id: str, cell: dict[str, Any]) -> int:
    import jax

    from rlsuite import library
    from rlsuite.acting.evaluate import evaluate
    from rlsuite.contracts import keys
    from rlsuite.engine.run.program import with_params

    config = row.load_config().stored(cell["config"])
    env = registry.make_env(env_id, **_options(cell, env_id))
    agent = row.load_make()(env, config)
    policy = library.load(args.checkpoint, agent)
    key = keys.stream(keys.root(args.seed), keys.Purpose.EVALUATE)
    play = jax.jit(
        lambda policy, key, params: evaluate(
            agent, policy, key, params, episodes=args.episodes, mode=args.mode
        )
    )
    given = cell.get("env_params", {}) if env_id == cell["env"] else {}
    params = with_params(env.default_params, given)
    out = jax.device_get(play(policy, key, params))
    print(
        f"{cell['agent']} on {env_id}: return {out.returns.mean():.2f} ± {out.returns.std():.2f}, "
        f"length {out.lengths.mean():.1f}, {args.episodes} episodes"
    )
    if args.video:
        record = registry.env(env_id, _options(cell, env_id)).load_render()
        drawn = record(
            agent, policy, env_id, key, args.video, mode=args.mode, params=params,
            episodes=args.video_episodes,
        )  # fmt: skip
        shown = ", ".join(f"{total:.2f}" for total in drawn.returns)
        what = "an episode" if len(drawn.returns) == 1 else f"{len(drawn.returns)} episodes"
        print(f"{args.video}: {what} of return {shown}")
    return 0
