"""`rlsuite evaluate`: play whole episodes with a trained policy; draw one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlsuite import registry
from rlsuite.cli.parser import Parser, parse
from rlsuite.config import check_seed
from rlsuite.engine import files
from rlsuite.engine.cells import Cadence
from rlsuite.engine.checks import check_actions
from rlsuite.engine.environment import worker_environment
from rlsuite.errors import UsageError

EXAMPLE = """example:
  rlsuite evaluate runs/minatar/cells/326d77e6b0c986c4.done --episodes 100
  rlsuite evaluate policy.safetensors --video episode.gif --mode greedy

CHECKPOINT is a cell of a run folder (.done or .checkpoint) or a file made by `rlsuite.save`."""


def build_parser() -> Parser:
    """The options of `evaluate`."""
    parser = Parser(prog="rlsuite evaluate", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--env", help="default: the one it was trained on")
    parser.add_argument("--episodes", type=int, default=16, help="[16]")
    parser.add_argument("--seed", type=int, default=0, help="of the evaluation stream [0]")
    parser.add_argument("--mode", help="greedy or sample; default the agent's own")
    parser.add_argument("--video", type=Path, help="write one episode to a GIF")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(build_parser(), argv, agent_flags=False)
    Cadence(episodes=args.episodes, mode=args.mode)
    check_seed(args.seed, "--seed")
    meta = files.read_meta(args.checkpoint)
    env_id = check_policy(meta, args.checkpoint, args.env)
    cell = meta["cell"]
    row = registry.agent(cell["agent"])
    if args.video:
        _check_drawable(registry.env(env_id, _options(cell, env_id)))
        if args.video.suffix.lower() != ".gif":
            raise UsageError(f"--video {args.video} must end in .gif")
    # jax is not imported yet: this process becomes what a worker would be.
    os.environ.update(worker_environment("cpu"))
    return _play(args, row, env_id, cell)


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

    from rlsuite import keys, library
    from rlsuite.evaluate import evaluate

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
    from rlsuite.engine.program import with_params

    given = cell.get("env_params", {}) if env_id == cell["env"] else {}
    out = jax.device_get(play(policy, key, with_params(env.default_params, given)))
    print(
        f"{cell['agent']} on {env_id}: return {out.returns.mean():.2f} ± {out.returns.std():.2f}, "
        f"length {out.lengths.mean():.1f}, {args.episodes} episodes"
    )
    if args.video:
        record = registry.env(env_id, _options(cell, env_id)).load_render()
        drawn = record(agent, policy, env_id, key, args.video, mode=args.mode)
        print(f"{args.video}: an episode of return {drawn['return']:.2f}")
    return 0
