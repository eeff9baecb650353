"""`rlsuite dataset`: mistakes in one line before jax is loaded, what is said, and Ctrl-C."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from offline_tools import pendulum_like, tiny

from rlsuite.cli import main as cli
from rlsuite.envs.datasets import collect, convert, formats, npz, source

CONVERT = ["dataset", "convert", "{dir}/tiny.npz", "{dir}/new.npz"]
COLLECT = ["dataset", "collect", "{dir}/new", "--env", "Pendulum-v1", "--steps", "10"]
INSPECT = ["dataset", "inspect", "{dir}/tiny.npz", "--figures"]

# name -> (arguments, what the line must contain). {dir} is a folder of prepared files.
CASES: dict[str, tuple[list[str], list[str]]] = {
    "other environment": (
        [*CONVERT, "--env", "CartPole-v1"], ["recorded on Pendulum-v1, not on CartPole-v1"]
    ),
    "other sizes": (
        ["dataset", "convert", "{dir}/unsaid.npz", "{dir}/new.npz", "--env", "CartPole-v1"],
        ["unsaid does not fit CartPole-v1", "(3,)", "(4,)", "Discrete(2)"],
    ),
    "clip without an environment": (
        ["dataset", "convert", "{dir}/unsaid.npz", "{dir}/new.npz", "--clip-actions"],
        ["give --env"],
    ),
    "collect into a file": (
        ["dataset", "collect", "{dir}/x.hdf5", *COLLECT[3:]], ["x.hdf5 ends in .hdf5", "convert"]
    ),
    "collect over something": (
        ["dataset", "collect", "{dir}/held", *COLLECT[3:]], ["exists already"]
    ),
    "collect with a large seed": ([*COLLECT, "--seed", "9" * 20], ["--seed", "2**31"]),
    "collect with a negative seed": ([*COLLECT, "--seed", "-1"], ["--seed", "at least 0"]),
    "mix with a negative seed": (
        ["dataset", "mix", "{dir}/new.npz", "{dir}/tiny.npz", "--seed", "-1"],
        ["--seed", "at least 0", "-1"],
    ),
    "mix of families": (
        ["dataset", "mix", "{dir}/new.npz", "{dir}/tiny.npz", "{dir}/d4rl.npz"],
        ["d4rl is d4rl data and tiny own", "do not mix"],
    ),
    "figures into a file": ([*INSPECT, "{dir}/held/file"], ["held/file is a file, not a folder"]),
    "figures below a file": ([*INSPECT, "{dir}/held/file/x"], ["--figures", "is a file"]),
}  # fmt: skip

DRIVER = """
import contextlib, io, json, sys
from rlsuite.cli.main import main
out = {}
for name, argv in json.load(sys.stdin).items():
    text, printed = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(text), contextlib.redirect_stdout(printed):
        try:
            code = main(argv)
        except Exception as error:
            code, _ = -1, text.write(repr(error))
    out[name] = [code, text.getvalue(), printed.getvalue(), "jax" in sys.modules]
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each case printed, and what all of them left."""
    folder = tmp_path_factory.mktemp("datasets")
    tiny(folder)
    rec = pendulum_like()
    for name, said in (("unsaid", {"env": "", "score": None}), ("d4rl", {"family": "d4rl"})):
        header = dataclasses.replace(rec.header, **said)
        npz.write(folder / f"{name}.npz", dataclasses.replace(rec, header=header))
    (folder / "held").mkdir()
    (folder / "held" / "file").touch()
    argv = {n: [a.replace("{dir}", str(folder)) for a in args] for n, (args, _) in CASES.items()}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], input=json.dumps(argv), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {"cases": json.loads(done.stdout), "left": {p.name for p in folder.iterdir()}}


@pytest.mark.parametrize("name", CASES)
def test_one_line_before_anything_is_read_or_built(outcomes: dict[str, Any], name: str) -> None:
    code, said, printed, heavy = outcomes["cases"][name]
    assert (code, printed, heavy) == (2, "", False), said
    assert said.startswith("rlsuite: ")
    assert said.count("\n") == 1, said
    for part in CASES[name][1]:
        assert part in said


def test_nothing_was_written(outcomes: dict[str, Any]) -> None:
    assert outcomes["left"] == {"tiny.npz", "unsaid.npz", "d4rl.npz", "held"}


def test_figures_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as somebody who may write anywhere."""
    monkeypatch.setattr("os.access", lambda *_: False)
    argv = ["dataset", "inspect", str(tiny(tmp_path)), "--figures", str(tmp_path / "figures")]
    assert cli.main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "cannot write to --figures" in printed.err
    assert "permission denied" in printed.err
    assert not (tmp_path / "figures").exists()


SCORE = (-1240.0, -150.0)


def test_env_brings_the_reference_scores(tmp_path: Path) -> None:
    header = dataclasses.replace(pendulum_like().header, env="", score=None)
    npz.write(tmp_path / "a.npz", dataclasses.replace(pendulum_like(), header=header))
    convert.convert(str(tmp_path / "a.npz"), tmp_path / "b.npz", env="Pendulum-v1")
    ref = source.resolve(str(tmp_path / "b.npz"))
    written = formats.read_header(tmp_path / "b.npz")
    assert (ref.env, ref.score, written.score) == ("Pendulum-v1", SCORE, SCORE)
    convert.convert(str(tiny(tmp_path)), tmp_path / "c.npz", env="Pendulum-v1")
    assert source.resolve(str(tmp_path / "c.npz")).score == (-1000.0, 0.0)


def test_ctrl_c_says_that_the_same_command_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And steps that do not divide are rounded up, which is said."""
    monkeypatch.setattr(collect, "CHUNK", 2)
    # What a process that only records sets for itself stays out of the tests'.
    monkeypatch.setattr("rlsuite.cli.dataset.worker_environment", lambda _: {})
    whole = collect.collect

    def stopped(what: Any, target: Path, on_steps: Any) -> int:
        def count(steps: int) -> None:
            on_steps(steps)
            raise KeyboardInterrupt

        return whole(what, target, count)

    argv = ["dataset", "collect", str(tmp_path / "new"), "--env", "CartPole-v1", "--steps", "10"]
    with monkeypatch.context() as patch:
        patch.setattr("rlsuite.envs.datasets.tools.collect", stopped)
        assert cli.main([*argv, "--num-envs", "4"]) == 130
    printed = capsys.readouterr()
    assert printed.err == "rlsuite: stopped at 8 steps: the same command goes on\n"
    assert "10 steps rounded up to 12, 4 at a time" in printed.out
    assert cli.main([*argv, "--num-envs", "4"]) == 0
    assert "12 steps of CartPole-v1" in capsys.readouterr().out
    assert source.resolve(str(tmp_path / "new")).rows == 12


def test_each_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for command in ("inspect", "convert", "collect", "mix"):
        with pytest.raises(SystemExit):
            cli.main(["dataset", command, "--help"])
        said[command] = capsys.readouterr().out
        assert f"example:\n  rlsuite dataset {command}" in said[command]
    does = {text.split("\n\n")[1] for text in said.values()}
    assert len(does) == 4
    for key in npz.NEEDED:
        assert f"\n  {key} " in said["convert"]


def test_a_file_of_the_keys_that_help_names_can_be_learned_from(tmp_path: Path) -> None:
    obs = np.zeros((9, 3))
    zeros = np.zeros(9)
    np.savez(
        tmp_path / "mine.npz", observations=obs, actions=np.zeros((9, 1)), rewards=zeros,
        terminals=zeros, timeouts=zeros, next_observations=obs, env="Pendulum-v1", score=[-9, 0],
    )  # fmt: skip
    ref = source.resolve(str(tmp_path / "mine.npz"))
    assert (ref.env, ref.family, ref.score, ref.rows) == ("Pendulum-v1", "own", (-9, 0), 9)
