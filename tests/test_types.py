"""The contract page: what is written from it alone passes a type checker, and trains."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import contract_page
import pytest

import rlsuite
from rlsuite.contracts.types import Environment

HERE = Path(__file__).parent
MISTAKES = """
import rlsuite
from contract_page import Config, PointEnv, make
from rlsuite.agents.online import ppo
from rlsuite.contracts.types import Context, Environment

env: Environment = PointEnv()
agent = make(env, Config())
reveal_type(agent.init)
reveal_type(rlsuite.train(agent, seeds=1, total_steps=320).policies)
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


def why_pyright_cannot_run() -> str:
    """Empty where it can; it is a Python package around a node program, which may be missing."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pyright", "--version"], capture_output=True, text=True,
            timeout=300,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "no answer within 300 s"
    said = (done.stderr or done.stdout).strip().splitlines()
    return f"exit code {done.returncode}{f': {said[-1]}' if said else ''}" * (done.returncode != 0)


def test_what_is_written_from_the_page_passes_pyright(tmp_path: Path) -> None:
    """And mistakes in it do not: names and types of settings are known to the checker."""
    if why := why_pyright_cannot_run():
        pytest.skip(f"pyright (in the dev extra) does not run here: {why}")
    shutil.copy(HERE / "contract_page.py", tmp_path)
    (tmp_path / "mistakes.py").write_text(MISTAKES, encoding="utf-8")
    told = checked(tmp_path)
    assert not [d for d in told if d["file"].endswith("contract_page.py")]
    messages = [d["message"] for d in told if d["severity"] == "information"]
    assert [m.split('" is "')[1].rstrip('"') for m in messages] == [
        "Init[State, Policy]", "Sequence[Policy]", "Environment", "Config",
    ]  # fmt: skip
    errors = [d["message"] for d in told if d["severity"] == "error"]
    assert len(errors) == 3
    assert "num_envs" in errors[0]
    assert "typo" in errors[1]
    assert "learning_rat" in errors[2]


def test_an_editable_install_is_a_plain_path(tmp_path: Path) -> None:
    """A finder of imports would hide the suite from type checkers; the wheel has everything."""
    pytest.importorskip("setuptools", minversion="77", reason="what builds the suite")
    copy = tmp_path / "clone"
    copy.mkdir()
    for name in ("rlsuite", "agents", "envs", "experiments", "pyproject.toml", "README.md"):
        source, target = HERE.parent / name, copy / name
        if source.is_file():
            shutil.copy(source, target)
        else:
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, symlinks=True, ignore=unwanted)
    for kind in ("editable", "wheel"):
        code = f"from setuptools.build_meta import *; print(build_{kind}({str(tmp_path)!r}))"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=copy, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as built:
            names = built.namelist()
            if kind == "editable":
                (path,) = [name for name in names if name.endswith(".pth")]
                assert built.read(path).decode().strip() == str(copy)
            else:
                tops = {name.partition("/")[0].partition("-")[0] for name in names}
                assert tops == {"rlsuite"}
                assert "rlsuite/agents/online/ppo/presets.toml" in names


def test_what_is_written_from_the_page_trains() -> None:
    """Acting at random is worth -12.5; eight seeds ended between -3.7 and -4.0."""
    env: Environment = contract_page.PointEnv()
    assert isinstance(env, Environment)
    agent = contract_page.make(env, contract_page.Config())
    result = rlsuite.train(
        agent, seeds=8, total_steps=200 * 320, evaluations=1, episodes=32, logs=1, width=8
    )
    assert result.status == ["done"] * 8
    assert result.returns.mean() > -5
