"""A dataset of the suite's own is recorded only once the rest of a command has been checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from offline_tools import pendulum_like

from rlsuite.cli import common, main
from rlsuite.envs.datasets import npz, replay

OFFLINE = ["train", "bc", "--dataset", "pendulum-replay"]
BUDGET = ["--total-steps", "1000"]
GRID = """[[run]]
agent = "bc"
dataset = "pendulum-replay"
total_steps = 1000
"""


class Recorded(Exception):
    """The recording began."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; recording is noted and goes no further."""
    monkeypatch.setenv("RLSUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def begun(*_: object) -> None:
        raise Recorded

    monkeypatch.setattr(replay, "_record", begun)
    (tmp_path / "afile").write_text("no folder", encoding="utf-8")
    (tmp_path / "good.toml").write_text(GRID, encoding="utf-8")
    (tmp_path / "later.toml").write_text(GRID + GRID.replace("bc", "bcc"), encoding="utf-8")
    (tmp_path / "option.toml").write_text(GRID + "env_options = { colour = 1 }\n", encoding="utf-8")
    (tmp_path / "twice.toml").write_text(
        GRID + "[run.sweep]\nupdates = [1]\n[run.zip]\nupdates = [2]", encoding="utf-8"
    )
    return tmp_path


MISTAKES: dict[str, tuple[list[str], str]] = {
    "no budget": (OFFLINE, "no budget for Pendulum-v1"),
    "small budget": ([*OFFLINE, "--total-steps", "5"], "below one iteration"),
    "inexact": ([*OFFLINE, "--exact-steps", "--total-steps", "1001"], "try 1000 or 1100"),
    "preset": ([*OFFLINE, *BUDGET, "--preset", "authrs"], "no preset 'authrs'"),
    "discrete": ([*OFFLINE, *BUDGET, "--env", "CartPole-v1"], "needs box actions"),
    "other task": (
        [*OFFLINE, *BUDGET, "--env", "mujoco:Hopper-v4"],
        "recorded on Pendulum-v1, not on mujoco:Hopper-v4: try --env Pendulum-v1",
    ),
    "listed preset": (
        ["train", "prdc", *OFFLINE[2:], "--preset", "authors"],
        "no set for pendulum-replay on Pendulum-v1: it has those of mujoco:HalfCheetah-v4, ",
    ),
    "no dataset": (["train", "prdc"], "none was given: try --dataset pendulum-replay"),
    "nowhere to play": (
        ["train", "bc", "--dataset", "antmaze-umaze-v2", *BUDGET],
        "the suite has no environment for dataset antmaze-umaze-v2",
    ),
    "a setting that cloning lacks": (
        [*OFFLINE, *BUDGET, "--agent.gamma", "0.9"],
        "bc has no setting --agent.gamma",
    ),
    "a weight of nothing": (
        ["train", "odice", *OFFLINE[2:], *BUDGET, "--agent.gradient", "semi", "--agent.eta", "0.5"],
        "agent.eta 0.5 weighs what is orthogonal: it needs agent.gradient = 'orthogonal'",
    ),
    "a table that is not looked at": (
        ["train", "prdc", *OFFLINE[2:], *BUDGET, "--agent.search=exact", "--agent.neighbours=8"],
        "agent.neighbours 8 is of the table: it needs agent.search = 'table' or 'auto'",
    ),
    "nothing to resolve": (
        ["train", "prdc", *OFFLINE[2:], *BUDGET, "--agent.search=exact", "--agent.resolve=8"],
        "agent.resolve 8 is of the table",
    ),
    "out": ([*OFFLINE, *BUDGET, "--out", "afile"], "is a file, not a folder"),
    "out below a file": ([*OFFLINE, *BUDGET, "--out", "afile/run"], "cannot write to --out"),
    "a later run": (["grid", "later.toml"], "no agent 'bcc'"),
    "option": (["grid", "option.toml"], "no option 'colour': known: "),
    "swept and zipped": (["grid", "twice.toml"], "agent.updates is both swept and zipped"),
    "grid out": (["grid", "good.toml", "--out", "afile"], "is a file, not a folder"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_found_first(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    arguments, words = MISTAKES[name]
    assert main.main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("arguments", [[*OFFLINE, *BUDGET], ["grid", "good.toml"]])
def test_a_dry_run_records_nothing_and_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main.main([*arguments, "--dry-run"]) == 0
    assert "pendulum-replay would be recorded first" in capsys.readouterr().out
    with pytest.raises(Recorded):
        main.main(arguments)


@pytest.mark.parametrize("arguments", [[*OFFLINE, *BUDGET], ["grid", "good.toml"]])
def test_what_is_recorded_has_its_content_in_the_cells(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    recorded: list[Path] = []

    def record(_: object, path: Path) -> None:
        recorded.append(path)
        npz.write(path, pendulum_like())

    ran: list[str] = []

    def run(cells: list[common.Cell], *_: object) -> int:
        ran.extend(cell.id for cell in cells)
        assert cells[0].data is not None
        assert cells[0].data.rows == 60
        return 0

    monkeypatch.setattr(replay, "_record", record)
    monkeypatch.setattr(common, "run_cells", run)
    assert main.main(arguments) == 0
    assert recorded == [replay.pendulum_path()]
    assert main.main(arguments) == 0
    assert len(recorded) == 1
    assert len(set(ran)) == 1
    capsys.readouterr()
    assert main.main([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "would be recorded" not in said
    assert "runs/" in said or ran[0] in said
