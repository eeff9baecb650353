"""Imports on demand, for packages whose heavy half is asked for late; and under old names."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def attributes(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` that imports on demand.

    Args:
      package: the module's `__name__`, for the message.
      homes: attribute -> module that has it.
    """

    def find(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(homes[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find


def names(present: Mapping[str, Any], homes: Mapping[str, str]) -> list[str]:
    """A module's `__dir__`: what it has and what it would import on demand, for tab completion.

    Args:
      present: the module's `globals()`.
      homes: as for `attributes`.
    """
    return sorted({*present, *homes})


def agent(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of an agent's package: `Config`, and `make`, which loads jax.

    Args:
      package: the module's `__name__`; it has `config` and `agent`.
    """
    homes = {"Config": f"{package}.config", "make": f"{package}.agent"}
    return attributes(package, homes), lambda: names(vars(sys.modules[package]), homes)


# --- names that modules had ---------------------------------------------------------------------

# What anybody's own package may import, by the folder of rlsuite where it is now; `old=new` where
# it has another name there too.
HOMES = {
    "contracts": "box config engine.data=refs errors keys metrics registry types",
    "io": "engine.files lazy",
    "nn": "distributions layer_norm mlp networks",
    "ops": "drift normalize optim returns shuffle",
    "data": "dataset replay transforms neighbours",
    "acting": "check evaluate vector",
    "engine.plan": (
        "engine.artefacts engine.cells engine.checks engine.grid engine.labels engine.spec "
        "engine.stages engine.starts"
    ),
    "engine.store": "engine.claims engine.provenance",
    "engine.run": (
        "engine.datasets=inputs engine.inputs engine.memory engine.program engine.runner "
        "engine.track engine.tree engine.worker"
    ),
    "engine.launch": "engine.environment=process_env engine.execute engine.progress engine.search",
    "analysis.load": (
        "analysis.frames analysis.loading analysis.merging analysis.origin analysis.series "
        "analysis.targets"
    ),
    "analysis.stats": (
        "analysis.bands analysis.bootstrap analysis.curves analysis.improvement "
        "analysis.published analysis.scores analysis.sweep"
    ),
    "analysis.figures": (
        "analysis.distribution analysis.dots analysis.heatmap analysis.histogram analysis.lines "
        "analysis.online analysis.profile analysis.reference analysis.selection "
        "analysis.sensitivity analysis.style analysis.training"
    ),
    "analysis.report": (
        "analysis.drawings analysis.html analysis.page_assets "
        "analysis.report_figures=figure_sections analysis.report_tables=table_sections "
        "analysis.tables analysis.terminal"
    ),
    "data.neighbours": (
        "neighbours.build neighbours.cache neighbours.exact neighbours.host neighbours.keys "
        "neighbours.table"
    ),
}


def _moved() -> dict[str, str]:
    """Old dotted name -> new."""
    pairs = {}
    for home, words in HOMES.items():
        for word in words.split():
            old, _, leaf = word.partition("=")
            pairs[f"rlsuite.{old}"] = f"rlsuite.{home}.{leaf or old.rpartition('.')[2]}"
    return pairs


MOVED = _moved()
# Modules that are two now: where their other names are.
ALSO = {
    "rlsuite.engine.environment": "rlsuite.io.machine",
    "rlsuite.engine.starts": "rlsuite.engine.run.start_state",
    "rlsuite.engine.artefacts": "rlsuite.io.artefact_cache",
}


# Packages that were modules: where what these had is.
NAMESAKES = {
    "rlsuite.engine.store": "rlsuite.engine.store.store",
    "rlsuite.engine.launch": "rlsuite.engine.launch.session",
    "rlsuite.analysis.figures": "rlsuite.analysis.figures.catalogue",
    "rlsuite.analysis.report": "rlsuite.analysis.report.report",
    "rlsuite.analysis.stats": "rlsuite.analysis.stats.stats",
}


class _Namesake:
    """Makes a package that was a module: what this had is found with a warning."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        found = PathFinder.find_spec(name, path, target) if name in NAMESAKES else None
        if found is None:
            return None
        spec = ModuleSpec(name, self, is_package=True)  # pyright: ignore[reportArgumentType]
        spec.submodule_search_locations = found.submodule_search_locations
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        package = module.__name__

        def find(attribute: str) -> Any:
            home = NAMESAKES[package]
            inside = attribute.startswith("__") or find_spec(f"{package}.{attribute}")
            if inside or not hasattr(found := importlib.import_module(home), attribute):
                raise AttributeError(f"module {package!r} has no attribute {attribute!r}")
            said = f"{attribute} of {package} is now in {home}"
            warnings.warn(said, DeprecationWarning, stacklevel=2)
            return getattr(found, attribute)

        vars(module)["__getattr__"] = find


class _Moved:
    """Finds modules under the names that they had: the same module object, and a warning."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None  # pyright: ignore[reportArgumentType]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        homes = [MOVED[name], *([ALSO[name]] if name in ALSO else [])]
        said = f"{name} is now {' and '.join(homes)}"
        warnings.warn(said, DeprecationWarning, stacklevel=2)
        found = [importlib.import_module(home) for home in homes]
        if len(found) == 1:
            # What stands here after this call is what the import gives.
            sys.modules[name] = found[0]
            return

        def find(attribute: str) -> Any:
            for home in found:
                if hasattr(home, attribute):
                    return getattr(home, attribute)
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")

        vars(module)["__getattr__"] = find


def keep_old_names() -> None:
    """Let imports of modules by the names that they had go on working."""
    # The first, for a package under its old name would else be searched for its modules again.
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path[:0] = [_Moved(), _Namesake()]  # pyright: ignore[reportArgumentType]
