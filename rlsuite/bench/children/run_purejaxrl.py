"""purejaxrl's PPO from a checkout, with our settings. `python run_purejaxrl.py WORK-AS-JSON`.

purejaxrl is no package: its folder goes on the path. It evaluates nothing; it returns a row of
metrics for every environment step, as it always does. Its printing (DEBUG) is off.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from rival import measure


def load(folder: str) -> Any:
    """Import its ppo.py; stand-ins replace simulators its wrappers import but PPO does not use."""
    for name in ("brax", "navix"):
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = MagicMock()
    for name in ("brax.envs", "brax.envs.wrappers", "brax.envs.wrappers.training"):
        if isinstance(sys.modules.get("brax"), MagicMock):
            sys.modules[name] = MagicMock()
    sys.path.insert(0, str(Path(folder) / "purejaxrl"))
    return importlib.import_module("ppo")


def settings(work: dict[str, Any]) -> dict[str, Any]:
    """Its configuration from ours."""
    c = work["config"]
    return {
        "ENV_NAME": work["env"],
        "TOTAL_TIMESTEPS": work["total_steps"],
        "NUM_ENVS": c["num_envs"],
        "NUM_STEPS": c["num_steps"],
        "UPDATE_EPOCHS": c["epochs"],
        "NUM_MINIBATCHES": c["minibatches"],
        "LR": c["learning_rate"],
        "ANNEAL_LR": c["anneal_learning_rate"],
        "GAMMA": c["gamma"],
        "GAE_LAMBDA": c["gae_lambda"],
        "CLIP_EPS": c["clip_epsilon"],
        "ENT_COEF": c["entropy_coef"],
        "VF_COEF": c["value_coef"],
        "MAX_GRAD_NORM": c["max_grad_norm"],
        "ACTIVATION": c["activation"],
        "DEBUG": False,
    }


if __name__ == "__main__":
    work = json.loads(sys.argv[1])
    measure(load(work["folder"]).make_train(settings(work)), work)
