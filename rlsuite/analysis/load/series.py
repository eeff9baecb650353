"""Which runs are one series, and what each series is called: a matter of what was run.

Cells carry what they were run with in columns, one a setting, so that tables kept of runs that are
gone still say it. Tables that were kept before they did name ids; where a run whose settings are
known has the id that another seed of it would have had, the settings are known again. What stays
unknown is one series only where it was one table's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import polars as pl

from rlsuite.contracts import registry
from rlsuite.contracts.config import Config, FieldInfo, fields
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan import labels
from rlsuite.engine.plan.cells import UNNAMED, Cell, first_id, first_label

# Besides those of `frames.CELL_COLUMNS`, and for every setting `agent.NAME`, `env.NAME` or, of what
# made an input, `input.ROLE.NAME`.
COLUMNS: dict[str, Any] = {
    "variant": pl.String, "env_id": pl.String, "label": pl.String, "preset": pl.String,
    "iterations": pl.Int64, "given": pl.String, "data": pl.String, "budget_unit": pl.String,
    "rlsuite": pl.String, "commit": pl.String, "sweep_group": pl.String, "unknown_from": pl.String,
    "makes": pl.String, "behind": pl.Int64,
}  # fmt: skip
SETTING = ("agent.", "env.", "input.")
# Of these what a run's own provenance says, whatever other runs of its series do.
OWN = ("rlsuite", "commit")
# Begins the `variant` of runs whose settings were not kept.
UNKNOWN = "?"
_SCALARS = {bool: pl.Boolean(), int: pl.Int64(), float: pl.Float64(), str: pl.String()}
_NUMBERS = {pl.Int64(), pl.Float64()}
_Row = dict[str, Any]
_Class = type[Config] | None


def columns(cells: Sequence[Cell], provenance: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """What cells were run with: `COLUMNS` and a column a setting, null where an agent has none.

    Args:
      cells: of a run folder, also of agents that are not installed here.
      provenance: recorded with each, {} where it has not begun.
    """
    classes = {agent: _class(agent) for agent in dict.fromkeys(c.agent for c in cells)}
    rows = [
        (
            c.variant, c.env, c.label, c.preset, c.iterations, json.dumps(c.given),
            None if c.data is None else json.dumps(c.data.identity),
            _budget_unit(c, classes[c.agent], told), told.get("rlsuite"), told.get("commit"),
            None, None, c.makes, c.total_steps - c.own_steps,
        )
        for c, told in zip(cells, provenance, strict=True)
    ]  # fmt: skip
    table = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    kinds: dict[str, set[Any]] = {}
    for cls in filter(None, classes.values()):
        for name, info in fields(cls).items():
            kinds.setdefault(name, set()).add(_kind(info))
    found = [
        *_typed("agent.", [_whole(c, classes[c.agent]) for c in cells], kinds),
        *_typed("env.", [{**c.env_options, **c.env_params} for c in cells], {}),
        *_typed("input.", [c.given_with for c in cells], {}),
    ]
    return table.hstack(found)


def _class(agent: str) -> _Class:
    """What validates an agent's settings; None where its package is gone or cannot be used."""
    try:
        return registry.agent(agent).load_config()
    except UsageError:
        return None


def _budget_unit(cell: Cell, cls: _Class, told: Mapping[str, Any]) -> str:
    if cls is not None:
        return cls.budget_unit
    return told.get("budget_unit") or ("env_steps" if cell.data is None else "updates")


def _whole(cell: Cell, cls: _Class) -> dict[str, Any]:
    """All settings of a run, also of one from before some of them were there; as they were
    recorded, whatever is a valid value today."""
    if cls is None:
        return cell.config
    whole = {**cls.missing(cell.config), **cell.config}
    return {n: v for n, v in whole.items() if n not in cls.removed or v != cls.removed[n]}


def _typed(
    prefix: str, settings: Sequence[Mapping[str, Any]], kinds: Mapping[str, set[Any]]
) -> list[pl.Series]:
    """A column for each setting: of its type where it has one, else of texts (`_as_text`)."""
    out = []
    for name in dict.fromkeys(name for values in settings for name in values):
        column = [values.get(name) for values in settings]
        known = kinds.get(name) or {_of_values(column)}
        kind = _one_kind(prefix + name, known)
        try:
            made = pl.Series(prefix + name, column, kind, strict=True)
            # Of lists and structures polars may drop what does not fit.
            fits = kind is not None and made.to_list() == column
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            made, fits = _texts(prefix + name, column), True
        out.append(made if fits else _texts(prefix + name, column))
    return out


def _kind(info: FieldInfo) -> Any:
    if get_origin(info.type) is tuple:
        return pl.List(_SCALARS.get(get_args(info.type)[0], pl.String()))
    return _SCALARS.get(info.type, pl.String())


def _of_values(values: Iterable[Any]) -> Any:
    """The type that a column of some values would have, None where they share none."""
    there = [value for value in values if value is not None]
    found = {type(value) for value in there}
    if found <= {int, float} and len(found) == 2:
        return pl.Float64()
    if found == {list}:
        inner = _of_values(part for value in there for part in value)
        return None if inner is None else pl.List(inner)
    return _SCALARS.get(found.pop()) if len(found) == 1 else None if found else pl.Null()


def _one_kind(name: str, kinds: Iterable[Any]) -> Any:
    """The type that columns of some types have together, None where that is only text.

    Options of environments may be anything, hence no lists: a list here is a number there.
    """
    found = {kind for kind in kinds if kind != pl.Null()} or {pl.Null()}
    if found == _NUMBERS:
        return pl.Float64()
    if all(isinstance(kind, pl.List) for kind in found):
        inner = None if name.startswith("env.") else _one_kind("", [kind.inner for kind in found])
        return None if inner is None else pl.List(inner)
    kind = found.pop()
    return None if found or isinstance(kind, pl.Struct) else kind


def _texts(name: str, values: Iterable[Any]) -> pl.Series:
    return pl.Series(name, [_as_text(value) for value in values], pl.String)


def _as_text(value: Any) -> str | None:
    """JSON; a word as it is, so that it is one wherever else its setting takes only words."""
    if isinstance(value, dict):
        # polars fills structures up.
        value = {name: part for name, part in value.items() if part is not None}
    return value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True)


def alike(parts: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Tables of cells in which a setting is text wherever it has not one type in all of them."""
    kinds: dict[str, list[Any]] = {}
    for part in parts:
        for name, kind in part.schema.items():
            if name.startswith(SETTING):
                kinds.setdefault(name, []).append(kind)
    mixed = {name for name, found in kinds.items() if _one_kind(name, found) is None}
    return [
        part.with_columns(_texts(n, part[n].to_list()) for n in part.columns if n in mixed)
        for part in parts
    ]


def settings(row: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a row of cells: the agent's by name, the environment's as `env.NAME`, of what
    made an input as `ROLE.NAME`."""
    found = {n: v for n, v in row.items() if n.startswith(SETTING) and v is not None}
    return {n.removeprefix("agent.").removeprefix("input."): _read(v) for n, v in found.items()}


def _read(value: Any) -> Any:
    """A list or a table that stands in a column of texts."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(value)
    return value


def complete(cells: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """Cells with all `COLUMNS`; those of tables that did not have them are marked unknown.

    Args:
      cells: as they were kept.
      folder: where.
    """
    lacking = [pl.lit(None, kind).alias(n) for n, kind in COLUMNS.items() if n not in cells.columns]
    origins = [json.loads(text or "{}") or {} for text in cells["provenance"]]
    # Each from its own: once they were written down as those of another run of the same settings.
    own = [pl.Series(n, [told.get(n) for told in origins], pl.String) for n in OWN]
    cells = cells.with_columns(lacking).with_columns(own)
    if not cells["variant"].null_count():
        return cells
    rows = cells.to_dicts()
    blocks: dict[tuple[Any, ...], int] = {}
    last: dict[tuple[Any, ...], int] = {}
    for row, told in zip(rows, origins, strict=True):
        if row["variant"] is not None:
            continue
        row["label"] = first_label({**row, "sweep": json.loads(row["sweep"] or "{}")})
        row["budget_unit"] = told.get("budget_unit", "env_steps")
        row["unknown_from"] = folder.name
        what = (row["agent"], row["series"], row["sweep"], row["total_steps"])
        # A seed that one table has twice was run with two settings; what follows its second run is
        # of the second, until another seed comes again.
        task, run = (row["env"], *what), (row["env"], *what, row["seed"])
        blocks[task] = last[run] = max(blocks.get(task, 1), last.get(run, 0) + 1)
        text = json.dumps([str(folder), *what, told.get("dataset_hash"), last[run]])
        row["variant"] = UNKNOWN + hashlib.sha256(text.encode()).hexdigest()[:16]
    return pl.DataFrame(rows, schema=cells.schema)


def recognised(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells, those of unknown settings with the ones of a known series where their id says so."""
    unknown = pl.col("variant").str.starts_with(UNKNOWN)
    known: dict[tuple[Any, ...], list[_Row]] = {}
    for row in cells.filter(~unknown).unique("variant", maintain_order=True).iter_rows(named=True):
        known.setdefault((row["agent"], row["env"], row["total_steps"]), []).append(row)
    if not known or cells.filter(unknown).is_empty():
        return cells
    shared = {n for n in cells.columns if n in COLUMNS or n.startswith(SETTING)} - {*OWN}
    rows = cells.to_dicts()
    for row in rows:
        if row["variant"].startswith(UNKNOWN):
            rivals = known.get((row["agent"], row["env"], row["total_steps"]), [])
            twin = next((other for other in rivals if _same(row, other)), None)
            told = {n: v for n, v in (twin or {}).items() if n in shared}
            row.update({**told, "label": row["label"] or told.get("label")})
    return pl.DataFrame(rows, schema=cells.schema)


def _same(row: _Row, other: _Row) -> bool:
    whole = settings(other)
    options = {n.removeprefix("env."): v for n, v in whole.items() if n.startswith("env.")}
    config = {n: v for n, v in whole.items() if not n.startswith("env.")}
    data = json.loads(other["data"]) if other["data"] else None
    return any(
        row["cell"] == first_id(
            [row["agent"], other["env_id"], told, config, row["seed"], other["iterations"]], data
        )
        for told in (options, {n: _number(v) for n, v in options.items()})
    )  # fmt: skip


def _number(value: Any) -> Any:
    """A value as it was given before others of its column made a text or a fraction of it."""
    if isinstance(value, str):
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def named(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells whose `series` tells what was run: equal on one task only where that is equal.

    In order of appearance. A run whose settings are those of a sweep's point is in that sweep,
    however it was asked for.
    """
    if cells.is_empty():
        return cells
    first: dict[tuple[str, str], _Row] = {}
    for row in cells.iter_rows(named=True):
        known = first.setdefault((row["env"], row["variant"]), dict(row))
        for name in ("label", "preset"):
            known[name] = known[name] or row[name]
        known["given"] = {**_json(row["given"]), **_json(known["given"])}
        known["sweep"] = {**_json(known["sweep"]), **_json(row["sweep"])}
    rows = list(first.values())
    for row in rows:
        row["settings"] = settings(row) or dict(row["sweep"])
    _sweeps(rows)
    names = labels.names([_variant(row) for row in rows])
    found = [
        (row["env"], row["variant"], name, json.dumps(row["sweep"]), row["sweep_group"],
         row["label"], row["preset"])
        for row, name in zip(rows, names, strict=True)
    ]  # fmt: skip
    schema = ["env", "variant", "series", "sweep", "sweep_group", "label", "preset"]
    table = pl.DataFrame(found, schema=dict.fromkeys(schema, pl.String), orient="row")
    order = cells.columns
    rest = cells.drop(schema[2:])
    return rest.join(table, on=["env", "variant"], how="left", maintain_order="left").select(order)


def answering(cells: pl.DataFrame) -> dict[str, set[str]]:
    """What each series is called without what tells it apart: as the user says, else its agent."""
    names: dict[str, set[str]] = {}
    labelled = "label" in cells.columns
    for name, agent, label in cells.select(
        "series", "agent", pl.col("label") if labelled else pl.lit("").alias("label")
    ).iter_rows():
        names.setdefault(name, set()).add(label or agent)
    return names


def _json(text: Any) -> dict[str, Any]:
    return text if isinstance(text, dict) else json.loads(text or "{}") or {}


def _variant(row: _Row) -> labels.Variant:
    given = {name for name, place in _json(row["given"]).items() if place not in UNNAMED}
    return labels.Variant(
        task=row["env"], key=row["variant"], agent=row["agent"], preset=row["preset"] or "",
        steps=row["total_steps"], label=row["label"] or "", settings=row["settings"],
        given=frozenset(given), unit="updates" if row["budget_unit"] == "updates" else "steps",
        kept=not row["variant"].startswith(UNKNOWN), part=row["unknown_from"] or "",
    )  # fmt: skip


def _sweeps(rows: Sequence[_Row]) -> None:
    """Bring each series into the sweep whose other settings it has."""
    for there in _grouped(rows, lambda row: (row["env"], row["agent"], row["label"])):
        swept = list(dict.fromkeys(name for row in there for name in row["sweep"]))
        for group in _one_budget(_grouped(there, lambda row, swept=swept: _rest(row, swept))):
            names = [name for name in swept if any(name in row["sweep"] for row in group)]
            presets = {row["preset"] for row in group if row["preset"]}
            digest = hashlib.sha256(_rest(group[0], swept).encode()).hexdigest()[:12]
            for row in group:
                known = {n: row["settings"][n] for n in names if n in row["settings"]}
                row["sweep"] = known or row["sweep"]
                row["sweep_group"] = f"{digest} {group[0]['total_steps']}" if names else None
                # What was run before presets were written down.
                if not row["preset"] and not row["given"] and len(presets) == 1:
                    row["preset"] = next(iter(presets))


def _rest(row: _Row, swept: Iterable[str]) -> str:
    others = {n: v for n, v in row["settings"].items() if n not in {*swept}}
    unknown = row["unknown_from"] if row["variant"].startswith(UNKNOWN) else None
    return json.dumps([row["env"], row["agent"], row["label"], others, unknown])


def _one_budget(groups: Iterable[list[_Row]]) -> list[list[_Row]]:
    """Groups apart by budget, but for what is rounded to whole iterations, whose length may be
    swept too."""
    out: list[list[_Row]] = []
    for group in groups:
        last = 0.0
        for row in sorted(group, key=lambda row: row["total_steps"]):
            if row["total_steps"] > (1 + labels.NEAR) * last:
                out.append([])
            out[-1].append(row)
            last = row["total_steps"]
    return out


def _grouped(rows: Sequence[_Row], key: Any) -> list[list[_Row]]:
    groups: dict[Any, list[_Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())
