"""`rlsuite show`: one agent or preset: its paper, its equations, its settings, what was run."""

from __future__ import annotations

import ast
import csv
import importlib.util
import inspect
import json
import math
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

import rlsuite
from rlsuite.analysis import text
from rlsuite.cli import common, listing
from rlsuite.cli.parser import Parser, parse
from rlsuite.contracts import registry
from rlsuite.contracts.config import Config, fields
from rlsuite.contracts.errors import UsageError, nearest

EXAMPLE = """example:
  rlsuite show ppo
  rlsuite show purejaxrl --env CartPole-v1
  rlsuite show sac/cleanrl --json

A preset that several agents have is named with its agent, as in the last line."""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = Parser(prog="rlsuite show", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("name", help="an agent, a preset or AGENT/PRESET")
    parser.add_argument("--env", help="lay the preset's set for this environment over the rest")
    parser.add_argument("--dataset", default="", help="the same of a dataset's name")
    parser.add_argument("--json", action="store_true", help="settings and origins as JSON")
    args = parse(parser, argv, agent_flags=False)
    row, preset = find(args.name)
    if args.env is not None:
        registry.env(args.env)
    config, origins = resolved(row, preset, args.env or "", args.dataset)
    if args.json:
        values = config.to_mapping()
        told = {name: {"value": values[name], "origin": origins[name]} for name in values}
        print(json.dumps({"agent": row.name, "preset": preset, "settings": told}, indent=1))
        return 0
    _print(common.make_console(), row, preset, config, origins, args.env)
    return 0


def find(name: str) -> tuple[registry.AgentRow, str | None]:
    """The agent, and the preset if one is named.

    Raises:
      UsageError: there is none, or several agents have it.
    """
    agents = registry.agents()
    agent, _, preset = name.partition("/")
    if agent in agents:
        return agents[agent], preset or None
    having = [row for row in agents.values() if name in _presets_of(row)]
    if len(having) > 1:
        choices = " or ".join(f"{row.name}/{name}" for row in having)
        raise UsageError(f"several agents have a preset {name!r}: show {choices}")
    if not having:
        # Several agents may have a preset of one name.
        presets = (preset for row in agents.values() for preset in _presets_of(row))
        known = dict.fromkeys([*agents, *presets])
        raise UsageError(f"no agent or preset {name!r}: {nearest(name, known)}")
    return having[0], name


def _presets_of(row: registry.AgentRow) -> dict[str, dict[str, Any]]:
    try:
        return row.load_presets()
    except UsageError:
        # Of a plug-in that cannot be used; `rlsuite list presets` says so.
        return {}


def resolved(
    row: registry.AgentRow, preset: str | None, env: str, dataset: str
) -> tuple[Config, dict[str, str]]:
    """All settings, and where each value comes from.

    Args:
      row: of the agent.
      preset: its name, or None for the defaults.
      env: the environment's id, or "".
      dataset: the dataset's name, or "".

    Raises:
      UsageError: no such preset, or it has no set for what is named.
    """
    origins = dict.fromkeys(fields(row.load_config()), "default")
    if preset is None:
        return row.load_config()(), origins
    presets = row.load_presets()
    if preset in presets and not (env or dataset):
        # What it sets everywhere; what it needs an environment for is listed below the table.
        table = {n: v for n, v in presets[preset].items() if n in origins}
    else:
        table, _ = registry.resolve_preset(row, preset, env, dataset)
    source = presets.get(preset, {})
    for name in table:
        origins[name] = f"preset {preset}"
        for kind, key in (("env", env), ("dataset", dataset)):
            if name in source.get(kind, {}).get(key, {}):
                origins[name] += f", {key}"
    return row.load_config().from_mapping(table), origins


def _print(
    console: Console, row: registry.AgentRow, preset: str | None, config: Config,
    origins: dict[str, str], env: str | None,
) -> None:  # fmt: skip
    console.print(Text(f"{row.name}: {row.summary}", style="bold"))
    for given in row.inputs:
        maker = f", by default of {given.maker}" if given.maker else ""
        console.print(Text(f"is given a {given.kind} (--input {given.role}=...){maker}"))
    if row.makes:
        console.print(Text(f"makes a {row.makes} for others; plays no episodes"))
    console.print(Text("\n" + (inspect.getdoc(type(config)) or "") + "\n"))
    for name, told in equations(row.module):
        console.print(Text(f"{name}\n", style="bold").append(Text(f"{told}\n", style="not bold")))
    console.print(_settings(config, origins))
    presets = row.load_presets()
    if preset is not None:
        source = presets[preset]
        console.print(Text(f"\nsource of {preset}: {source.get('source', 'not said')}"))
        if listed := [*source.get("env", {}), *source.get("dataset", {})]:
            console.print(Text(f"it has sets of their own for {', '.join(listed)}"))
    elif presets:
        console.print(Text(f"\npresets: {', '.join(presets)}"))
    found = [*evidence(row.name, env)]
    if not found:
        where = "" if results_folder() else " (results/ comes with a clone of the repository)"
        console.print(Text(f"\nno runs of it are kept under results/{where}"))
        return
    headings = ("results", "environment", "series", "seeds", "steps", "IQM [95 % interval]")
    console.print()
    console.print(listing.table(headings, found))


def _settings(config: Config, origins: dict[str, str]) -> Table:
    values = config.to_mapping()
    rows = [
        (name, str(values[name]), origins[name], info.help + (" (traced)" if info.traced else ""))
        for name, info in fields(type(config)).items()
    ]
    return listing.table(("setting", "value", "origin", "what it is"), rows)


def equations(module: str) -> Iterator[tuple[str, str]]:
    """Functions of an agent's own package, and of the maths it imports, whose docstrings hold an
    equation: (name, docstring). The files are read, not imported: nothing heavy is loaded."""
    files = sorted(resources.files(module).iterdir(), key=lambda file: file.name)
    own = [file for file in files if file.name.endswith(".py") and file.name != "config.py"]
    trees = [
        (file.name.removesuffix(".py"), ast.parse(file.read_text(encoding="utf-8"))) for file in own
    ]
    imported = {
        node.module: None
        for _, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module != module
    }
    for name in imported:
        if name.startswith("rlsuite.") and not name.startswith(f"{module}."):
            spec = importlib.util.find_spec(name)
            if spec is not None and spec.origin is not None:
                source = Path(spec.origin).read_text(encoding="utf-8")
                trees.append((name.rpartition(".")[2], ast.parse(source)))
    for name, tree in trees:
        for node in tree.body:
            doc = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
            if isinstance(node, ast.FunctionDef) and doc and node.name[0] != "_":
                # What it takes and returns is for who calls it.
                told = doc.partition("\nArgs:")[0].partition("\nReturns:")[0].strip()
                if " = " in told:
                    yield f"{name}.{node.name}", told


def results_folder() -> Path | None:
    """What was really run: beside the package in a clone, also in an editable install."""
    folder = Path(rlsuite.__file__).resolve().parents[1] / "results"
    return folder if folder.is_dir() else None


def evidence(agent: str, env: str | None) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Rows of the tables under results/ that an agent is in.

    Args:
      agent: its name; a series that scores.csv says no agent of is taken for that of the agent
        which its label begins with.
      env: only this environment.
    """
    folder = results_folder()
    for file in sorted(folder.glob("*/summary.csv")) if folder else ():
        ran = _agents_of(file.with_name("scores.csv"))
        for line in _lines(file):
            task, label = line.get("env") or "", line.get("series") or ""
            found = ran.get((task, label)) or {label.partition(" ")[0]}
            if _word(agent) not in map(_word, found) or env not in (None, task):
                continue
            value, low, high = (_number(line.get(name)) for name in ("iqm_last", "low", "high"))
            score = text.score(value)
            if math.isfinite(low) and math.isfinite(high):
                score += f" {text.interval(value, low, high)}"
            steps = text.count(_number(line.get("steps")))
            yield file.parent.name, task, label, line.get("seeds") or "", steps, score


def _agents_of(scores: Path) -> dict[tuple[str, str], set[str]]:
    """The agents whose runs are in each environment and series of a table of runs."""
    out: dict[tuple[str, str], set[str]] = {}
    for line in _lines(scores) if scores.is_file() else ():
        if agent := line.get("agent"):
            out.setdefault((line.get("env") or "", line.get("series") or ""), set()).add(agent)
    return out


def _lines(file: Path) -> Iterator[dict[str, str | None]]:
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _word(name: str) -> str:
    """TD3+BC and td3-bc are one."""
    return "".join(filter(str.isalnum, name.lower()))


def _number(written: str | None) -> float:
    return float(written) if written else math.nan
