"""`rlsuite COMMAND ...`"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from rlsuite import __version__
from rlsuite.contracts.errors import UsageError, nearest

COMMANDS = {
    "train": ("rlsuite.cli.train", "one agent on one environment, many seeds"),
    "grid": ("rlsuite.cli.grid", "every run of a grid file"),
    "work": ("rlsuite.cli.work", "help with the runs of a folder"),
    "report": ("rlsuite.cli.report", "figures and an HTML page of a run folder"),
    "evaluate": ("rlsuite.cli.evaluate", "play a trained policy, draw an episode"),
    "list": ("rlsuite.cli.listing", "agents, datasets, envs, experiments, presets"),
    "show": ("rlsuite.cli.show", "an agent or preset: paper, equations, settings, results"),
    "dataset": ("rlsuite.cli.dataset", "inspect, convert, collect and mix datasets"),
    "cache": ("rlsuite.cli.cache", "fitted models, rules, datasets, tables: list or clear them"),
    "bench": ("rlsuite.cli.bench", "speed, as a ratio in one run"),
}


def usage() -> str:
    """The top-level help."""
    lines = ["usage: rlsuite COMMAND [--help]", ""]
    lines += [f"  {name:10} {text}" for name, (_, text) in COMMANDS.items()]
    lines += ["", "example:", "  rlsuite train ppo --env CartPole-v1 --preset purejaxrl --seeds 16"]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Dispatch; a user's mistake is one line on standard error and exit code 2."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help"):
        print(usage())
        return 0
    if args[0] in ("-V", "--version"):
        print(__version__)
        return 0
    try:
        if args[0] not in COMMANDS:
            raise UsageError(f"no command {args[0]!r}: {nearest(args[0], COMMANDS)}")
        return importlib.import_module(COMMANDS[args[0]][0]).main(args[1:])
    except UsageError as error:
        print(f"rlsuite: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print("rlsuite: stopped", file=sys.stderr)
        return 130
    except OSError as error:
        # Without a file's name it is no mistake of the user's.
        if error.filename is None:
            raise
        print(f"rlsuite: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
