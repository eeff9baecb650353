"""What is promised of every agent holds for those on datasets: exact resume, independence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from driving import drive
from offline_tools import tiny
from tiny import same_bits

from rlsuite.contracts.refs import load
from rlsuite.engine.plan.cells import Cadence, Cell
from rlsuite.engine.plan.spec import Request, expand
from rlsuite.engine.run.program import Program

SMALL: dict[str, Any] = {"hidden": [8], "batch_size": 8, "updates": 3}
CRITICS: dict[str, Any] = {"critic_hidden": [8]}
AGENTS: dict[str, dict[str, Any]] = {
    "td3-bc": CRITICS,
    "rebrac": CRITICS,
    "prdc": {**CRITICS, "search": "table", "neighbours": 8},
    "a2pr": {**CRITICS, "vae_hidden": [8]},
    "iql": CRITICS,
    "odice": CRITICS,
    "cql": {**CRITICS, "cql_actions": 2},
    "bc": {"fraction": 0.5},
}
# One of each core is run by default; those on the same core, and the dear ones, when asked for.
DEAR = ("td3-bc", "rebrac", "a2pr", "odice", "cql", "bc")
PARAMS = [pytest.param(name, marks=pytest.mark.slow if name in DEAR else ()) for name in AGENTS]


def cells(agent: str, path: Path, seeds: int = 1) -> list[Cell]:
    """A few iterations of small networks."""
    request = Request(
        agent, [], range(seeds), datasets=[str(path)], settings={**SMALL, **AGENTS[agent]},
        total_steps=30, cadence=Cadence(evaluations=2, episodes=1, logs=5),
    )  # fmt: skip
    return expand([request])


def prepared(cell: Cell, program: Program) -> Any:
    """What a worker would hand to the program."""
    assert cell.data is not None
    return program.agent.prepare(load(cell.data, program.agent.env))


@pytest.mark.parametrize("agent", PARAMS)
def test_resumed_and_beside_another_a_run_is_the_same(agent: str, tmp_path: Path) -> None:
    """Bit for bit: with its companion, alone in the same program, and stopped at every chunk."""
    two = cells(agent, tiny(tmp_path), seeds=2)
    program = Program.for_cell(two[0], width=2)
    data = prepared(two[0], program)
    together = drive(two, program, tmp_path / "together", data=data)
    alone = drive(two[1:], program, tmp_path / "alone", data=data)
    stopped = drive(two[1:], program, tmp_path / "stopped", stops=1, data=data)
    assert stopped[0][1]["clock"]["resumes"] >= 2
    assert same_bits(together[1][0], alone[0][0])
    assert same_bits(together[1][0], stopped[0][0])
    assert not same_bits(together[0][0], together[1][0])
