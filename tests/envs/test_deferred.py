"""Stand-ins for slow modules."""

from __future__ import annotations

import importlib
import sys

from rlsuite.envs.deferred import deferred


def test_a_stand_in_loads_the_real_module_at_its_first_use() -> None:
    sys.modules.pop("wave", None)
    with deferred("wave"):
        stand_in = importlib.import_module("wave")
    assert "wave" not in sys.modules
    assert stand_in.WAVE_FORMAT_PCM == 1
    assert sys.modules["wave"] is not stand_in


def test_modules_already_loaded_are_left_alone() -> None:
    with deferred("sys", "json"):
        assert importlib.import_module("sys") is sys
    assert sys.modules["sys"] is sys
