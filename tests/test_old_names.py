"""Modules are found under the names that they had before the house was built."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest
import structure

import rlsuite
from rlsuite.io import lazy

MODULES = structure.sources(structure.ROOT)


@pytest.mark.parametrize("old", [name for name in lazy.MOVED if name not in lazy.ALSO])
def test_an_old_name_is_the_same_module_and_says_the_new_one(old):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"^{old} is now {lazy.MOVED[old]}$") as caught:
        module = importlib.import_module(old)
    assert module is importlib.import_module(lazy.MOVED[old])
    assert module.__name__ == lazy.MOVED[old]
    assert module.__spec__ is not None
    assert module.__spec__.name == lazy.MOVED[old]
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("old", "names"),
    [
        ("rlsuite.engine.environment", "worker_environment available_memory round_down cores"),
        ("rlsuite.engine.artefacts", "place locked content read_content of_cell"),
    ],
)
def test_a_module_that_is_two_now_has_the_names_of_both(old, names):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is now .* and {lazy.ALSO[old]}$"):
        module = importlib.import_module(old)
    homes = [importlib.import_module(home) for home in (lazy.MOVED[old], lazy.ALSO[old])]
    for name in names.split():
        assert [h for h in homes if getattr(h, name, None) is getattr(module, name)]
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = module.nonsense


def test_no_module_of_today_hides_behind_an_old_name():
    assert not set(lazy.MOVED) & set(MODULES)
    assert set(lazy.MOVED.values()) <= set(MODULES)


def test_a_package_written_before_still_works_and_is_warned_where_it_imports(tmp_path):
    """As the contract page told its author to write it; every name a module of its own."""
    (tmp_path / "theirs.py").write_text(
        "from rlsuite import drift, metrics\n"
        "from rlsuite.config import Config, Traced, knob\n"
        "import rlsuite.neighbours.keys\n"
        "from rlsuite.registry import AgentRow\n"
        "ROWS = [AgentRow(name='theirs', module='theirs', summary='theirs')]\n",
        encoding="utf-8",
    )
    code = (
        "import warnings\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    import theirs\n"
        "import rlsuite.contracts.config, rlsuite.data.neighbours.keys as keys\n"
        "assert theirs.Config is rlsuite.contracts.config.Config\n"
        "assert theirs.rlsuite.neighbours.keys is keys\n"
        "said = [w for w in caught if w.category is DeprecationWarning]\n"
        "print(*[(w.filename.rpartition('/')[2], w.lineno) for w in said], sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": f"{structure.ROOT}:{tmp_path}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wanted = [("theirs.py", line) for line in (1, 1, 2, 3, 3, 4)]
    assert done.stdout.splitlines() == [str(pair) for pair in wanted]


def test_a_name_that_never_was_is_still_refused():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("rlsuite.nonsense")
    with pytest.raises(AttributeError):
        _ = rlsuite.nonsense  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("rlsuite.engine.store", "Store"),
        ("rlsuite.engine.launch", "Workers"),
        ("rlsuite.analysis.report", "write"),
        ("rlsuite.analysis.figures", "learning_curves"),
        ("rlsuite.analysis.stats", "estimate"),
    ],
)
def test_a_package_that_was_a_module_has_what_that_had(package, name):
    module = importlib.import_module(package)
    with pytest.warns(DeprecationWarning, match=f"^{name} of {package} is now in {package}"):
        found = getattr(module, name)
    assert found is getattr(importlib.import_module(lazy.NAMESAKES[package]), name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing
    # What lies in the package is found as in any, without a word.
    leaf = lazy.NAMESAKES[package].rpartition(".")[2]
    assert importlib.import_module(f"{package}.{leaf}") is getattr(module, leaf)
