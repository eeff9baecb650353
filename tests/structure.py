"""What a newcomer has to read, in numbers.

    python tests/structure.py                 # this checkout
    python tests/structure.py DIR             # another: one of before, say

An agent's reading set is every file that its `agent.py` leads to by imports: what lies in agents/
is its own, the rest is the ground below. Package files that only name things (`__init__.py`) are
read by nobody and are left out.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOLDERS = ("rlsuite", "agents", "envs", "experiments")
SMALL = 60


class Reading(NamedTuple):
    """Files and lines, of an agent's own part of its reading set and of all of it."""

    own_files: int
    own_lines: int
    files: int
    lines: int


def sources(root: Path) -> dict[str, Path]:
    """Every module's file by dotted name; what is linked into rlsuite/ counts once."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            inside = path.relative_to(root)
            linked = any((root / part).is_symlink() for part in inside.parents)
            if not linked and "__pycache__" not in inside.parts:
                parts = inside.with_suffix("").parts
                parts = parts if parts[0] == "rlsuite" else ("rlsuite", *parts)
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """Names that a file imports, at the top or in a function, each as if it were a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reading(modules: dict[str, Path], start: str) -> Reading:
    """The reading set of a module.

    Args:
      modules: from `sources`.
      start: a dotted name.

    Raises:
      KeyError: no such module.
    """
    todo, read = [start], {}
    while todo:
        name = todo.pop()
        if name in read or (name in modules and modules[name].name == "__init__.py"):
            continue
        text = modules[name].read_text(encoding="utf-8")
        read[name] = len(text.splitlines())
        todo += [other for other in imported(ast.parse(text)) if other in modules]
    own = [count for name, count in read.items() if name.startswith("rlsuite.agents.")]
    return Reading(len(own), sum(own), len(read), sum(read.values()))


def agents(modules: dict[str, Path]) -> list[str]:
    """The modules that make an agent."""
    return [n for n in modules if n.startswith("rlsuite.agents.") and n.endswith(".agent")
            and "make" in {f.name for f in functions(modules[n])}
            and modules[n].with_name("presets.toml").exists()]  # fmt: skip


def functions(path: Path) -> list[ast.FunctionDef]:
    """Every function and method of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def small_share(paths: list[Path]) -> float:
    """Of files, those under 60 lines."""
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in paths]
    return sum(length < SMALL for length in lengths) / len(lengths)


def any_rate(paths: list[Path]) -> float:
    """`Any` a thousand lines, imports of it left out."""
    found = lines = 0
    for path in paths:
        text = path.read_text(encoding="utf-8")
        lines += len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            name = getattr(node, "id", "") if isinstance(node, ast.Name) else ""
            found += name == "Any" or (isinstance(node, ast.Attribute) and node.attr == "Any")
    return 1000 * found / lines


def args_share(paths: list[Path]) -> float:
    """Of public functions of three or more parameters, those whose docstring has `Args`."""
    told = asked = 0
    for path in paths:
        for node in public(ast.parse(path.read_text(encoding="utf-8"))):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            if len([a for a in arguments if a.arg not in ("self", "cls")]) >= 3:
                asked += 1
                told += "Args:" in (ast.get_docstring(node) or "")
    return told / asked


def public(node: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef]:
    """Functions and methods that a reader may call."""
    for child in node.body:
        if isinstance(child, ast.ClassDef) and child.name[0] != "_":
            yield from public(child)
        elif isinstance(child, ast.FunctionDef) and child.name[0] != "_":
            yield child


def main(root: Path) -> None:
    """Print the table."""
    modules = sources(root)
    print("| agent | own files | own lines | files | lines |\n|---|---|---|---|---|")
    for name in agents(modules):
        print(f"| {name.split('.')[-2]} | {' | '.join(map(str, reading(modules, name)))} |")
    print("\n| part | files | under 60 lines | Any per 1000 lines | with Args |")
    print("|---|---|---|---|---|")
    for part in ("", "agents"):
        paths = [p for n, p in modules.items() if n.startswith(f"rlsuite.{part}")]
        paths = paths if part else list(modules.values())
        shares = f"{small_share(paths):.0%} | {any_rate(paths):.1f} | {args_share(paths):.0%}"
        print(f"| {part or 'all'} | {len(paths)} | {shares} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else ROOT)
