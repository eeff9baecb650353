"""What series are called: the agent, its preset, and just the settings in which they differ.

A series is what was run; its name only has to tell it from the others of one report. So names are
found for all series of a report together, and a name that the user gave is made unique the same
way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Budgets are rounded to whole iterations: this share apart they were meant to be the same.
NEAR = 0.05
OPTION = "env."
# What only some series have: an option of the environment, a file that they go on from.
_OF_SOME = (OPTION, "start.")
# More settings than this are not all named where fewer tell the series apart.
_MOST = 4
_Names = list[str]


@dataclass(frozen=True)
class Variant:
    """One series on one task.

    Attributes:
      task: what results are listed under.
      key: equal where what was run is equal, see `rlsuite.engine.plan.cells.Cell.variant`.
      agent, preset: names; preset may be "".
      steps: of the executed budget.
      label: what the user calls it, or "".
      settings: name to value, of the agent and, as `env.NAME`, of the environment's options; of
        runs whose settings were not kept those that are known.
      given: names of settings that the user named, of which each task may have other values.
      unit: what the budget counts.
      kept: whether all settings are known.
      part: where it was found, of runs whose settings were not kept.
    """

    task: str
    key: str
    agent: str
    preset: str
    steps: int
    label: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    unit: str = "steps"
    kept: bool = True
    part: str = ""

    @property
    def base(self) -> str:
        """The name that others of the report may share."""
        return self.label or ", ".join(filter(None, [self.agent, self.preset]))


def names(variants: Sequence[Variant]) -> list[str]:
    """A name for each: equal on one task only where the key is equal."""
    of: dict[str, list[Variant]] = {}
    for variant in variants:
        of.setdefault(variant.base, []).append(variant)
    chosen = {base: _telling(same) for base, same in of.items()}
    long = [_name(v, chosen[v.base]) for v in variants]
    return _numbered(variants, long)


def _telling(same: Sequence[Variant]) -> _Names:
    """Which of agent, preset, settings and budget tell variants of one base name apart."""
    tasks: dict[str, list[Variant]] = {}
    for variant in same:
        tasks.setdefault(variant.task, []).append(variant)
    rivals = [there for there in tasks.values() if len({v.key for v in there}) > 1]
    budget = [there for there in rivals if _other_budgets(there)]
    kinds = [n for n in ("agent", "preset") if any(len(_values(there, n)) > 1 for there in rivals)]
    # In one order, whether read from a grid file or from a folder.
    settings = sorted({*_varying(rivals, kinds), *_between_tasks(same)})
    if len(settings) > _MOST:
        settings = _fewest(rivals, kinds, settings)
    found = [*kinds, *settings, *(["steps"] if budget else [])]
    for last in ("steps", "kept"):
        if _distinct(rivals, [*found, last]) > _distinct(rivals, found):
            found.append(last)
    return found


def _varying(rivals: Sequence[Sequence[Variant]], kinds: _Names) -> set[str]:
    """Settings that differ on a task; of several agents or presets those that differ within one."""
    found: set[str] = set()
    for there in rivals:
        groups: dict[tuple[str, ...], list[Variant]] = {}
        for variant in there:
            groups.setdefault(tuple(_value(variant, n) for n in kinds), []).append(variant)
        for group in groups.values():
            found |= _differing(group)
    return found


def _differing(variants: Sequence[Variant]) -> set[str]:
    """Settings that all have and some otherwise; runs whose settings were not kept have no say but
    among themselves."""
    kept = [v for v in variants if v.kept] or variants
    shared = set.intersection(*(set(v.settings) for v in kept))
    having = {n: [v for v in variants if n in v.settings] for n in shared}
    # An option that is not given is at its default, whatever that is.
    options = {n for v in kept for n in v.settings if n.startswith(_OF_SOME)}
    having |= {name: list(kept) for name in options}
    return {name for name, some in having.items() if len(_values(some, name)) > 1}


def _between_tasks(same: Sequence[Variant]) -> set[str]:
    """Settings that the user gave and that differ between tasks, where nobody named the series: an
    own set for each task is one series only if the user or a preset says so."""
    if same[0].label:
        return set()
    given = {name for variant in same for name in variant.given}
    return given & _differing(same)


def _fewest(rivals: Sequence[Sequence[Variant]], found: _Names, settings: _Names) -> _Names:
    """Enough of many settings to tell the variants apart, those that tell most first."""
    chosen: _Names = []
    while not _apart(rivals, [*found, *chosen]):
        left = [name for name in settings if name not in chosen]
        if not left:
            return settings
        best = max(left, key=lambda name: _distinct(rivals, [*found, *chosen, name]))
        chosen.append(best)
    return [name for name in settings if name in chosen]


def _distinct(rivals: Sequence[Sequence[Variant]], told: _Names) -> int:
    return sum(len({tuple(_value(v, n) for n in told) for v in there}) for there in rivals)


def _apart(rivals: Sequence[Sequence[Variant]], told: _Names) -> bool:
    return _distinct(rivals, told) == sum(len({v.key for v in there}) for there in rivals)


def _other_budgets(there: Sequence[Variant]) -> bool:
    steps = [variant.steps for variant in there]
    return max(steps) > (1 + NEAR) * min(steps)


def _values(variants: Iterable[Variant], name: str) -> set[str]:
    return {_value(variant, name) for variant in variants}


def _value(variant: Variant, name: str) -> str:
    """As text, that lists can be compared too."""
    if name in ("agent", "preset"):
        return variant.agent if name == "agent" else variant.preset
    if name == "steps":
        return str(variant.steps)
    if name == "kept":
        return variant.part
    return json.dumps(variant.settings.get(name))


def _name(variant: Variant, told: _Names) -> str:
    parts = [variant.base]
    for name in told:
        if name in ("agent", "preset"):
            # Without a label both are in the name already.
            parts += [_value(variant, name)] if variant.label else []
        elif name == "steps":
            parts.append(f"{variant.steps:,} {variant.unit}")
        elif name == "kept":
            where = f" in {variant.part}" if variant.part else ""
            parts += [] if variant.kept else [f"settings not kept{where}"]
        elif name in variant.settings:
            parts.append(f"{words(name)} {shown(variant.settings[name])}")
    return ", ".join(filter(None, parts))


def _numbered(variants: Sequence[Variant], long: Sequence[str]) -> list[str]:
    """Names that are still equal get a number, the first of them none."""
    keys: dict[tuple[str, str], list[str]] = {}
    for variant, name in zip(variants, long, strict=True):
        known = keys.setdefault((variant.task, name), [])
        if variant.key not in known:
            known.append(variant.key)
    out = []
    for variant, name in zip(variants, long, strict=True):
        place = keys[variant.task, name].index(variant.key)
        out.append(f"{name} ({place + 1})" if place else name)
    return out


def words(setting: str) -> str:
    """A setting's name as it is said: learning_rate as 'learning rate'."""
    if setting == "start.file":
        return "from"
    return setting.removeprefix(OPTION).replace("_", " ")


def shown(value: Any) -> str:
    """A setting's value, short: 0.00001 as 1e-5, a list as 64×64."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, (list, tuple)):
        return "×".join(map(shown, value)) or "none"
    if isinstance(value, float):
        short = f"{value:g}" if float(f"{value:g}") == value else repr(value)
        return short.replace("e-0", "e-").replace("e+0", "e")
    return str(value)
