"""The house rules: imports point downwards, light modules are light, files and functions short."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from rlsuite.agents.registry import ROWS as AGENTS

ROOT = Path(__file__).parents[1]
UPPER = ("agents", "envs", "experiments")
HEAVY = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "chex",
    "gymnax",
    "gymnasium",
    "polars",
    "matplotlib",
    "scipy",
    "h5py",
)
LIGHT = [
    "rlsuite",
    "rlsuite.contracts.config",
    "rlsuite.contracts.errors",
    "rlsuite.contracts.registry",
    "rlsuite.agents.registry",
    "rlsuite.envs.registry",
    "rlsuite.envs.datasets.registry",
    "rlsuite.contracts.refs",
    "rlsuite.contracts.box",
    "rlsuite.io.artefact_cache",
    "rlsuite.io.machine",
    "rlsuite.engine.plan.grid",
    "rlsuite.cli.main",
    "rlsuite.cli.train",
    "rlsuite.experiments.registry",
    *(row.module for row in AGENTS),
    *(f"{row.module}.config" for row in AGENTS),
    "rlsuite.agents.cores",
    "rlsuite.agents.cores.config",
    "rlsuite.agents.cores.on_policy_config",
]


def own_files(suffix: str = "") -> list[Path]:
    """The files of the checkout, each once (the packages inside rlsuite/ are links)."""
    found = []
    for path in ROOT.rglob("*" + suffix):
        inside = path.relative_to(ROOT)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        linked = any(parent.is_symlink() for parent in (path, *path.parents))
        if path.is_file() and not hidden and not linked and "egg-info" not in str(inside):
            found.append(path)
    return found


def modules(*folders: str) -> list[Path]:
    """Python files below some folders, or of the whole house without its tests."""
    wanted = folders or ("rlsuite", *UPPER)
    return [p for p in own_files(".py") if p.relative_to(ROOT).parts[0] in wanted]


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    """The module's dotted name."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    parts = parts if parts[0] == "rlsuite" else ["rlsuite", *parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports anywhere, also lazily and by `import_module("...")`."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


def below(module: str, package: str) -> bool:
    """Whether a module is a package or lies in it."""
    return module == package or module.startswith(package + ".")


def test_the_files_are_found():
    names = {name_of(path) for path in modules()}
    assert {"rlsuite.ops.returns", "rlsuite.agents.online.ppo.agent", "rlsuite.envs"} <= names


@pytest.mark.parametrize("path", modules("rlsuite"), ids=name_of)
def test_the_ground_floor_names_no_agent_environment_or_experiment(path):
    upper = tuple(f"rlsuite.{name}" for name in UPPER)
    assert not [m for m in imports(path) if any(below(m, package) for package in upper)]


# From the ground up: a module imports from its own floor and from those named before it.
FLOORS = (
    "rlsuite.contracts", "rlsuite.io", "rlsuite.nn", "rlsuite.ops", "rlsuite.data",
    "rlsuite.acting", "rlsuite.engine.plan", "rlsuite.engine.store", "rlsuite.engine.run",
    "rlsuite.engine.launch", "rlsuite.analysis.text", "rlsuite.analysis.load",
    "rlsuite.analysis.stats", "rlsuite.analysis.figures", "rlsuite.analysis.report",
    "rlsuite.training", "rlsuite.library", "rlsuite.bench", "rlsuite.cli",
)  # fmt: skip


def floor(module: str) -> int | None:
    """Which floor a module is on; None for the packages that hold floors, and for others."""
    return next((i for i, name in enumerate(FLOORS) if below(module, name)), None)


@pytest.mark.parametrize("path", modules("rlsuite"), ids=name_of)
def test_the_ground_floor_imports_downwards(path):
    own = floor(name_of(path))
    assert own is not None or path.name == "__init__.py", "a floor for it"
    above = [m for m in imports(path) if own is not None and (floor(m) or 0) > own]
    assert not above


def test_every_floor_is_there():
    names = [name_of(path) for path in modules("rlsuite")]
    assert not [name for name in FLOORS if not any(below(module, name) for module in names)]


@pytest.mark.parametrize("path", modules("envs"), ids=name_of)
def test_environments_import_downwards(path):
    assert not [
        m for m in imports(path) if below(m, "rlsuite.agents") or below(m, "rlsuite.experiments")
    ]


@pytest.mark.parametrize("path", modules("agents"), ids=name_of)
def test_agents_import_downwards_and_from_their_own_folder(path):
    """And from the cores, which import no agent."""
    cores, name = "rlsuite.agents.cores", name_of(path)
    own = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for module in imports(path):
        assert not below(module, "rlsuite.envs"), module
        assert not below(module, "rlsuite.experiments"), module
        if below(module, "rlsuite.agents"):
            allowed = (cores,) if below(name, cores) else (own, cores)
            assert any(below(module, package) for package in allowed), module


def test_every_folder_of_agents_is_an_agent():
    """What several share is in the cores, and nowhere else."""
    folders = [p.parent for p in (ROOT / "agents").glob("*/*/__init__.py")]
    assert {name_of(folder / "__init__.py") for folder in folders} == {r.module for r in AGENTS}


@pytest.mark.parametrize("row", AGENTS, ids=lambda row: row.name)
def test_tab_completion_shows_an_agents_door(row):
    out = run(f"import {row.module} as m; print(*dir(m)); m.Config; print(m.make.__name__)")
    assert {"Config", "make"} <= set(out.splitlines()[0].split())
    assert out.splitlines()[1] == "make"


def test_no_two_test_modules_share_a_name():
    """The tests are no package: pytest refuses the second of a name, but only in a whole run."""
    names = [path.name for path in modules("tests") if path.name != "conftest.py"]
    assert len(names) > 50
    assert not [name for name, count in Counter(names).items() if count > 1]


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_nothing_heavy(module):
    loaded = run(f"import sys, {module}; print(*{{n.partition('.')[0] for n in sys.modules}})")
    assert not set(loaded.split()) & set(HEAVY)


def test_every_agents_config_is_light():
    code = (
        "import sys; from rlsuite.contracts import registry\n"
        "for row in registry.agents().values(): row.load_config()(); row.load_presets()\n"
        "registry.envs(), registry.experiments()\n"
        "print(*{n.partition('.')[0] for n in sys.modules})"
    )
    assert not set(run(code).split()) & set(HEAVY)


def test_importing_is_quick():
    """The product's bound; the best of three, for the machine may be busy."""
    seconds = []
    for _ in range(3):
        code = (
            "import time; t = time.perf_counter(); import rlsuite; print(time.perf_counter() - t)"
        )
        seconds.append(float(run(code)))
    assert min(seconds) < 0.5


def length(node: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    lines = (node.end_lineno or 0) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def test_files_are_short():
    lengths = {name_of(p): len(p.read_text(encoding="utf-8").splitlines()) for p in modules()}
    assert statistics.median(lengths.values()) < 150


@pytest.mark.parametrize("path", own_files(".py"), ids=lambda p: str(p.relative_to(ROOT)))
def test_functions_are_short_and_shallow(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef):
            assert length(node) < 40, f"{node.name} has {length(node)} lines"
            assert depth(node) <= 3, f"{node.name} is {depth(node)} defs deep"


def depth(node: ast.AST) -> int:
    """How deep functions are nested, this one included."""
    inner = max((depth(child) for child in ast.iter_child_nodes(node)), default=0)
    return inner + isinstance(node, ast.FunctionDef)


def bare_texts(tree: ast.Module) -> Iterator[str]:
    """Calls that read or write text in whatever encoding the machine is set to."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name, method = ast.unparse(node.func), ast.unparse(node.func).rpartition(".")[2]
        named = any(keyword.arg in ("encoding", None) for keyword in node.keywords)
        modes = [
            word.value
            for word in [*node.args, *(k.value for k in node.keywords if k.arg == "mode")]
            if isinstance(word, ast.Constant) and re.fullmatch("[rwxabt+]{1,3}", str(word.value))
        ]
        opens = method in ("open", "fdopen") and name not in ("os.open", "Image.open", "av.open")
        # These are of bytes, unless they are told otherwise.
        opens = opens or (method in ("TemporaryFile", "NamedTemporaryFile") and bool(modes))
        text = opens and not any("b" in str(mode) for mode in modes)
        if not named and (text or method in ("read_text", "write_text")):
            yield f"line {node.lineno}: {name}"


def test_every_text_is_read_and_written_in_a_named_encoding():
    found = {str(p.relative_to(ROOT)): [*bare_texts(parsed(p))] for p in own_files(".py")}
    assert len(found) > 200
    assert not {path: lines for path, lines in found.items() if lines}


@pytest.mark.parametrize(
    ("code", "bare"),
    [
        ("open(p)", True), ("open(p, 'w')", True), ("p.open(mode='a')", True),
        ("p.read_text()", True), ("p.write_text('rb')", True), ("NamedTemporaryFile('w+')", True),
        ("open(p, 'rb')", False), ("p.open('wb')", False), ("open(p, encoding='utf-8')", False),
        ("p.read_text(encoding='utf-8-sig')", False), ("TemporaryFile()", False),
        ("os.open(p, os.O_RDONLY)", False),
    ],
)  # fmt: skip
def test_bare_texts_are_told_from_others(code, bare):
    assert bool([*bare_texts(ast.parse(code))]) == bare


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_public_things_have_docstrings(path):
    def check(node: ast.Module | ast.ClassDef, prefix: str) -> None:
        for child in node.body:
            if isinstance(child, ast.FunctionDef | ast.ClassDef) and child.name[0] != "_":
                assert ast.get_docstring(child), f"{prefix}{child.name}"
                if isinstance(child, ast.ClassDef):
                    check(child, f"{child.name}.")

    assert ast.get_docstring(parsed(path)), "the module"
    check(parsed(path), "")


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_public_functions_are_annotated(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            bare = [a.arg for a in arguments if a.annotation is None and a.arg not in _IMPLIED]
            assert not bare, f"{node.name}: {bare}"
            assert node.returns is not None, f"{node.name}: return"


_IMPLIED = ("self", "cls")
# In pieces, so that this file does not match itself.
_ADDRESSES = re.compile(
    "|".join(("pypi" + r"\.", "python" + "hosted", "index" + "-url", "conda" + r"\.an"))
    + r"|(?<![\w.])/(?:" + "|".join(("ro" + "ot", "wo" + "rk", "ho" + "me", "Us" + "ers")) + ")/"
)  # fmt: skip


def test_no_registry_address_and_no_machine_path():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    files = [ROOT / f for f in listed.stdout.splitlines()] or own_files()
    found = []
    for path in files:
        if path.is_symlink() or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", "ignore")
        found += [f"{path.name}: {match.group()}" for match in _ADDRESSES.finditer(text)]
    assert _ADDRESSES.search("/ho" + "me/me/rlsuite")
    assert not found
