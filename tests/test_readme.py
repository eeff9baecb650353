"""The README is true: its script runs, its commands are understood, its pictures exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rlsuite.engine.environment import worker_environment

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def commands() -> list[str]:
    """Every `rlsuite ...` line of the shell blocks, comments off."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    found = [re.search(r"(?:^|/)rlsuite (.*)", line.partition("  #")[0].strip()) for line in lines]
    return [match.group(1).strip() for match in found if match]


def scripts() -> list[str]:
    """Ten lines of library, and what goes on from there."""
    found = blocks("python")
    assert len(found) == 2
    return found


def test_the_library_script_runs(tmp_path: Path) -> None:
    script, _ = scripts()
    assert len([line for line in script.splitlines() if line.strip()]) <= 12
    assert run_script(script, tmp_path).splitlines() == ["(8, 5)"]
    assert (tmp_path / "policy.safetensors").exists()


def test_the_script_that_goes_on_runs(tmp_path: Path) -> None:
    _, script = scripts()
    printed = run_script(script, tmp_path)
    assert "agent.learning_rate" in printed
    assert len(list((tmp_path / "runs" / "mine" / "cells").glob("*.done"))) == 2


def test_it_is_short() -> None:
    assert len(TEXT.split()) < 1200


def run_script(script: str, folder: Path) -> str:
    """What it prints, in another process."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=worker_environment("cpu"),
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_grid_file_is_valid(tmp_path: Path) -> None:
    (grid,) = blocks("toml")
    (tmp_path / "grid.toml").write_text(grid, encoding="utf-8")
    done = run(["grid", "grid.toml", "--dry-run"], tmp_path)
    assert f"{2 * 3 * 2 * 32} runs in 2 programs" in done.stdout


@pytest.mark.parametrize("line", [c for c in commands() if c.startswith(("train", "grid"))])
def test_training_commands_are_understood(line: str, tmp_path: Path) -> None:
    dry = [] if "--dry-run" in line else ["--dry-run"]
    assert run([*shlex.split(line), *dry], tmp_path).returncode == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", sorted({line.split()[0] for line in commands()}))
def test_every_command_has_help_with_an_example(name: str, tmp_path: Path) -> None:
    printed = run([name, "--help"], tmp_path).stdout
    assert f"rlsuite {name}" in printed
    assert "example:" in printed


@pytest.mark.parametrize("page", ["README.md", "results/README.md"])
def test_what_a_page_points_at_exists(page: str) -> None:
    path = ROOT / page
    links = [
        link for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")) if link
    ]
    assert links
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


def test_the_install_commands_name_files_that_exist() -> None:
    installs = re.findall(r"pip install -c (\S+)", TEXT)
    assert len(installs) == 2
    assert all((ROOT / name).exists() for name in installs)


def run(argv: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The command line in another process."""
    return subprocess.run(
        [sys.executable, "-m", "rlsuite.cli.main", *argv], cwd=folder, env=dict(os.environ),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
