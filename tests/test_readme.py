"""The README is true: its script runs, its commands are understood, its pictures exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import rlsuite
from rlsuite.cli.main import COMMANDS
from rlsuite.engine.launch.process_env import worker_environment

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def commands() -> list[str]:
    """Every `rlsuite ...` of the shell blocks (comments off), of the tables and of the text."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    found = [re.search(r"(?:^|/)rlsuite (.*)", line.partition("  #")[0].strip()) for line in lines]
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`rlsuite\s([^`]*)`", prose)]
    return list(dict.fromkeys([*(match.group(1).strip() for match in found if match), *spans]))


def planned() -> list[str]:
    """Those that train, without the one whose data is in a folder of the reader's."""
    return [c for c in commands() if c.startswith(("train", "grid")) and "DIR" not in c.split()]


OF_A_FOLDER = ("work", "report", "evaluate")
# What the page shows of training: a line that is lost is named here, and is tried here.
SHOWN = [
    "train ppo --env CartPole-v1 --preset purejaxrl --seeds 16 --total-steps 500000",
    "train ppo --env Pendulum-v1 --total-steps 200000 --agent.gamma 0.9 --seeds 8",
    "train ppo --env gym:CartPole-v1 --total-steps 50000",
    "train sac --env mujoco:Hopper-v4 --preset cleanrl --total-steps 200000 --seeds 2",
    "train prdc --dataset pendulum-replay --total-steps 20000",
    "grid ppo_sweep --set agent.gamma=0.98,0.99 --dry-run",
    "grid cartpole",
    "grid classic_control",
    "grid ppo_sweep",
    "grid mdpo",
    "grid experiments/mdpo/drift_entropy.toml",
    "grid experiments/mdpo/mujoco.toml",
    "grid experiments/sac/mujoco_laptop.toml",
    "grid ppo_minatar",
    "grid offline",
]


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


def test_the_page_shows_these_and_no_others() -> None:
    assert planned() == SHOWN
    needy = [c.split()[1] for c in commands() if "DIR" in c.split()]
    assert needy
    assert all((ROOT / file).is_file() for file in needy)


@pytest.mark.parametrize("line", SHOWN)
def test_training_commands_are_understood(line: str, tmp_path: Path) -> None:
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    dry = [] if "--dry-run" in line else ["--dry-run"]
    done = run([*shlex.split(line), *dry], tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["experiments"]


@pytest.mark.parametrize("line", [c for c in commands() if c.startswith(("list", "show"))])
def test_commands_that_only_print_do(line: str, tmp_path: Path) -> None:
    done = run(shlex.split(line), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") > 5


def test_the_cache_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLSUITE_CACHE", str(tmp_path / "cache"))
    (line,) = (c for c in commands() if c.startswith("cache"))
    done = run(shlex.split(line), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("0 kept, 0 B\n")


@pytest.mark.parametrize("line", [c for c in commands() if c.startswith(OF_A_FOLDER)])
def test_commands_on_a_run_folder_miss_nothing_but_the_folder(line: str, tmp_path: Path) -> None:
    """Their options are understood: what is complained of is the folder that is not there."""
    done = run(shlex.split(line), tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert line.split()[1] in done.stderr


def test_every_command_of_the_page_is_tried() -> None:
    """`bench` alone is not: minutes long, it has tests of its own."""
    tried = ("train", "grid", "list", "show", "cache", "bench", *OF_A_FOLDER)
    assert {line.split()[0] for line in commands()} == set(tried)
    assert [c for c in commands() if c.startswith("bench")] == ["bench ppo", "bench accelerator"]


def test_calls_in_the_text_are_as_the_functions_are() -> None:
    calls = re.findall(r"`(rlsuite\.\w+\([^`]*\))`", TEXT)
    assert {call.partition("(")[0] for call in calls} >= {"rlsuite.context", "rlsuite.check_env"}
    env = rlsuite.make_env("CartPole-v1")
    known = {"rlsuite": rlsuite, "env": env, "agent": rlsuite.make("ppo", env)}
    for call in calls:
        eval(call, dict(known))


@pytest.mark.parametrize("name", COMMANDS)
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
