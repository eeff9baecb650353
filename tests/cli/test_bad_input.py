"""Mistakes: one line that names the mistake and the nearest right answer, exit code 2, no jax.

All cases run in one process without the tests' jax, so that it can be seen that none loads it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlsuite.io.files import write_arrays

TRAIN = ["train", "ppo", "--env", "CartPole-v1", "--total-steps", "10000"]

COLLECT = ["dataset", "collect", "{dir}/new", "--env", "Pendulum-v1"]
FROM = ["train", "ppo", "--total-steps", "9999", "--from"]
TD3 = ["train", "td3", "--env", "Pendulum-v1", "--total-steps", "50000"]

# name -> (arguments, what the line must contain). {dir} is a folder of prepared files.
CASES: dict[str, tuple[list[str], list[str]]] = {
    "command": (["trian"], ["trian", "'train'"]),
    "agent": (["train", "pop", "--env", "CartPole-v1"], ["'pop'", "'ppo'"]),
    "environment": (["train", "ppo", "--env", "CartPol-v1"], ["CartPol-v1", "'CartPole-v1'"]),
    "gym environment": ([*TRAIN[:3], "gym:CartPole-v77"], ["gym:CartPole-v77", "CartPole-v1"]),
    "preset": ([*TRAIN, "--preset", "purejaxlr"], ["purejaxlr", "'purejaxrl'"]),
    "preset of other envs": ([*TRAIN, "--preset", "sb3-zoo"], ["sb3-zoo", "CartPole-v1"]),
    "flag": ([*TRAIN, "--sead", "3"], ["--sead", "'--seeds'"]),
    "setting": ([*TRAIN, "--agent.learningrate", "1"], ["learningrate", "'learning_rate'"]),
    "bare setting": ([*TRAIN, "--gamma", "1"], ["--gamma", "'--agent.gamma'"]),
    "setting without value": ([*TRAIN, "--agent.gamma"], ["--agent.gamma", "value"]),
    "no environment": (["train", "ppo"], ["--env"]),
    "stray argument": ([*TRAIN, "walker"], ["walker"]),
    "no budget": (["train", "ppo", "--env", "CartPole-v1"], ["budget", "total-steps"]),
    "budget below an iteration": ([*TRAIN[:-1], "100"], ["100", "512"]),
    "budget not whole": ([*TRAIN[:-1], "1000.5"], ["1000.5"]),
    "budget no number": ([*TRAIN[:-1], "lots"], ["--total-steps: must be a whole", "'lots'"]),
    "endless budget": ([*TRAIN[:-1], "inf"], ["--total-steps: must be a whole", "'inf'"]),
    "too many seeds": ([*TRAIN, "--seeds", "1000000000000"], ["seeds", "at most 1,000,000"]),
    "too wide a range of seeds": ([*TRAIN, "--seeds", "0:10000000000"], ["at most 1,000,000"]),
    "backward seeds": ([*TRAIN, "--seeds", "9:3"], ["seeds '9:3' are none", "did you mean '3:9'?"]),
    "an empty range": ([*TRAIN, "--seeds", "5:5"], ["seeds '5:5' are none", "did you mean '5:6'?"]),
    "seeds of 32 bits": (
        [*TRAIN, "--seeds", "2147483648:2147483650"], ["below 2**31", "not 2147483648"],
    ),
    "a seed of 32 bits": ([*TRAIN, "--seeds", "0,4294967296"], ["below 2**31", "4294967296"]),
    "a negative seed": ([*TRAIN, "--seeds=-3:2"], ["at least 0", "not -3"]),
    "budget beyond counting": ([*TRAIN[:-1], "1e12"], ["1000000000000", "32 bits"]),
    "inexact budget": ([*TRAIN, "--exact-steps"], ["10000", "9728", "10240"]),
    "minibatches": ([*TRAIN, "--agent.minibatches", "7"], ["7", "512", "try 4"]),
    "recurrent minibatches": (
        [*TRAIN, "--agent.network", "gru", "--agent.minibatches", "3"],
        ["minibatches 3", "num_envs 4", "try 2"],
    ),
    "negative": ([*TRAIN, "--agent.learning-rate", "-1"], ["learning_rate", "above 0", "-1"]),
    "nan": ([*TRAIN, "--agent.gamma", "nan"], ["gamma", "finite"]),
    "infinite": ([*TRAIN, "--agent.entropy-coef", "inf"], ["entropy_coef", "finite"]),
    "out of bounds": ([*TRAIN, "--agent.gamma", "1.5"], ["gamma", "at most 1"]),
    "word for number": ([*TRAIN, "--agent.gamma", "high"], ["gamma", "'high'"]),
    "fraction for whole": ([*TRAIN, "--agent.num-envs", "2.5"], ["num_envs", "2.5"]),
    "bad choice": ([*TRAIN, "--agent.drift", "clap"], ["drift", "'clap'", "'clip'"]),
    "bad flag value": ([*TRAIN, "--agent.value-clip", "maybe"], ["value_clip", "maybe"]),
    "zero seeds": ([*TRAIN, "--seeds", "0"], ["seeds"]),
    "negative seed": ([*TRAIN, "--seeds", "-1,2"], ["seed"]),
    "seeds no number": ([*TRAIN, "--seeds", "many"], ["seeds", "'many'"]),
    "zero workers": ([*TRAIN, "--workers", "0"], ["--workers", "0"]),
    "zero width": ([*TRAIN, "--vmap", "0"], ["--vmap", "at least 1"]),
    "width on the host": (
        [*TRAIN[:3], "gym:CartPole-v1", *TRAIN[4:], "--vmap", "2"],
        ["--vmap 2", "gym:CartPole-v1", "one seed at a time"],
    ),
    "device": ([*TRAIN, "--device", "cup"], ["'cup'", "'cpu'"]),
    "no episodes": ([*TRAIN, "--episodes", "0"], ["episodes", "at least 1"]),
    "eval mode": ([*TRAIN, "--eval-mode", "greddy"], ["greddy", "greedy"]),
    "continuous-only setting": (
        [*TRAIN, "--agent.action-distribution", "tanh_gaussian"],
        ["action_distribution", "CartPole-v1"],
    ),
    "cnn on a vector": ([*TRAIN, "--agent.network", "cnn"], ["network", "cnn", "CartPole-v1"]),
    "out is a file": ([*TRAIN, "--out", "{dir}/file"], ["file", "not a folder"]),
    "out holds others' files": ([*TRAIN, "--out", "{dir}/foreign"], ["holds other files"]),
    "out under a file": ([*TRAIN, "--out", "{dir}/file/run"], ["cannot write"]),
    "damaged spec": ([*TRAIN, "--out", "{dir}/halfwritten"], ["spec.json", "damaged"]),
    "damaged checkpoint": ([*TRAIN, "--out", "{dir}/broken"], [".checkpoint", "damaged"]),
    "grid missing": (["grid", "{dir}/gird.toml"], ["gird.toml", "'grid.toml'"]),
    "grid syntax": (["grid", "{dir}/syntax.toml"], ["syntax.toml", "TOML", "line 2"]),
    "grid key": (["grid", "{dir}/key.toml"], ["'agnet'", "'agent'"]),
    "grid setting": (["grid", "{dir}/setting.toml"], ["gama", "'gamma'"]),
    "grid sweep no list": (["grid", "{dir}/sweep.toml"], ["gamma", "list"]),
    "grid zip": (["grid", "{dir}/zip.toml"], ["equally long"]),
    "grid agent no word": (["grid", "{dir}/agent.toml"], ["agent must be a word", "3"]),
    "grid agents": (["grid", "{dir}/agents.toml"], ["agent must be a word", "['ppo']"]),
    "grid preset no word": (["grid", "{dir}/preset.toml"], ["preset must be a word", "['a']"]),
    "grid label no word": (["grid", "{dir}/label.toml"], ["label must be a word", "[1]"]),
    "grid mode no word": (["grid", "{dir}/mode.toml"], ["eval_mode must be a word", "[1]"]),
    "grid flag no flag": (
        ["grid", "{dir}/flag.toml"], ["exact_steps must be true or false", "'no'"]
    ),
    "grid options no table": (["grid", "{dir}/options.toml"], ["env_options must be a table"]),
    "grid option": (["grid", "{dir}/option.toml"], ["colour", "max_steps_in_episode"]),
    "grid swept and zipped": (["grid", "{dir}/twice.toml"], ["agent.gamma", "swept and zipped"]),
    "grid seeds no numbers": (["grid", "{dir}/seeds.toml"], ["a seed must be", "[1]"]),
    "grid without a dataset": (["grid", "{dir}/offline.toml"], ["bc learns from a dataset"]),
    "grid without runs": (["grid", "{dir}/empty.toml"], ["[[run]]"]),
    "grid in UTF-16": (["grid", "{dir}/utf16.toml"], ["utf16.toml", "TOML", "utf-8"]),
    "grid is a folder": (["grid", "{dir}"], ["folder"]),
    "grid --set": (["grid", "{dir}/grid.toml", "--set", "agent.gama=1"], ["gama", "'gamma'"]),
    "grid --set form": (["grid", "{dir}/grid.toml", "--set", "gamma"], ["agent.NAME=VALUE"]),
    "work on nothing": (["work", "{dir}/foreign"], ["no run folder"]),
    "report on nothing": (["report", "{dir}/nowhere"], ["no run folder"]),
    "report of two nowhere": (["report", "{dir}/a", "{dir}/b"], ["say --into"]),
    "grid without nothing": (
        ["grid", "{dir}/grid.toml", "--without", "{dir}/nowhere"], ["nowhere", "no run folder"]
    ),
    "evaluate nothing": (["evaluate", "{dir}/none.done"], ["none.done"]),
    "evaluate what is none": (
        ["evaluate", "{dir}/file"], ["file is no checkpoint of rlsuite"]
    ),
    "evaluate a folder": (["evaluate", "{dir}/foreign"], ["foreign is a folder"]),
    "evaluate a run folder": (["evaluate", "{dir}/broken"], ["broken is a run folder", "--best"]),
    "the best of nothing": (
        ["evaluate", "{dir}/broken", "--best"], ["no finished run", "rlsuite work"]
    ),
    "the best of no run folder": (
        ["evaluate", "{dir}/foreign", "--best"], ["--best", "foreign is no run folder"]
    ),
    "the best of a file": (["evaluate", "{dir}/file", "--best"], ["file is no folder"]),
    "a film of no kind": (
        ["evaluate", "{dir}/file", "--video", "a.webm"], ["a.webm", "a.gif or a.mp4"]
    ),
    "a film in a file": (
        ["evaluate", "{dir}/file", "--video", "{dir}/file/a.gif"], ["cannot write", "a file"]
    ),
    "episodes of no film": (
        ["evaluate", "{dir}/file", "--video-episodes", "2"], ["--video FILE.gif"]
    ),
    "a film of no episode": (
        ["evaluate", "{dir}/file", "--video", "a.gif", "--video-episodes", "0"], ["at least 1"]
    ),
    "from nothing": ([*FROM, "{dir}/none.done"], ["no file", "none.done"]),
    "from a folder": ([*FROM, "{dir}/foreign"], ["foreign is a folder"]),
    "from what holds no agent": ([*FROM, "{dir}/blank.safetensors"], ["holds no agent"]),
    "from another agent": (
        ["train", "trpo", "--from", "{dir}/ppo.safetensors", "--total-steps", "9999"],
        ["is of ppo, not of trpo", "rlsuite train ppo"],
    ),
    "from NaN": ([*FROM, "{dir}/nan.safetensors"], ["turned to NaN"]),
    "a whole state elsewhere": (
        [*FROM, "{dir}/ppo.safetensors", "--env", "Acrobot-v1"],
        ["whole state on CartPole-v1", "leave --env out"],
    ),
    "a whole state as many": (
        [*FROM, "{dir}/ppo.safetensors", "--seeds", "3"], ["one seed, not as 3"]
    ),
    "a policy that does not fit": (
        [*FROM, "{dir}/policy.safetensors", "--env", "Acrobot-v1"],
        ["trained on CartPole-v1", "cannot act on Acrobot-v1"],
    ),
    "a budget from a state": (
        ["train", "ppo", "--from", "{dir}/ppo.safetensors", "--total-steps", "100"],
        ["100 is below one iteration of 512", "try 512"],
    ),
    "list": (["list", "agent"], ["'agent'", "'agents'"]),
    "discrete actions": (
        ["train", "td3", "--env", "CartPole-v1", "--total-steps", "100000"],
        ["td3 needs box actions", "CartPole-v1", "Discrete(2)", "Pendulum-v1"],
    ),
    "replay smaller than its prefill": (
        [*TD3, "--agent.buffer-size", "1000"], ["buffer_size 1000", "try 25000 or more"]
    ),
    "replay larger than any memory": (
        [*TD3, "--agent.buffer-size", "1000000000000"],
        ["buffer_size 1000000000000", "GiB on Pendulum-v1 (34 bytes a row)", "try ", "or fewer"],
    ),
    "replay shorter than n steps": (
        [*TD3, "--agent.learning-starts", "0", "--agent.buffer-size", "4", "--agent.n-step", "5"],
        ["buffer_size 4", "n_step 5", "try 5 or more"],
    ),
    "n_step": ([*TD3, "--agent.n-step", "0"], ["n_step", "at least 1"]),
    "negative noise": (
        [*TD3, "--agent.exploration-noise", "-0.1"], ["exploration_noise", "at least 0", "-0.1"]
    ),
    "tau": ([*TD3, "--agent.tau", "0"], ["tau", "above 0"]),
    "budget below the prefill": (
        [*TD3[:-1], "25000"], ["25000", "25000 steps that fill the replay", "try 25001"]
    ),
    "settings of td3 alone": (
        ["train", "ddpg", *TD3[2:], "--agent.policy-noise", "0.1"],
        ["ddpg", "policy-noise", "exploration_noise"],
    ),
    "dataset command": (["dataset", "inspct"], ["'dataset inspct'", "'inspect'"]),
    "dataset name": (["dataset", "inspect", "pendulum-reply"], ["'pendulum-replay'"]),
    "dataset file": (["dataset", "inspect", "{dir}/grit.npz"], ["no dataset file", "grit.npz"]),
    "dataset damaged": (["dataset", "inspect", "{dir}/bad.hdf5"], ["bad.hdf5", "damaged"]),
    "dataset folder": (
        ["dataset", "inspect", "hopper-medium-v2", "--dataset-dir", "{dir}/no"], ["--dataset-dir"]
    ),
    "dataset not there": (
        ["dataset", "inspect", "hopper-medium-v2", "--dataset-dir", "{dir}"],
        ["hopper_medium-v2.hdf5", "hopper-medium-v2"],
    ),
    "convert to nothing known": (
        ["dataset", "convert", "{dir}/bad.hdf5", "{dir}/new.csv"], ["new.csv", ".hdf5 or .npz"]
    ),
    "convert over something": (
        ["dataset", "convert", "{dir}/bad.hdf5", "{dir}/foreign"], ["foreign", "exists already"]
    ),
    "mix of nothing": (
        ["dataset", "mix", "{dir}/new.npz", "pendulum-reply"], ["'pendulum-replay'"]
    ),
    "mix over something": (
        ["dataset", "mix", "{dir}/foreign", "pendulum-replay"], ["foreign", "exists already"]
    ),
    "mix of too much": (
        ["dataset", "mix", "{dir}/new.npz", "pendulum-replay:1.5"], ["share", "at most 1", "1.5"]
    ),
    "collect nothing": ([*COLLECT, "--steps", "0"], ["--steps", "at least 2"]),
    "collect how": ([*COLLECT, "--steps", "10", "--mode", "greed"], ["greedy", "'greed'"]),
    "collect by no policy": (
        [*COLLECT, "--steps", "10", "--policy", "{dir}/none.done"], ["none.done"]
    ),
    "collect by what is no policy": (
        [*COLLECT, "--steps", "10", "--policy", "{dir}/file"], ["no checkpoint of rlsuite"]
    ),
    "collect by a folder": (
        [*COLLECT, "--steps", "10", "--policy", "{dir}/foreign"], ["foreign is a folder"]
    ),
    "collect on the host": (
        ["dataset", "collect", "{dir}/new", "--env", "gym:CartPole-v1", "--steps", "10"],
        ["gym:CartPole-v1", "resum"],
    ),
    "dataset for an online agent": (
        [*TD3, "--dataset", "pendulum-replay"], ["td3 collects its own data", "--dataset"]
    ),
    "grid dataset": (["grid", "{dir}/dataset.toml"], ["dataset", "list", "3"]),
    "dataset in an online grid": (["grid", "{dir}/online.toml"], ["ppo collects its own data"]),
}  # fmt: skip

DRIVER = """
import contextlib, io, json, sys, time
from rlsuite.cli.main import main
out = {}
for name, argv in json.load(sys.stdin).items():
    text, printed = io.StringIO(), io.StringIO()
    start = time.perf_counter()
    with contextlib.redirect_stderr(text), contextlib.redirect_stdout(printed):
        try:
            code = main(argv)
        except Exception as error:
            code, _ = -1, text.write(repr(error))
    heavy = sorted({"jax", "gymnax", "matplotlib"} & set(sys.modules))
    out[name] = {"code": code, "text": text.getvalue(), "heavy": heavy}
json.dump(out, sys.stdout)
"""

GRID = '[[run]]\nagent = "ppo"\nenv = "CartPole-v1"\ntotal_steps = 10000\n'


def prepare(folder: Path) -> None:
    """The files the cases point at."""
    (folder / "file").write_text("not a folder, not a checkpoint", encoding="utf-8")
    (folder / "bad.hdf5").write_text("no HDF5", encoding="utf-8")
    for name in ("foreign", "halfwritten", "broken"):
        (folder / name).mkdir()
    (folder / "foreign" / "thesis.tex").write_text("dear to somebody", encoding="utf-8")
    (folder / "halfwritten" / "spec.json").write_text('{"version": 1, "cells": [', encoding="utf-8")
    grids = {
        "grid": GRID,
        "syntax": '[[run]]\nagent = "ppo\n',
        "key": GRID + 'agnet = "ppo"\n',
        "setting": GRID + "[run.set]\ngama = 1\n",
        "sweep": GRID + "[run.sweep]\ngamma = 0.9\n",
        "zip": GRID + "[run.zip]\ngamma = [0.9]\nclip_epsilon = [0.1, 0.2]\n",
        "agent": GRID.replace('"ppo"', "3"),
        "agents": GRID.replace('"ppo"', '["ppo"]'),
        "preset": GRID + 'preset = ["a"]\n',
        "label": GRID + "label = [1]\n",
        "mode": GRID + "eval_mode = [1]\n",
        "flag": GRID + 'exact_steps = "no"\n',
        "options": GRID + "env_options = [1]\n",
        "option": GRID + "env_options = { colour = 1 }\n",
        "twice": GRID + "[run.sweep]\ngamma = [0.9]\n[run.zip]\ngamma = [0.8]\n",
        "seeds": GRID + "seeds = [[1]]\n",
        "offline": '[[run]]\nagent = "bc"\ntotal_steps = 1000\n',
        "empty": 'title = "nothing"\n',
        "dataset": GRID + "dataset = 3\n",
        "online": GRID + 'dataset = "pendulum-replay"\n',
    }
    for name, text in grids.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    (folder / "utf16.toml").write_text(GRID, encoding="utf-16")
    break_a_checkpoint(folder / "broken")
    leave_starts(folder)


def leave_starts(folder: Path) -> None:
    """Files that a run might go on from, as far as their headers say."""
    cell = {"agent": "ppo", "env": "CartPole-v1", "config": {}, "seed": 4}
    for name, kept, meta in (
        ("ppo", "state", {"cell": cell, "iteration": 3}),
        ("policy", "policy", {"cell": cell}),
        ("nan", "policy", {"cell": cell, "status": "nan"}),
        ("blank", "policy", {}),
    ):
        write_arrays(folder / f"{name}.safetensors", {f"{kept}.x": np.zeros(1)}, meta)


def break_a_checkpoint(folder: Path) -> None:
    """A run folder of the very cell that TRAIN asks for, its checkpoint cut short."""
    from rlsuite.engine.plan.spec import Request, expand
    from rlsuite.engine.store.store import Store

    cells = expand([Request("ppo", ["CartPole-v1"], [0], total_steps=10_000)])
    store = Store(folder)
    store.prepare(cells, [])
    store.commit(cells[0].id, {}, {"eval/return": [(0, 0.0, 1.0)]}, {})
    path = store.path(cells[0].id, "checkpoint")
    path.write_bytes(path.read_bytes()[:-5])


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file's content but locks."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.endswith(".lock")
    }


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each case printed, and the files before and after all of them."""
    folder = tmp_path_factory.mktemp("bad")
    prepare(folder)
    before = snapshot(folder)
    argv = {n: [a.replace("{dir}", str(folder)) for a in args] for n, (args, _) in CASES.items()}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], input=json.dumps(argv), capture_output=True, text=True,
        timeout=120, cwd=folder, env={**os.environ, "RLSUITE_CACHE": str(folder / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {"cases": json.loads(done.stdout), "before": before, "after": snapshot(folder)}


@pytest.mark.parametrize("name", CASES)
def test_one_line_and_the_nearest_right_answer(outcomes: dict[str, Any], name: str) -> None:
    result = outcomes["cases"][name]
    assert result["code"] == 2, result
    assert result["text"].startswith("rlsuite: ")
    assert result["text"].count("\n") == 1, result["text"]
    for part in CASES[name][1]:
        assert part in result["text"], result["text"]
    assert not result["heavy"]


def test_nothing_on_disk_is_lost(outcomes: dict[str, Any]) -> None:
    assert {k: outcomes["after"].get(k) for k in outcomes["before"]} == outcomes["before"]


def test_an_unwritable_folder(tmp_path: Path) -> None:
    from rlsuite.contracts.errors import UsageError
    from rlsuite.engine.plan.spec import Request, expand
    from rlsuite.engine.store.store import Store

    if os.geteuid() == 0:
        # root writes anywhere but into the kernel's own tree.
        target = Path("/proc/rlsuite-run")
    else:
        (tmp_path / "locked").mkdir(mode=0o500)
        target = tmp_path / "locked" / "run"
    cells = expand([Request("ppo", ["CartPole-v1"], [0], total_steps=10_000)])
    with pytest.raises(UsageError, match="cannot write"):
        Store(target).prepare(cells, [])
