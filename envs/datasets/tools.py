"""What `rlsuite dataset` calls, loaded when it is."""

from __future__ import annotations

from rlsuite.envs.datasets.collect import Collection, check_target, collect
from rlsuite.envs.datasets.convert import Conversion, convert
from rlsuite.envs.datasets.inspect import Inspection, histogram, inspect
from rlsuite.envs.datasets.mix import mix, parse

__all__ = [
    "Collection",
    "Conversion",
    "Inspection",
    "check_target",
    "collect",
    "convert",
    "histogram",
    "inspect",
    "mix",
    "parse",
]
