"""MuJoCo's Python bindings, as the suite uses them.

They are a C extension without type information. Left alone, their warnings go to the terminal and
to a file MUJOCO_LOG.TXT in whatever folder the user is in; here each kind is said once a process.
They also have MuJoCo read the clock, over 400 times for one action in Hopper, for statistics
(`MjData.timer`) that the suite does not look at and a program in C does not collect: a fifth of
Hopper's time.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import gymnasium

mj: Any = importlib.import_module("mujoco")
_said: set[str] = set()
# Of Gymnasium's models, not of anything a user could change.
_EXPECTED = "'settotalmass' is deprecated"


def model_path(xml: str) -> Path:
    """A model among those that Gymnasium brings."""
    return Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / xml


def _warn(message: str) -> None:
    kind = message.partition(" at ")[0]
    if _EXPECTED not in message and kind not in _said:
        _said.add(kind)
        sys.stderr.write(f"MuJoCo: {message}\n")


def _stop_the_clock() -> None:
    """Take MuJoCo's timer away, for the whole process.

    The one call that does it takes all callbacks away, so whoever has callbacks keeps the timer.
    """
    kinds = [name for name in dir(mj) if name.startswith("get_mjcb_")]
    if all(getattr(mj, name)() is None for name in kinds):
        mj.mj_resetCallbacks()


if mj.get_mju_user_warning() is None:
    mj.set_mju_user_warning(_warn)
_stop_the_clock()
