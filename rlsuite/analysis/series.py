"""Which runs are one series, and what each series is called: a matter of what was run.

Cells carry what they were run with in columns, one a setting, so that tables kept of runs that are
gone still say it. Tables that were kept before they did name ids; where a run whose settings are
known has the id that another seed of it would have had, the settings are known again. What stays
unknown is one series only where it was one table's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import polars as pl

from rlsuite import registry
from rlsuite.config import FieldInfo, fields
from rlsuite.engine import labels
from rlsuite.engine.cells import Cell, first_id, first_label

# Besides those of `frames.CELL_COLUMNS`, and `agent.NAME` and `env.NAME` for every setting.
COLUMNS: dict[str, Any] = {
    "variant": pl.String, "env_id": pl.String, "label": pl.String, "preset": pl.String,
    "iterations": pl.Int64, "given": pl.String, "data": pl.String, "budget_unit": pl.String,
    "rlsuite": pl.String, "commit": pl.String, "sweep_group": pl.String, "unknown_from": pl.String,
}  # fmt: skip
SETTING = ("agent.", "env.")
# Begins the `variant` of runs whose settings were not kept.
UNKNOWN = "?"
_SCALARS = {bool: pl.Boolean(), int: pl.Int64(), float: pl.Float64(), str: pl.String()}
_Row = dict[str, Any]


def columns(cells: Sequence[Cell], provenance: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """What cells were run with: `COLUMNS` and a column a setting, null where an agent has none.

    Args:
      cells: of a run folder.
      provenance: recorded with each, {} where it has not begun.
    """
    rows = [
        (
            c.variant, c.env, c.label, c.preset, c.iterations, json.dumps(c.given),
            None if c.data is None else json.dumps(c.data.identity), c.budget_unit,
            told.get("rlsuite"), told.get("commit"), None, None,
        )
        for c, told in zip(cells, provenance, strict=True)
    ]  # fmt: skip
    table = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    found = [
        *_typed("agent.", [_whole(c) for c in cells], [c.agent for c in cells]),
        *_typed("env.", [c.env_options for c in cells], []),
    ]
    return table.hstack(found)


def _whole(cell: Cell) -> dict[str, Any]:
    """All settings of a run, also of one from before some of them were there."""
    return cell.load_config().to_mapping() if cell.agent in registry.agents() else cell.config


def _typed(prefix: str, settings: Sequence[Mapping[str, Any]], agents: Sequence[str]) -> list[Any]:
    kinds = {
        name: _kind(info)
        for agent in dict.fromkeys(agents)
        if agent in registry.agents()
        for name, info in fields(registry.agent(agent).load_config()).items()
    }
    out = []
    for name in dict.fromkeys(name for values in settings for name in values):
        column = [values.get(name) for values in settings]
        try:
            out.append(pl.Series(prefix + name, column, kinds.get(name), strict=True))
        except (TypeError, pl.exceptions.PolarsError):
            # Two agents mean different things by one name.
            text = [None if value is None else json.dumps(value) for value in column]
            out.append(pl.Series(prefix + name, text, pl.String))
    return out


def _kind(info: FieldInfo) -> Any:
    if get_origin(info.type) is tuple:
        return pl.List(_SCALARS.get(get_args(info.type)[0], pl.String()))
    return _SCALARS.get(info.type, pl.String())


def settings(row: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a row of cells, the agent's by name, the environment's options as
    `env.NAME`."""
    found = {n: v for n, v in row.items() if n.startswith(SETTING) and v is not None}
    return {n.removeprefix("agent."): v for n, v in found.items()}


def complete(cells: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """Cells with all `COLUMNS`; those of tables that did not have them are marked unknown.

    Args:
      cells: as they were kept.
      folder: where.
    """
    lacking = [pl.lit(None, kind).alias(n) for n, kind in COLUMNS.items() if n not in cells.columns]
    cells = cells.with_columns(lacking)
    if not cells["variant"].null_count():
        return cells
    rows = cells.to_dicts()
    seen: dict[tuple[Any, ...], int] = {}
    for row in rows:
        if row["variant"] is not None:
            continue
        row["label"] = first_label({**row, "sweep": json.loads(row["sweep"] or "{}")})
        told = json.loads(row["provenance"] or "{}")
        row["budget_unit"] = told.get("budget_unit", "env_steps")
        row["unknown_from"] = folder.name
        what = (row["agent"], row["series"], row["sweep"], row["total_steps"])
        # A seed that one table has twice was run with two settings.
        run = (row["env"], *what, row["seed"])
        seen[run] = seen.get(run, 0) + 1
        text = json.dumps([str(folder), *what, told.get("dataset_hash"), seen[run]])
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
    rows = cells.to_dicts()
    for row in rows:
        if row["variant"].startswith(UNKNOWN):
            rivals = known.get((row["agent"], row["env"], row["total_steps"]), [])
            twin = next((other for other in rivals if _same(row, other)), None)
            told = {n: v for n, v in (twin or {}).items() if n in COLUMNS or n.startswith(SETTING)}
            row.update({**told, "label": row["label"] or told.get("label")})
    return pl.DataFrame(rows, schema=cells.schema)


def _same(row: _Row, other: _Row) -> bool:
    whole = settings(other)
    options = {n.removeprefix("env."): v for n, v in whole.items() if n.startswith("env.")}
    config = {n: v for n, v in whole.items() if not n.startswith("env.")}
    data = json.loads(other["data"]) if other["data"] else None
    what = [row["agent"], other["env_id"], options, config, row["seed"], other["iterations"]]
    return row["cell"] == first_id(what, data)


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
    given = {name for name, place in _json(row["given"]).items() if place != "preset"}
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
