"""EnvPool in its synchronous mode. `python run_envpool.py WORK-AS-JSON`."""

from __future__ import annotations

import importlib
import json
import sys
from types import SimpleNamespace

from stepping import measure


def main(argv: list[str]) -> None:
    """Serve until told otherwise."""
    work = json.loads(argv[0])
    envpool = importlib.import_module("envpool")
    envs = envpool.make_gymnasium(
        work["env"],
        num_envs=work["num_envs"],
        num_threads=work["threads"],
        seed=work["seed"],
    )
    shown = SimpleNamespace(reset=envs.reset, single_action_space=envs.action_space)
    measure(shown, envs.step, work)


if __name__ == "__main__":
    main(sys.argv[1:])
