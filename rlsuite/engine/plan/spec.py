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

from rlsuite.contracts import registry
from rlsuite.contracts.config import check_seeds, coerce, fields
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.contracts.refs import DataRef, at_home, outline, resolve
from rlsuite.engine.plan import labels
from rlsuite.engine.plan.cells import Cadence, Cell
from rlsuite.engine.plan.checks import (
    check_families,
    check_home,
    check_names,
    check_need,
    check_roles,
    check_start,
    checked_config,
    checked_env,
    executed_budget,
    is_here,
    no_home,
)
from rlsuite.engine.plan.stages import UNSEEN, Source, given_inputs
from rlsuite.engine.plan.starts import Origin


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
      inputs: role -> where it comes from, what the agent's row says laid under it.
      env_params: parameters of the environment by name.
      start: a file to go on from; its settings and parameters are laid under those given here.
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
    inputs: Mapping[str, Source] = field(default_factory=dict)
    env_params: dict[str, float] = field(default_factory=dict)
    start: Origin | None = None


def expand(requests: Iterable[Request]) -> list[Cell]:
    """All cells of some requests, each once, before them those that make what they are given;
    datasets of the suite's own are recorded if they must.

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
        given = {
            role: dataclasses.replace(made, cell=whole(made.cell))
            for role, made in cell.inputs.items()
        }
        ref = cell.data
        if ref is not None and not ref.hash:
            ref = find(ref.kind, ref.spec)
        return dataclasses.replace(cell, data=ref, inputs=given)

    return _distinct(map(whole, cells))


def to_record(cells: Iterable[Cell]) -> list[str]:
    """Names of the datasets that have to be recorded first."""
    return sorted({c.data.name for c in cells if c.data is not None and not c.data.hash})


def _distinct(cells: Iterable[Cell]) -> list[Cell]:
    """Each once, and before each what makes its inputs."""
    first: dict[str, Cell] = {}

    def add(cell: Cell) -> None:
        for made in cell.inputs.values():
            if not made.path:
                add(made.cell)
        first.setdefault(cell.id, cell)

    for cell in cells:
        add(cell)
    check_names((cell.data, cell.env) for cell in first.values())
    return named([*first.values()])


def named(cells: Sequence[Cell]) -> list[Cell]:
    """Cells called what tells the series of a request, or of a folder, apart."""
    variants = {
        cell.variant: labels.Variant(
            task=cell.task, key=cell.variant, agent=cell.agent, preset=cell.preset,
            steps=cell.total_steps, label=cell.label, given=cell.named_settings,
            settings=cell.told,
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
    check_roles(row, request.inputs)
    for env_id, data in _tasks(request, row, find):
        env_row = checked_env(row, env_id, request.env_options, data)
        registry.check_params(env_row, request.env_params)
        if request.start:
            check_start(request.start, env_row, request.env_options, len(seeds))
        base, run = registry.resolve_preset(row, request.preset, env_id, data.name if data else "")
        base, preset = {**_before(request), **base}, base
        total = request.total_steps if request.total_steps is not None else run.get("total_steps")
        total = total or row.budget
        if not total:
            raise UsageError(f"no budget for {env_id}: give total-steps or a preset that has one")
        for sweep in _points(request):
            settings = {n: v for n, v in sweep.items() if "." not in n}
            config = checked_config(row, env_row, {**base, **request.settings, **settings})
            start = request.start and request.start.start
            iterations, executed = executed_budget(config, total, request.exact_steps, start)
            at = _at(request, sweep)
            registry.check_params(env_row, at.env_params)
            cell = Cell(
                agent=request.agent, env=env_id, config=config.to_mapping(), seed=0,
                iterations=iterations, total_steps=executed,
                env_options=dict(request.env_options),
                cadence=UNSEEN if row.makes else request.cadence,
                series=request.label or request.agent,
                sweep={n: config.to_mapping().get(n, v) for n, v in sweep.items()},
                data=data, label=request.label or "", preset=request.preset or "",
                given=_given(request, {**preset, **run}), env_params=dict(at.env_params),
                makes=row.makes, start=start,
            )  # fmt: skip
            yield from (given_inputs(cell, row, at.inputs, seed) for seed in seeds)


def _before(request: Request) -> dict[str, Any]:
    """The settings of what is gone on from."""
    return request.start.config.to_mapping() if request.start else {}


def _at(request: Request, point: Mapping[str, Any]) -> Request:
    """A request at a point of its sweep as far as it is not of the agent's own settings: `env.NAME`
    are the environment's parameters, `ROLE.NAME` settings of what makes an input."""
    params, inputs = dict(request.env_params), dict(request.inputs)
    for name, value in point.items():
        place, dot, rest = name.partition(".")
        if not dot:
            continue
        if place == "env":
            params[rest] = value
            continue
        source = inputs.get(place, Source())
        key = rest if rest in ("agent", "path", "preset", "total_steps", "env", "seed") else ""
        changed: dict[str, Any] = {key: value} if key else {
            "settings": {**source.settings, rest: value}
        }  # fmt: skip
        inputs[place] = dataclasses.replace(source, **changed)
    return dataclasses.replace(request, env_params=params, inputs=inputs)


def _check_settings(row: registry.AgentRow, request: Request) -> None:
    """Names and types, before a dataset is read or recorded for them."""
    known = fields(row.load_config())
    for name, values in [
        *((name, [value]) for name, value in request.settings.items()),
        *request.sweep.items(),
        *request.zip.items(),
    ]:
        if "." in name:
            continue
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
    named += [f"env.{name}" for name in request.env_params]
    for role, source in request.inputs.items():
        said = {n: v for n, v in vars(source).items() if n != "settings" and v not in ("", None, 0)}
        named += [f"{role}.{name}" for name in (*said, *source.settings)]
    told = {name: "flag" if name in request.flags else "file" for name in named}
    before = dict.fromkeys([*_before(request), "start.file"] if request.start else [], "start")
    return {**before, **dict.fromkeys(preset, "preset"), **told}
