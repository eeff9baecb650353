"""What a newcomer has to read stays little (`structure.py` prints all of it)."""

from __future__ import annotations

from pathlib import Path

import pytest
import structure

from rlsuite.agents.registry import ROWS

MODULES = structure.sources(structure.ROOT)
AGENTS = structure.agents(MODULES)


def test_every_agent_is_measured():
    assert set(AGENTS) == {f"{row.module}.agent" for row in ROWS}


@pytest.mark.parametrize("name", AGENTS)
def test_an_agents_own_reading_set_is_at_most_six_files(name):
    assert structure.reading(MODULES, name).own_files <= 6


def test_agents_and_cores_are_typed():
    paths = [path for name, path in MODULES.items() if name.startswith("rlsuite.agents.")]
    assert structure.any_rate(paths) <= 8


def test_a_reading_set_follows_imports_and_counts_each_file_once(tmp_path: Path):
    (tmp_path / "rlsuite").mkdir()
    folder = tmp_path / "agents" / "one"
    folder.mkdir(parents=True)
    (tmp_path / "rlsuite" / "ground.py").write_text(
        "from typing import Any\nx: Any = 1\n", encoding="utf-8"
    )
    (folder / "__init__.py").write_text("'''A door.'''\n" * 9, encoding="utf-8")
    (folder / "config.py").write_text("from rlsuite import ground\n", encoding="utf-8")
    text = "from rlsuite import ground\nfrom rlsuite.agents.one.config import Config\n\n"
    (folder / "agent.py").write_text(
        text + "def make(env, config, more):\n    '''Args: none.'''\n", encoding="utf-8"
    )
    modules = structure.sources(tmp_path)
    assert structure.reading(modules, "rlsuite.agents.one.agent") == (2, 6, 3, 8)
    paths = list(modules.values())
    assert structure.any_rate([modules["rlsuite.ground"]]) == 500
    assert structure.small_share(paths) == 1
    assert structure.args_share(paths) == 1
