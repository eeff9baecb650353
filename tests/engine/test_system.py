"""The command line's workers as a user runs them: killed, shared, extended, orphaned."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from system_tools import assert_same, children, finish, kill_and_rerun, results

SETTINGS = {"num-envs": 4, "num-steps": 32, "hidden": "16,16", "minibatches": 2, "epochs": 2}
STEPS = 400_000


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One compile cache for the module's processes."""
    folder = tmp_path_factory.mktemp("cache")
    clean = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "PJRT_NPROC")}
    return {**clean, "RLSUITE_CACHE": str(folder)}


def train(out: Path, seeds: int, *extra: str) -> list[str]:
    """The command line of a small training run."""
    flags = [part for k, v in SETTINGS.items() for part in (f"--agent.{k}", str(v))]
    return [
        sys.executable, "-m", "rlsuite.cli.main", "train", "ppo", "--env", "CartPole-v1",
        "--seeds", str(seeds), "--total-steps", str(STEPS), "--out", str(out),
        "--evaluations", "4", "--no-report", "--workers", "2", *flags, *extra,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cache: dict[str, str]) -> dict[str, dict]:
    """Four seeds that nobody interrupted."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(train(out, 4), cache)
    return results(out)


def test_killed_runs_end_as_undisturbed_ones(
    tmp_path: Path, cache: dict[str, str], undisturbed: dict[str, dict]
) -> None:
    out, rng = tmp_path / "run", random.Random(0)
    assert kill_and_rerun(train(out, 4), cache, 2, rng, wait=(0.0, 0.3), begun=out) >= 1
    assert_same(results(out), undisturbed)


@pytest.mark.slow
def test_ten_kills(tmp_path: Path, cache: dict[str, str], undisturbed: dict[str, dict]) -> None:
    assert kill_and_rerun(train(tmp_path / "run", 4), cache, 10, random.Random(1)) >= 3
    assert_same(results(tmp_path / "run"), undisturbed)


def test_more_seeds_run_only_the_new_ones(
    tmp_path: Path, cache: dict[str, str], undisturbed: dict[str, dict]
) -> None:
    out = tmp_path / "run"
    finish(train(out, 2), cache)
    stamps = {p.name: p.stat().st_mtime_ns for p in (out / "cells").glob("*.done")}
    assert len(stamps) == 2
    printed = finish(train(out, 4), cache)
    assert "2 of 4 runs are finished already" in printed
    for name, stamp in stamps.items():
        assert (out / "cells" / name).stat().st_mtime_ns == stamp
    assert_same(results(out), undisturbed)
    assert "4 of 4 runs are finished already" in finish(train(out, 4), cache)


def test_three_workers_share_and_take_over(
    tmp_path: Path, cache: dict[str, str], undisturbed: dict[str, dict]
) -> None:
    out = tmp_path / "run"
    # The plan comes from a parent that is killed before its workers have done anything.
    planner = subprocess.Popen(train(out, 4), env=cache, stdout=subprocess.DEVNULL)
    while not (out / "spec.json").exists():
        time.sleep(0.02)
    for pid in [planner.pid, *children(planner.pid)]:
        os.kill(pid, signal.SIGKILL)
    planner.wait()
    work = [sys.executable, "-m", "rlsuite.cli.main", "work", str(out)]
    helpers = [subprocess.Popen(work, env=cache, stdout=subprocess.DEVNULL) for _ in range(3)]
    deadline = time.monotonic() + 60
    while not list((out / "cells").glob("*.checkpoint")) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in [helpers[0].pid, *children(helpers[0].pid)]:
        os.kill(pid, signal.SIGKILL)
    assert helpers[0].wait() == -signal.SIGKILL
    assert [helper.wait(timeout=240) for helper in helpers[1:]] == [0, 0]
    assert_same(results(out), undisturbed)
    assert not list((out / "cells").glob("*.checkpoint"))


def test_orphaned_workers_commit_and_end(tmp_path: Path, cache: dict[str, str]) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(train(out, 2), env=cache, stdout=subprocess.DEVNULL)
    while not list(out.glob("cells/*.checkpoint")):
        time.sleep(0.1)
        assert process.poll() is None
    workers = children(process.pid)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert list(out.glob("cells/*.checkpoint")) or len(results(out)) == 2


def test_interrupt_commits_and_says_how_to_go_on(tmp_path: Path, cache: dict[str, str]) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(train(out, 4), env=cache, stdout=subprocess.PIPE, text=True)
    while not list(out.glob("cells/*.checkpoint")):
        time.sleep(0.1)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the same command goes on" in printed


ROBOT = """
import gymnasium, numpy as np
from gymnasium import spaces

class Robot(gymnasium.Env):
    observation_space = spaces.Box(-1, 1, (3,), np.float32)
    action_space = spaces.Discrete(2)
    broken = True

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self.t += 1
        if self.t == 3:
            print('{"event": "done", "cell": "x"}\\nnull')
        if self.t == 7 and self.broken:
            raise ValueError("joint 3 broke")
        return np.zeros(3, np.float32), 0.0, False, False, {}

class Whole(Robot):
    broken = False

gymnasium.register("Robot-v0", entry_point=Robot, max_episode_steps=20)
gymnasium.register("Whole-v0", entry_point=Whole, max_episode_steps=20)
"""


@pytest.mark.parametrize("env_id", ["gym:robot:Robot-v0", "gym:robot:Whole-v0"])
def test_a_users_environment_and_shell(tmp_path: Path, cache: dict[str, str], env_id: str) -> None:
    """It prints what looks like an event, it raises; GPUs are masked and 64 bits are on."""
    (tmp_path / "robot.py").write_text(ROBOT, encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    shell = {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "-1", "JAX_ENABLE_X64": "1"}
    out = tmp_path / "run"
    command = [
        *(sys.executable, "-m", "rlsuite.cli.main", "train", "ppo", "--env", env_id),
        *("--total-steps", "200", "--agent.num-envs", "2", "--agent.num-steps", "32"),
        *("--evaluations", "1", "--episodes", "1", "--no-report", "--workers", "1"),
        *("--out", str(out)),
    ]
    done = subprocess.run(command, env=cache | shell, capture_output=True, text=True, timeout=240)
    text = {'worker 0: {"event": "done", "cell": "x"}', "worker 0: null"}
    assert text <= set(done.stdout.splitlines())
    assert "1 worker on the CPU (CUDA_VISIBLE_DEVICES=-1 hides every GPU)" in done.stdout
    if env_id.endswith("Whole-v0"):
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(results(out)) == 1
        return
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if " failed" in line and "seed 0" in line)
    said, _, whole = line.removesuffix(")").partition(" (the whole text: ")
    where = f"ppo on {env_id}, seed 0 failed in the environment {env_id}"
    assert said == f"{where}: ValueError: joint 3 broke"
    assert "robot.py" in Path(whole).read_text(encoding="utf-8")


@pytest.mark.slow
def test_twenty_starts_in_a_row_all_end(tmp_path: Path, cache: dict[str, str]) -> None:
    """With default settings; jax on CPU hangs where workers are started otherwise."""
    for start in range(20):
        command = [
            *(sys.executable, "-m", "rlsuite.cli.main", "train", "ppo", "--env", "CartPole-v1"),
            *("--seeds", "4", "--total-steps", "20000", "--out", str(tmp_path / str(start))),
        ]
        finish(command, cache)
        assert len(results(tmp_path / str(start))) == 4


@pytest.mark.slow
def test_a_killed_wide_run_ends_as_an_undisturbed_one(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    wide = ("--vmap", "3", "--workers", "1")
    finish(train(tmp_path / "whole", 4, *wide), cache)
    out = tmp_path / "killed"
    process = subprocess.Popen(train(out, 4, *wide), env=cache, stdout=subprocess.DEVNULL)
    while len(list(out.glob("cells/*.checkpoint"))) < 3:
        time.sleep(0.05)
        assert process.poll() is None
    time.sleep(0.5)
    for pid in [process.pid, *children(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    # The width is the folder's; what others killed goes on at it.
    printed = finish([sys.executable, "-m", "rlsuite.cli.main", "work", str(out)], cache)
    assert "each runs up to 3 at once" in printed
    assert_same(results(out), results(tmp_path / "whole"))
    assert not list(out.glob("cells/*.failed"))
