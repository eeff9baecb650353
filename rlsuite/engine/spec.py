"""From what a user asks to cells: presets, overrides, sweeps and seeds resolved and checked.

No jax is loaded; every mistake is found here, before anything is compiled.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlsuite import registry
from rlsuite.config import coerce, fields
from rlsuite.engine.cells import Cadence, Cell, check_actions, executed_budget
from rlsuite.engine.data import DataRef, check_families, check_fit, check_names, check_need, resolve
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
      label: prefix of the series; default the agent's name.
      datasets: names or paths, each a run of its own, for agents that learn from one.
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


def expand(requests: Iterable[Request]) -> list[Cell]:
    """All cells of some requests, each once.

    Raises:
      UsageError: the first mistake found, in one line.
    """
    cells: dict[str, Cell] = {}
    for request in requests:
        for cell in _expand_one(request):
            cells.setdefault(cell.id, cell)
    if not cells:
        raise UsageError("nothing to run: no environments, seeds or runs were given")
    check_families(cell.data for cell in cells.values())
    check_names((cell.data, cell.env) for cell in cells.values())
    return list(cells.values())


def _expand_one(request: Request) -> Iterable[Cell]:
    row = registry.agent(request.agent)
    _check_seeds(request.seeds)
    check_need(row, bool(request.datasets))
    for env_id, data in _tasks(request, row):
        env_row = registry.env(env_id)
        check_actions(row, env_row)
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
            for seed in request.seeds:
                yield Cell(
                    agent=request.agent,
                    env=env_id,
                    config=config.to_mapping(),
                    seed=seed,
                    iterations=iterations,
                    total_steps=executed,
                    env_options=dict(request.env_options),
                    cadence=request.cadence,
                    series=_series(request, sweep),
                    sweep=dict(sweep),
                    data=data,
                )


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


def _tasks(request: Request, row: registry.AgentRow) -> Iterable[tuple[str, DataRef | None]]:
    """Environments, or datasets with the environments asked for or their own."""
    if not request.datasets:
        yield from ((env_id, None) for env_id in request.envs)
        return
    for env_id in request.envs:
        registry.env(env_id)
    _check_settings(row, request)
    for spec in request.datasets:
        data = resolve(row.data, spec)
        if not (request.envs or data.env):
            raise UsageError(f"dataset {data.name} does not say its environment: give env")
        yield from ((env_id, data) for env_id in request.envs or [data.env])


def _check_seeds(seeds: Sequence[int]) -> None:
    if not seeds:
        raise UsageError("seeds must be at least 1")
    for seed in seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
            raise UsageError(f"a seed must be a whole number of at least 0, not {seed!r}")


def _points(request: Request) -> list[dict[str, Any]]:
    """The swept settings: product of `sweep`, times the rows of `zip`."""
    for name, values in {**request.sweep, **request.zip}.items():
        if not isinstance(values, (list, tuple)) or not values:
            raise UsageError(f"sweep of agent.{name} must be a non-empty list, not {values!r}")
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


def _series(request: Request, sweep: dict[str, Any]) -> str:
    name = request.label or request.agent
    return " ".join([name, *(f"{key}={value}" for key, value in sweep.items())])
