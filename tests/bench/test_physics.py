"""The physics benchmark: who runs, how ratios are made, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from rich.console import Console

from rlsuite.bench import physics
from rlsuite.bench.physics import Lap
from rlsuite.cli.main import main
from rlsuite.contracts.errors import UsageError


def test_ours_and_gymnasiums_vector_env_are_timed_in_turns() -> None:
    said: list[str] = []
    entrants = physics.racers(1, None)
    laps = physics.race("mujoco:Hopper-v4", 2, entrants, 20, 2, said.append)
    assert [(lap.name, lap.num_envs) for lap in laps] == [("rlsuite", 2), ("gymnasium", 2)]
    assert not said
    for lap in laps:
        assert len(lap.wall) == len(lap.cpu) == 2
        assert min(lap.wall + lap.cpu) > 0


def test_calls_that_only_reset_a_copy_are_not_steps() -> None:
    laps = physics.race("mujoco:Hopper-v4", 4, physics.racers(1, None), 800, 1, print)
    ours, gymnasium = (lap.resets[0] for lap in laps)
    assert ours == 0.0
    # Random actions end a Hopper episode after 20 to 30 steps.
    assert 1 / 50 < gymnasium < 1 / 10


def test_a_racer_that_fails_is_reported_and_the_others_go_on() -> None:
    said: list[str] = []
    ours = physics.racers(1, None)[1]
    broken = physics.Racer(
        "broken", "", (sys.executable, "-c", "raise OSError('no fuel')"), 1, 1, {}
    )
    laps = physics.race("mujoco:Reacher-v5", 2, [broken, ours], 4, 1, said.append)
    assert laps[0].failure == "OSError: no fuel"
    assert said == ["broken on mujoco:Reacher-v5: OSError: no fuel"]
    assert len(laps[1].wall) == 1


def test_ratios_are_ours_over_theirs() -> None:
    laps = [
        Lap("a", 16, "rlsuite", "per core", [3.0, 6.0, 9.0], [1.0]),
        Lap("a", 16, "envpool", "per core", [2.0, 3.0, 4.0], [1.0]),
        Lap("b", 16, "rlsuite", "per core", [8.0], [1.0]),
        Lap("b", 16, "envpool", "per core", failure="broke"),
    ]
    console = Console(width=200, record=True)
    console.print(physics.table(laps))
    rows = [line for line in console.export_text().splitlines() if line.startswith("│")]
    assert "2.00" in rows[1]
    assert "broke" in rows[3]


def test_a_python_without_envpool_is_named_and_a_missing_one_refused() -> None:
    assert physics.missing(Path(sys.executable)) == "ModuleNotFoundError: No module named 'envpool'"
    with pytest.raises(UsageError, match="--rival-python nowhere"):
        physics.missing(Path("nowhere"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--envs CartPole-v1", "CartPole-v1 is no MuJoCo task"),
        ("--copies 16,x", "--copies 16,x: whole numbers"),
        ("--copies 16 --steps 8", "from 1 to --steps (8)"),
    ],
)
def test_mistakes_are_one_line(argv: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "physics", *argv.split()]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
