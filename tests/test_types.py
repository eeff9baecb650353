"""The contract page: what is written from it alone passes a type checker, and trains."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import contract_page
import pytest

import rlsuite
from rlsuite.types import Environment

HERE = Path(__file__).parent
MISTAKES = """
import rlsuite
from contract_page import Config, PointEnv, make
from rlsuite.agents.online import ppo
from rlsuite.types import Context, Environment

env: Environment = PointEnv()
agent = make(env, Config())
reveal_type(agent.init)
reveal_type(rlsuite.make_env("CartPole-v1"))
reveal_type(ppo.Config().static())
Config(num_envs="x")
ppo.make(env, ppo.Config(typo=1))
def rate(ctx: Context[Config]) -> float:
    return ctx.hp.learning_rat
"""


def checked(folder: Path) -> list[dict[str, str]]:
    """What pyright says of a folder outside the clone, whose interpreter has the suite."""
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "."],
        cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)["generalDiagnostics"]


def test_what_is_written_from_the_page_passes_pyright(tmp_path: Path) -> None:
    """And mistakes in it do not: names and types of settings are known to the checker."""
    pytest.importorskip("pyright", reason="pyright is in the dev extra")
    shutil.copy(HERE / "contract_page.py", tmp_path)
    (tmp_path / "mistakes.py").write_text(MISTAKES)
    told = checked(tmp_path)
    assert not [d for d in told if d["file"].endswith("contract_page.py")]
    messages = [d["message"] for d in told if d["severity"] == "information"]
    assert [m.split('" is "')[1].rstrip('"') for m in messages] == [
        "Init[State, Policy]", "Environment", "Config",
    ]  # fmt: skip
    errors = [d["message"] for d in told if d["severity"] == "error"]
    assert len(errors) == 3
    assert "num_envs" in errors[0]
    assert "typo" in errors[1]
    assert "learning_rat" in errors[2]


def test_what_is_written_from_the_page_trains() -> None:
    """Standing still is worth -10 (20 steps at 0.5 on average), the best policy about -2."""
    env: Environment = contract_page.PointEnv()
    assert isinstance(env, Environment)
    agent = contract_page.make(env, contract_page.Config())
    result = rlsuite.train(agent, seeds=4, total_steps=200 * 320, evaluations=1, episodes=32)
    assert result.status == ["done"] * 4
    assert result.returns.mean() > -5
