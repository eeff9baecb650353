"""Stages: runs that make what others are given, planned from what an agent's row and a user say.

An agent whose policy is the product (a fitted model, a rule) is run like any other: it is claimed,
checkpointed, resumed and marked as any run. Loads no jax.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlsuite.contracts import registry
from rlsuite.contracts.config import check_seeds, fields, parse
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.plan import artefacts
from rlsuite.engine.plan.cells import Cadence, Cell, Made
from rlsuite.engine.plan.checks import (
    check_need,
    check_roles,
    checked_config,
    checked_env,
    executed_budget,
)

# Of runs whose policy is no policy: nothing to play episodes with.
UNSEEN = Cadence(evaluations=0)


@dataclass(frozen=True)
class Source:
    """Where an input comes from: a file that holds one, or an agent that makes it.

    Attributes:
      agent: that makes it; "" for the one that the consumer's row names.
      path: of the file; "" where an agent makes it.
      preset, settings, total_steps: of the run that makes it, as in a `Request`.
      env, env_options: that it is made on; by default those of the run that is given it, with its
        parameters unless it is made from data.
      seed: that it is made with; "own": each seed has one of its own, of the same seed.
    """

    agent: str = ""
    path: str = ""
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    total_steps: int | None = None
    env: str = ""
    env_options: Mapping[str, Any] | None = None
    seed: int | str = 0


def given_inputs(
    cell: Cell, row: registry.AgentRow, sources: Mapping[str, Source], seed: int
) -> Cell:
    """The cell of a seed, with what it is given.

    Args:
      cell: of any seed.
      row: of its agent, which says what it takes.
      sources: by role; what is not among them is made by whom the row names.
      seed: of the cell that is returned.

    Raises:
      UsageError: nobody makes an input, or what is to make it does not fit.
    """
    given = {
        i.role: _input(cell, i, sources.get(i.role, Source()), sources, seed) for i in row.inputs
    }
    return dataclasses.replace(cell, seed=seed, inputs=given)


def _input(
    cell: Cell, wanted: registry.Input, source: Source, sources: Mapping[str, Source], seed: int
) -> Made:
    """What a cell of this seed is given in a role.

    Raises:
      UsageError: nobody makes it, or something else than is wanted.
    """
    if source.path:
        return from_file(wanted, Path(source.path))
    row = _maker(cell, wanted, source)
    own = source.seed == "own"
    chosen = check_seeds([seed if own else source.seed])[0]
    env_id = source.env or cell.env
    options = source.env_options
    if options is None:
        options = cell.env_options if env_id == cell.env else {}
    data = cell.data if row.data else None
    # Who learns from data never steps the environment.
    params = dict(cell.env_params) if env_id == cell.env and data is None else {}
    check_need(row, data is not None)
    env_row = checked_env(row, env_id, options, data)
    base, run = registry.resolve_preset(row, source.preset, env_id, data.name if data else "")
    config = checked_config(row, env_row, {**base, **source.settings})
    total = source.total_steps or run.get("total_steps") or row.budget
    if not total:
        raise UsageError(f"no budget for the {wanted.role} {row.name} makes: give total_steps")
    iterations, executed = executed_budget(config, total)
    told = {**dict.fromkeys([*base, *run], "preset"), **dict.fromkeys(source.settings, "file")}
    maker = Cell(
        agent=row.name, env=env_id, config=config.to_mapping(), seed=0, iterations=iterations,
        total_steps=executed, env_options=dict(options), cadence=UNSEEN, series=row.name, data=data,
        preset=source.preset or "", makes=row.makes, env_params=params,
        given=told,
    )  # fmt: skip
    return Made(row.makes, given_inputs(maker, row, sources, chosen), own)


def _maker(cell: Cell, wanted: registry.Input, source: Source) -> registry.AgentRow:
    """The agent that makes an input: the one that is named, else the row's."""
    makers = [row.name for row in registry.agents().values() if row.makes == wanted.kind]
    if not (name := source.agent or wanted.maker):
        hint = f"try {wanted.role} = {makers[0]!r}" if makers else "no agent here makes one"
        raise UsageError(f"{cell.agent} needs a {wanted.role} and none was given: {hint}")
    row = registry.agent(name)
    if row.makes != wanted.kind:
        raise UsageError(
            f"{name} makes {f'a {row.makes}' if row.makes else 'nothing for others'}, the "
            f"{wanted.role} of {cell.agent} is a {wanted.kind}: {nearest(name, makers)}"
        )
    return row


def from_file(wanted: registry.Input, path: Path) -> Made:
    """An input from a file: a finished cell of the agent that makes it, or one of `rlsuite.save`.

    Raises:
      UsageError: it cannot be read, or holds something else.
    """
    meta, content = artefacts.read_content(path)
    said = meta.get("cell", {})
    row = registry.agents().get(said.get("agent", ""))
    if row is None or row.makes != wanted.kind:
        held = f"a {row.makes}" if row and row.makes else f"of {said.get('agent') or 'no agent'}"
        raise UsageError(f"{path} is {held}, no {wanted.kind}")
    start = {"seed": 0, "iterations": 0, "total_steps": 0, "cadence": {}, "series": row.name,
             "label": "", "sweep": {}}  # fmt: skip
    cell = Cell.from_mapping({**start, **said})
    return Made(row.makes, cell, path=str(path.absolute()), content=content)


# --- what users write ---------------------------------------------------------------------------

# Of an input's table in a grid file; `set` holds the settings of the agent that makes it.
SOURCE_KEYS = ("agent", "file", "preset", "total_steps", "env", "env_options", "seed", "set")
FILES = (".done", ".checkpoint", ".safetensors")


def table_source(role: str, said: Any, where: str) -> Source:
    """An input of a grid file: an agent's name, a file's path or a table.

    Args:
      role: of the input.
      said: what stands in the file.
      where: in the file, for the message.

    Raises:
      UsageError: an unknown key, or a value of another type.
    """
    if isinstance(said, str):
        return named_source(said)
    if not isinstance(said, Mapping):
        raise UsageError(f"{where}: inputs.{role} must be a name, a file or a table, not {said!r}")
    for key in said:
        if key not in SOURCE_KEYS:
            raise UsageError(
                f"{where}: no key {key!r} in inputs.{role}: {nearest(key, SOURCE_KEYS)}"
            )
    kinds = {"set": Mapping, "env_options": Mapping, "seed": int | str, "total_steps": int}
    for key, value in said.items():
        if not isinstance(value, kinds.get(key, str)) or isinstance(value, bool):
            raise UsageError(f"{where}: inputs.{role}.{key} cannot be {value!r}")
    if said.get("agent") and said.get("file"):
        raise UsageError(f"{where}: inputs.{role} has an agent and a file: leave one out")
    rest = {k: v for k, v in said.items() if k not in ("file", "set")}
    settings = {name.replace("-", "_"): value for name, value in said.get("set", {}).items()}
    return Source(**rest, path=said.get("file", ""), settings=settings)


def named_source(text: str) -> Source:
    """An agent's name, with `:PRESET` perhaps, or the path of a file that holds what one made."""
    if text.endswith(FILES) or "/" in text:
        return Source(path=text)
    name, _, preset = text.partition(":")
    return Source(agent=name, preset=preset or None)


def parse_inputs(row: registry.AgentRow, items: Iterable[str]) -> dict[str, Source]:
    """`ROLE=AGENT[:PRESET]`, `ROLE=FILE` and `ROLE.NAME=VALUE` of the command line.

    Raises:
      UsageError: another form, an unknown role or setting, or a value that is none.
    """
    sources: dict[str, Source] = {}
    told = [item.partition("=") for item in items]
    for name, equals, text in told:
        if not equals or not text:
            raise UsageError(f"--input {name} must be ROLE=AGENT, ROLE=FILE or ROLE.NAME=VALUE")
        check_roles(row, [name.partition(".")[0]])
        if "." not in name:
            sources[name] = named_source(text)
    for name, _, text in told:
        role, dot, key = name.replace("-", "_").partition(".")
        if dot:
            source = sources.get(role, Source())
            sources[role] = dataclasses.replace(source, **_parsed(row, role, source, key, text))
    return sources


def _parsed(
    row: registry.AgentRow, role: str, source: Source, key: str, text: str
) -> dict[str, Any]:
    """What `--input ROLE.KEY=TEXT` changes of a source."""
    if key in ("preset", "env"):
        return {key: text}
    if key == "seed" and text == "own":
        return {key: text}
    if key in ("seed", "total_steps"):
        try:
            return {key: int(float(text))}
        except ValueError:
            raise UsageError(f"--input {role}.{key} must be a number, not {text!r}") from None
    maker = source.agent or next((i.maker for i in row.inputs if i.role == role), "")
    if not maker:
        raise UsageError(f"--input {role}.{key}: say first who makes it, --input {role}=AGENT")
    known = fields(registry.agent(maker).load_config())
    if key not in known:
        hint = nearest(key, [*known, "seed", "total_steps", "preset", "env"])
        raise UsageError(f"{maker}, which makes the {role}, has no setting {key!r}: {hint}")
    return {"settings": {**source.settings, key: parse(known[key], text)}}


def parse_params(items: Iterable[str]) -> dict[str, float]:
    """`NAME=NUMBER` of the command line.

    Raises:
      UsageError: another form.
    """
    found = {}
    for item in items:
        name, equals, text = item.partition("=")
        try:
            found[name.replace("-", "_")] = float(text)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(f"--env-param {item} must be NAME=NUMBER")
    return found
