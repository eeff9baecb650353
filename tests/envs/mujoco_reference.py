"""Gymnasium's own environments.

Gymnasium refuses to make Pusher-v4 on MuJoCo 3 and later, because the object slides differently
there. Its definition is compared all the same: its class is built while the version check is told
that MuJoCo is older.
"""

from __future__ import annotations

import importlib
from typing import Any
from unittest import mock

import gymnasium

from rlsuite.envs.mujoco.specs import Spec


def reference(spec: Spec, **options: Any) -> Any:
    """Gymnasium's environment without its time limit and checks."""
    name = f"{spec.task}-v{spec.version}"
    if name != "Pusher-v4":
        return gymnasium.make(name, disable_env_checker=True, **options).unwrapped
    with mock.patch("mujoco.__version__", "2.3.7"):
        module = importlib.import_module("gymnasium.envs.mujoco.pusher_v4")
        return module.PusherEnv(**options)
