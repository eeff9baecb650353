"""Gymnasium's SyncVectorEnv. `python run_gym.py WORK-AS-JSON`."""

from __future__ import annotations

import json
import sys
import warnings

import gymnasium
from gymnasium.vector import SyncVectorEnv
from stepping import measure


def main(argv: list[str]) -> None:
    """Serve until told otherwise."""
    work = json.loads(argv[0])
    warnings.simplefilter("ignore")  # v4 is out of date, it says
    envs = SyncVectorEnv([lambda: gymnasium.make(work["env"])] * work["num_envs"])
    measure(envs, envs.step, work)


if __name__ == "__main__":
    main(sys.argv[1:])
