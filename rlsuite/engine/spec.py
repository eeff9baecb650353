"""From what a user asks to cells: presets, overrides, sweeps and seeds resolved and checked.

No jax is loaded; every mistake is found here, before anything is compiled.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlsuite import registry
from rlsuite.config import check_seeds, coerce, fields
from rlsuite.engine import labels
from rlsuite.engine.cells import Cadence, Cell, check_actions, executed_budget
from rlsuite.engine.data import (
    DataRef,
    check_families,
    check_fit,
    check_names,
    check_need,
    is_here,
    no_home,
    resolve,
)
from rlsuite.engine.outline import at_home, check_home, outline
from rlsuite.errors import UsageError, nearest


@dataclass(frozen=True)
class Request:
    """One `[[run]]` of a grid, or the arguments of `train`.

    Attributes:
      agent: registry name.
      envs: environment ids, each a run of its own; none: those the datasets belong to.
      preset: named settings that `settings` are laid over.
      settings: agent fields.
      sweep: field -> values; the product is run.
      zip: field -> values, all equally long; run side by side.
      seeds: reporting seeds.
      total_steps: budget; None for the preset's.
      label: what the series is called; by default it is named by what is run.
      datasets: names or paths, each a run of its own, for agents that learn from one.
      flags: names of settings that stand on the command line; the others stand in a file.
    """

    agent: str
    envs: Sequence[str]
    seeds: Sequence[int]
    preset: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    sweep: dict[str, Sequence[Any]] = field(default_factory=dict)
    zip: dict[str, Sequence[Any]] = field(default_factory=dict)
    total_steps: int | None = None
    exact_steps: bool = False
    label: str | None = None
    env_options: dict[str, Any] = field(default_factory=dict)
    cadence: Cadence = field(default_factory=Cadence)
    datasets: Sequence[str] = ()
    flags: Collection[str] = ()


def expand(requests: Iterable[Request]) -> list[Cell]:
    """All cells of some requests, each once; datasets of the suite's own are recorded if they must.

    Raises:
      UsageError: the first mistake found, in one line.
    """
    return with_data(plan(requests))


def plan(requests: Iterable[Request]) -> list[Cell]:
    """`expand`, but nothing is recorded: a dataset that is not there yet has no content (hash "").

    Raises:
      UsageError: the first mistake found, in one line.
    """
    # Of a file that several runs name the content is read once.
    find = functools.cache(outline)
    cells = [cell for request in requests for cell in _expand_one(request, find)]
    if not cells:
        raise UsageError("nothing to run: no environments, seeds or runs were given")
    check_families(cell.data for cell in cells)
    return _distinct(cells)


def with_data(cells: Iterable[Cell]) -> list[Cell]:
    """Cells of `plan`, what they learn from recorded where it was not there.

    Raises:
      UsageError: it cannot be recorded, or two datasets share a name.
    """
    cells = list(cells)
    if not to_record(cells):
        return cells
    find = functools.cache(resolve)

    def whole(cell: Cell) -> Cell:
        ref = cell.data
        if ref is None or ref.hash:
            return cell
        return dataclasses.replace(cell, data=find(ref.kind, ref.spec))

    return _distinct(map(whole, cells))


def to_record(cells: Iterable[Cell]) -> list[str]:
    """Names of the datasets that have to be recorded first."""
    return sorted({c.data.name for c in cells if c.data is not None and not c.data.hash})


def _distinct(cells: Iterable[Cell]) -> list[Cell]:
    first: dict[str, Cell] = {}
    for cell in cells:
        first.setdefault(cell.id, cell)
    check_names((cell.data, cell.env) for cell in first.values())
    return _named([*first.values()])


def _named(cells: Sequence[Cell]) -> list[Cell]:
    """Cells called what tells the series of this request apart."""
    variants = {
        cell.variant: labels.Variant(
            task=cell.task, key=cell.variant, agent=cell.agent, preset=cell.preset,
            steps=cell.total_steps, label=cell.label, given=cell.named_settings,
            settings={**cell.config, **{f"env.{n}": v for n, v in cell.env_options.items()}},
            unit="updates" if cell.budget_unit == "updates" else "steps",
        )
        for cell in reversed(cells)
    }  # fmt: skip
    names = dict(zip(variants, labels.names([*variants.values()]), strict=True))
    return [dataclasses.replace(cell, series=names[cell.variant]) for cell in cells]


def _expand_one(request: Request, find: Callable[[str, str], DataRef]) -> Iterable[Cell]:
    row = registry.agent(request.agent)
    seeds = check_seeds(request.seeds)
    check_need(row, bool(request.datasets))
    for env_id, data in _tasks(request, row, find):
        env_row = registry.env(env_id, request.env_options)
        check_actions(row, env_row)
        registry.check_options(env_row, request.env_options)
        if data is not None:
            check_fit(data, env_row, request.env_options)
        name = data.name if data else ""
        base, run = registry.resolve_preset(row, request.preset, env_id, name)
        total = request.total_steps if request.total_steps is not None else run.get("total_steps")
        if total is None:
            raise UsageError(f"no budget for {env_id}: give total-steps or a preset that has one")
        for sweep in _points(request):
            config = row.load_config().from_mapping({**base, **request.settings, **sweep})
            check = getattr(config, "check_env", None)
            if check is not None:
                check(env_row)
            iterations, executed = executed_budget(config, total, request.exact_steps)
            settings = config.to_mapping()
            cell = Cell(
                agent=request.agent, env=env_id, config=settings, seed=0,
                iterations=iterations, total_steps=executed,
                env_options=dict(request.env_options), cadence=request.cadence,
                series=request.label or request.agent, sweep={n: settings[n] for n in sweep},
                data=data, label=request.label or "", preset=request.preset or "",
                given=_given(request, {**base, **run}),
            )  # fmt: skip
            yield from (dataclasses.replace(cell, seed=seed) for seed in seeds)


def _check_settings(row: registry.AgentRow, request: Request) -> None:
    """Names and types, before a dataset is read or recorded for them."""
    known = fields(row.load_config())
    for name, values in [
        *((name, [value]) for name, value in request.settings.items()),
        *request.sweep.items(),
        *request.zip.items(),
    ]:
        if name not in known:
            raise UsageError(f"no setting 'agent.{name}': {nearest(name, known)}")
        for value in values if isinstance(values, (list, tuple)) else []:
            coerce(known[name], value)


def _tasks(
    request: Request, row: registry.AgentRow, find: Callable[[str, str], DataRef]
) -> Iterable[tuple[str, DataRef | None]]:
    """Environments, or datasets with the environments asked for or their own."""
    if not request.datasets:
        yield from ((env_id, None) for env_id in request.envs)
        return
    for env_id in request.envs:
        registry.env(env_id, request.env_options)
    _check_settings(row, request)
    for spec in request.datasets:
        check_home(spec, bool(request.envs))
        data = find(row.data, spec)
        if not (request.envs or is_here(data.env)):
            raise UsageError(no_home(data))
        yield from ((env_id, at_home(data, env_id)) for env_id in request.envs or [data.env])


def _points(request: Request) -> list[dict[str, Any]]:
    """The swept settings: product of `sweep`, times the rows of `zip`."""
    for name, values in {**request.sweep, **request.zip}.items():
        if not isinstance(values, (list, tuple)) or not values:
            raise UsageError(f"sweep of agent.{name} must be a non-empty list, not {values!r}")
    if twice := sorted(request.sweep.keys() & request.zip.keys()):
        raise UsageError(f"agent.{twice[0]} is both swept and zipped: leave one out")
    lengths = {len(values) for values in request.zip.values()}
    if len(lengths) > 1:
        raise UsageError(f"zipped settings must be equally long, not {sorted(lengths)}")
    zipped = [
        dict(zip(request.zip, row, strict=True)) for row in zip(*request.zip.values(), strict=True)
    ]
    product = [
        dict(zip(request.sweep, row, strict=True))
        for row in itertools.product(*request.sweep.values())
    ]
    return [{**a, **b} for a in product for b in (zipped or [{}])]


def _given(request: Request, preset: Mapping[str, Any]) -> dict[str, str]:
    """Where each value that is no default comes from."""
    named = [*request.settings, *request.sweep, *request.zip]
    named += [] if request.total_steps is None else ["total_steps"]
    told = {name: "flag" if name in request.flags else "file" for name in named}
    return {**dict.fromkeys(preset, "preset"), **told}
