"""`rlsuite bench`: mistakes are one line, absent rivals are one line."""

import sys
from pathlib import Path

import pytest

from rlsuite.bench import contenders
from rlsuite.bench.workload import Workload
from rlsuite.cli import bench, common, main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pppo"], "did you mean 'ppo'"),
        (["ppo", "--repeats", "0"], "--repeats must be at least 1"),
        (["ppo", "--seeds", "0"], "--seeds must be at least 1"),
        (["ppo", "--total-steps", "100"], "below one iteration"),
        (["ppo", "--rivals", "rejacks", "--rival-python", "x"], "did you mean 'rejax'"),
        (["ppo", "--rivals", "purejaxrl=/nowhere", "--rival-python", "x"], "is no checkout"),
        (["ppo", "--rivals", "rejax"], "go together"),
        (["ppo", "--rivals", "rejax", "--rival-python", "/nowhere"], "No such file"),
        (["ppo", "--ways", "sideways"], "no way 'sideways'"),
        (["env", "--envs", "CartPole-v9"], "did you mean"),
        (["ppo", "--out", "/nowhere/x.json"], "there is no folder"),
        (["updates", "--agent", "td4"], "did you mean 'td3'"),
        (["offline", "--rivals", "d3rlp", "--rival-python", "x"], "did you mean 'd3rlpy'"),
        (["offline", "--rivals", "torch"], "go together"),
        (["replay", "--rivals", "sbxx", "--rival-python", "x"], "did you mean 'sbx'"),
        (["offline", "--dataset", "pendulum-reply"], "did you mean 'pendulum-replay'"),
        (["neighbours", "--states", "0"], "--states must be at least 1"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys):
    assert main.main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as leaving:
        bench.main(["--help"])
    assert leaving.value.code == 0
    assert "rlsuite bench ppo --rival-python" in capsys.readouterr().out


def test_an_absent_rival_is_one_line_and_left_out(monkeypatch, capsys):
    monkeypatch.setattr(contenders, "missing", lambda python, name: "No module named 'rejax'")
    args = bench.build_parser().parse_args(["ppo", "--rivals", "rejax", "--rival-python", "x"])
    assert bench.find_rivals(args, Workload(), common.make_console()) == []
    assert "rejax is left out: No module named 'rejax'" in capsys.readouterr().out


def test_why_a_rival_is_missing(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho Traceback >&2\necho no such module >&2\nexit 1\n")
    python.chmod(0o755)
    assert contenders.missing(python, "rejax") == "no such module"


def test_each_way_gets_its_processes_and_environment(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--mine")
    work = Workload(seeds=4, workers=2)
    both = contenders.rivals(work, Path(sys.executable), {"rejax": ""}, contenders.WAYS)
    documented, per_core = both
    assert len(documented.commands) == 1
    assert "XLA_FLAGS" not in documented.env
    assert len(per_core.commands) == 2
    assert per_core.env["PJRT_NPROC"] == "1"
