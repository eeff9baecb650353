"""`rlsuite bench`: mistakes are one line, absent rivals are one line."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from offline_tools import pendulum_like

from rlsuite.bench import contenders
from rlsuite.bench.workload import Workload
from rlsuite.cli import bench, common, main
from rlsuite.cli.bench_options import OPTIONS
from rlsuite.envs.datasets import npz


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
        (["updates", "--layers", "ours,flex"], "did you mean 'flax'"),
        (["updates", "--layers", "ours", "--workers", "2"], "leave --workers out"),
        (["updates", "--layers", "ours,ours"], "'ours' is there twice"),
        (["ppo", "--layers", "ours"], "no --layers, it is of bench updates"),
        (["offline", "--rivals", "d3rlp", "--rival-python", "x"], "did you mean 'd3rlpy'"),
        (["offline", "--rivals", "torch"], "go together"),
        (["replay", "--rivals", "sbxx", "--rival-python", "x"], "did you mean 'sbx'"),
        (["offline", "--dataset", "pendulum-reply"], "did you mean 'pendulum-replay'"),
        (["updates", "--agent", "prdc", "--updates", "0"], "--updates must be at least 1"),
        (["neighbours", "--updates", "0"], "--updates must be at least 1"),
        (["updates", "--updates", "many"], "--updates: must be a whole number, not 'many'"),
        (["offline", "--agent", "prdc"], "no --agent, it is of bench updates"),
        (["offline", "--rows=5"], "no --rows, it is of bench neighbours"),
        (["start", "--rivals", "x"], "it is of bench ppo and replay and offline"),
        (["ppo", "--out", "{dir}"], "is a folder: name a JSON file"),
        (["ppo", "--out", "{dir}/thesis.json"], "is there already and no result"),
        (["offline", "--dataset", "{dir}/mute.npz"], "does not say its environment"),
        (["offline", "--dataset-dir", "{dir}/none"], "is no folder"),
        (["neighbours", "--states", "0"], "--states must be at least 1"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys, tmp_path):
    (tmp_path / "thesis.json").write_text('{"dear": "to somebody"}', encoding="utf-8")
    rec = pendulum_like()
    npz.write(
        tmp_path / "mute.npz",
        dataclasses.replace(rec, header=dataclasses.replace(rec.header, env="")),
    )
    assert main.main(["bench", *(a.replace("{dir}", str(tmp_path)) for a in arguments)]) == 2
    assert (tmp_path / "thesis.json").read_text(encoding="utf-8") == '{"dear": "to somebody"}'
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_benchs_own_result_is_replaced(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "bench_start", lambda *_: {"seconds": 1.0})
    out = tmp_path / "bench.json"
    for _ in range(2):
        assert main.main(["bench", "start", "--out", str(out)]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["seconds"] == 1.0


def test_every_option_belongs_somewhere():
    owned = {flag for flags in OPTIONS.values() for flag in flags}
    general = {"-h", "--help", "--repeats", "--workers", "--out"}
    assert set(bench.build_parser().flags()) == owned | general


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
    python.write_text(
        "#!/bin/sh\necho Traceback >&2\necho no such module >&2\nexit 1\n", encoding="utf-8"
    )
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
