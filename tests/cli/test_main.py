"""What ends a command without being a mistake in it: files that cannot be read, Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from offline_tools import tiny

from rlsuite.cli import listing, main


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (PermissionError(13, "Permission denied", "a/b.toml"), "a/b.toml: Permission denied", 2),
        (OSError(28, "No space left on device", "x"), "x: No space left on device", 2),
        (KeyboardInterrupt(), "stopped", 130),
    ],
)
def test_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    said: str,
    code: int,
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(listing, "main", fail)
    assert main.main(["list"]) == code
    assert capsys.readouterr().err == f"rlsuite: {said}\n"


def test_a_fault_of_no_file_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(listing, "main", fail)
    with pytest.raises(OSError, match="Input/output"):
        main.main(["list"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "{dir}/run"],
        ["dataset", "inspect", "{dir}/closed/x.npz"],
        ["dataset", "inspect", "hopper-medium-v2", "--dataset-dir", "{dir}/closed"],
        ["grid", "{dir}/closed/x.toml"],
        [
            "train",
            "ppo",
            "--env",
            "CartPole-v1",
            "--total-steps",
            "1000",
            "--out",
            "{dir}/closed/x",
        ],
    ],
    ids=["report", "inspect", "dataset-dir", "grid", "train"],
)
def test_closed_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spec.json").touch(mode=0o000)
    (tmp_path / "closed").mkdir(mode=0o000)
    if os.access(tmp_path / "closed", os.R_OK):
        pytest.skip("whoever runs this, root presumably, may read closed folders")
    assert main.main([a.replace("{dir}", str(tmp_path)) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert "ermission denied" in error
    assert error.count("\n") == 1


def test_a_place_where_nobody_can_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even root, into the kernel's own tree."""
    assert main.main(["dataset", "convert", str(tiny(tmp_path)), "/proc/rlsuite/x.npz"]) == 2
    error = capsys.readouterr().err
    assert "/proc/rlsuite" in error
    assert error.count("\n") == 1


GRID = """
[[run]]
agent = "ppo"
env = "CartPole-v1"
seeds = 1
total_steps = 512
evaluations = 1
episodes = 1
logs = 1
[run.set]
num_envs = 2
num_steps = 16
hidden = [4]
"""


def test_a_grid_with_published_numbers_runs_where_there_is_no_polars(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID, encoding="utf-8")
    published = "env,series,value,source\nCartPole-v1,somebody's,500,a paper\n"
    (tmp_path / "targets.csv").write_text(published, encoding="utf-8")
    code = (
        "import sys; sys.modules |= dict.fromkeys(['polars', 'matplotlib'])\n"
        "from rlsuite.cli.main import main\n"
        "sys.exit(main(['grid', 'grid.toml', '--workers', '1', '--out', 'run']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "no table: polars is missing here; elsewhere: rlsuite report" in done.stdout
    assert len(list((tmp_path / "run" / "cells").glob("*.done"))) == 1
    assert (tmp_path / "run" / "targets.csv").exists()
