"""Replay agents and the C simulator on the command line: killed in mid-episode, started often."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest
from system_tools import assert_same, finish, kill_and_rerun, results

pytestmark = pytest.mark.slow
SMALL = {"hidden": "16,16", "batch-size": 16, "buffer-size": 2000, "learning-starts": 500}
ROLLOUT = {"hidden": "16,16", "num-envs": 2, "num-steps": 128, "minibatches": 2, "epochs": 2}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One compile cache for the module's processes."""
    folder = tmp_path_factory.mktemp("cache")
    clean = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "PJRT_NPROC")}
    return {**clean, "RLSUITE_CACHE": str(folder)}


def train(out: Path, agent: str, env: str, seeds: int, steps: int) -> list[str]:
    """The command line of a small run."""
    settings = ROLLOUT if agent == "ppo" else SMALL
    flags = [part for k, v in settings.items() for part in (f"--agent.{k}", str(v))]
    return [
        sys.executable, "-m", "rlsuite.cli.main", "train", agent, "--env", env,
        "--seeds", str(seeds), "--total-steps", str(steps), "--out", str(out),
        "--evaluations", "2", "--episodes", "2", "--no-report", "--workers", "2", *flags,
    ]  # fmt: skip


def test_killed_runs_with_a_replay_end_as_undisturbed_ones(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    """The ring wraps, episodes are cut anywhere; rows and parameters are the same bits."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    job = ("sac", "mujoco:Hopper-v4", 2, 12_000)
    finish(train(whole, *job), cache)
    kills = kill_and_rerun(train(killed, *job), cache, 4, random.Random(2), (8.0, 20.0))
    assert kills >= 2
    assert_same(results(killed), results(whole))


@pytest.mark.parametrize(("agent", "env"), [("sac", "Hopper-v4"), ("ppo", "HalfCheetah-v5")])
def test_fifty_starts_in_a_row_all_end(
    tmp_path: Path, cache: dict[str, str], agent: str, env: str
) -> None:
    for start in range(50):
        out = tmp_path / str(start)
        finish(train(out, agent, f"mujoco:{env}", 3, 1_500), cache)
        assert len(results(out)) == 3
