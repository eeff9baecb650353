"""Grid files: TOML with `[[run]]` tables, read and checked before anything else happens."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from rlsuite.contracts import registry
from rlsuite.contracts.config import check_seed, few_enough
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.plan.cells import Cadence
from rlsuite.engine.plan.checks import check_need
from rlsuite.engine.plan.spec import Request
from rlsuite.engine.plan.stages import table_source
from rlsuite.io.files import user_text

RUN_KEYS = {
    "agent", "label", "preset", "env", "seeds", "total_steps", "exact_steps", "evaluations",
    "episodes", "logs", "eval_mode", "set", "sweep", "zip", "env_options", "dataset",
    "inputs", "env_params",
}  # fmt: skip
TOP_KEYS = {"title", "defaults", "run"}


def read(path: Path, overrides: dict[str, Any] | None = None) -> tuple[str, list[Request]]:
    """The requests of a grid file.

    Args:
      path: the file.
      overrides: run keys laid over every run (`seeds`, `total_steps`, `sweep` ...).

    Returns:
      (title, requests).

    Raises:
      UsageError: no such file, a syntax error with its line, an unknown or missing key.
    """
    table = _parse(path)
    _known(table, TOP_KEYS, path.name)
    runs = table.get("run", [])
    if not isinstance(runs, list) or not runs:
        raise UsageError(f"{path}: no [[run]] table")
    defaults = table.get("defaults", {})
    _known(defaults, RUN_KEYS, f"{path.name} [defaults]")
    tables = ("set", "sweep", "zip")
    requests = []
    for number, run in enumerate(runs, 1):
        where = f"{path.name} [[run]] {number}"
        _known(run, RUN_KEYS, where)
        merged = _merged(defaults, run, overrides or {})
        flags = {*(overrides or {}), *(n for t in tables for n in _fields(overrides or {}, t))}
        requests.append(dataclasses.replace(_request(merged, where), flags=flags))
    return str(table.get("title", path.parent.name)), requests


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(user_text(path))
    except FileNotFoundError:
        raise UsageError(f"no grid file {path}{_similar(path)}") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder: give a grid file such as {path}/grid.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _similar(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path()
    found = [p.name for p in folder.glob("*.toml")]
    return f": {nearest(path.name, found)}" if found else ""


def _known(table: Any, keys: set[str], where: str) -> None:
    if not isinstance(table, dict):
        raise UsageError(f"{where} must be a table, not {table!r}")
    for key in table:
        if key not in keys:
            raise UsageError(f"{where}: no key {key!r}: {nearest(key, keys)}")


def _merged(defaults: dict[str, Any], run: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    out = {**defaults, **run}
    for key in ("set", "sweep", "zip"):
        out[key] = {**_fields(defaults, key), **_fields(run, key), **_fields(over, key)}
    # What the command line sets is no longer swept.
    for key in ("sweep", "zip"):
        out[key] = {k: v for k, v in out[key].items() if k not in _fields(over, "set")}
    out["set"] = {k: v for k, v in out["set"].items() if k not in _fields(over, "sweep")}
    out.update({k: v for k, v in over.items() if k not in ("set", "sweep", "zip")})
    return out


def _fields(table: dict[str, Any], key: str) -> dict[str, Any]:
    values = table.get(key, {})
    if not isinstance(values, dict):
        raise UsageError(f"{key!r} must be a table of agent settings, not {values!r}")
    return {field_name(name): value for name, value in values.items()}


def field_name(name: str) -> str:
    """`agent.learning-rate` and `learning_rate` are the same setting."""
    return name.removeprefix("agent.").replace("-", "_")


def _request(run: dict[str, Any], where: str) -> Request:
    for key in ("agent", "label", "preset", "eval_mode"):
        _check_type(run, key, str, "a word", where)
    _check_type(run, "exact_steps", bool, "true or false", where)
    for key in ("env_options", "env_params", "inputs"):
        _check_type(run, key, dict, "a table", where)
    if "agent" not in run:
        raise UsageError(f"{where}: 'agent' is missing")
    datasets = _names(run, "dataset", where) if "dataset" in run else []
    if "env" not in run and not datasets:
        # Which of the two is missing depends on the agent.
        check_need(registry.agent(run["agent"]), given=False)
        raise UsageError(f"{where}: 'env' is missing")
    envs = _names(run, "env", where) if "env" in run else []
    cadence = {k: run[k] for k in ("evaluations", "episodes", "logs") if k in run}
    return Request(
        agent=run["agent"],
        envs=envs,
        seeds=parse_seeds(run.get("seeds", 1)),
        preset=run.get("preset"),
        settings=run["set"],
        sweep=run["sweep"],
        zip=run["zip"],
        total_steps=run.get("total_steps"),
        exact_steps=run.get("exact_steps", False),
        label=run.get("label"),
        env_options=run.get("env_options", {}),
        cadence=Cadence(**cadence, mode=run.get("eval_mode")),
        datasets=datasets,
        inputs={r: table_source(r, said, where) for r, said in run.get("inputs", {}).items()},
        env_params=run.get("env_params", {}),
    )


def _check_type(run: dict[str, Any], key: str, kind: type, words: str, where: str) -> None:
    if key in run and not isinstance(run[key], kind):
        raise UsageError(f"{where}: {key} must be {words}, not {run[key]!r}")


def _names(run: dict[str, Any], key: str, where: str) -> list[str]:
    words = {"env": "an environment", "dataset": "a dataset"}[key]
    names = [run[key]] if isinstance(run[key], str) else run[key]
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names) or not names:
        raise UsageError(f"{where}: {key} must be {words} or a list of them, not {names!r}")
    return names


def parse_seeds(value: Any) -> list[int]:
    """16 -> 0..15; '8:16' -> 8..15; '0,3,7' or a list -> those.

    Raises:
      UsageError: anything else, or none.
    """
    if isinstance(value, list):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return _range(0, value)
    text = str(value)
    try:
        if ":" in text:
            low, high = map(int, text.split(":"))
            if low >= high:
                raise UsageError(
                    f"seeds {text!r} are none, they run from the first to before the second: "
                    f"did you mean '{min(low, high)}:{max(low, high + 1)}'?"
                )
            seeds = _range(low, high)
            check_seed(seeds[0])
            check_seed(seeds[-1])
            return seeds
        if "," in text:
            return [int(part) for part in text.split(",")]
        return _range(0, int(text))
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"seeds must be a number, 'from:to' or a list, not {text!r}") from None


def _range(low: int, high: int) -> list[int]:
    """Before a list of them fills the memory."""
    few_enough(high - low)
    return list(range(low, high))
