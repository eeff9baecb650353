"""`rlsuite show` and `rlsuite list`, also with other people's packages installed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rlsuite.cli import listing, show
from rlsuite.cli.main import COMMANDS, main
from rlsuite.contracts import registry

PLUG = {
    "good/__init__.py": "",
    "good/config.py": "from rlsuite.agents.online.ppo.config import Config as Config\n",
    "good/agent.py": "from rlsuite.agents.online.ppo.agent import make as make\n",
    "good/rows.py": (
        "from rlsuite.contracts.registry import AgentRow\n"
        "ROWS = [AgentRow(name='good', module='good', summary='PPO again'),\n"
        "        AgentRow(name='ppo', module='good', summary='in the place of another')]\n"
    ),
    "gone/__init__.py": "import a_package_that_is_not_there\n",
    "torn/__init__.py": "",
    "torn/presets.toml": "[half\n",
    "torn/rows.py": (
        "from rlsuite.contracts.registry import AgentRow\n"
        "ROWS = [AgentRow(name='torn', module='torn', summary='its presets are no TOML')]\n"
    ),
    "odd/__init__.py": "ROWS = 3\n",
    "plugs-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: plugs\nVersion: 1.0\n",
    "plugs-1.0.dist-info/entry_points.txt": (
        "[rlsuite.agents]\ngood = good.rows:ROWS\ngone = gone:ROWS\ntorn = torn.rows:ROWS\n"
        "[rlsuite.envs]\nodd = odd:ROWS\n"
    ),
}


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: Any) -> Path:
    """A folder with packages of others: one without presets, three that cannot be used."""
    folder = tmp_path_factory.mktemp("plug")
    for name, text in PLUG.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def run(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """The command line where these packages are installed."""
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "rlsuite.cli.main", *argv], cwd=folder, capture_output=True,
        env={**os.environ, "PYTHONPATH": path}, text=True,
    )  # fmt: skip


def test_what_cannot_be_used_is_named_and_the_rest_is_listed(plugged: Path) -> None:
    for kind, there in (("presets", "purejaxrl"), ("agents", "good"), ("envs", "CartPole-v1")):
        done = run(plugged, "list", kind)
        assert done.returncode == 0, done.stderr
        assert there in done.stdout
        told = [line for line in done.stderr.splitlines() if "plug-in" in line]
        assert len(told) == 3, done.stderr
        assert "gone:ROWS is left out: ModuleNotFoundError: No module named" in told[0]
        assert "'ppo' of plug-in good.rows:ROWS is left out: taken" in told[1]
        assert "odd:ROWS is left out: TypeError" in told[2]
        assert "Traceback" not in done.stderr
    assert "the presets of torn cannot be read" in run(plugged, "list", "presets").stderr


def test_an_agent_without_presets_trains_and_has_none(plugged: Path) -> None:
    dry = run(
        plugged, "train", "good", "--env", "CartPole-v1", "--total-steps", "9999", "--dry-run"
    )
    assert dry.returncode == 0, dry.stderr
    asked = ("train", "good", "--env", "CartPole-v1", "--preset", "x")
    assert "good has no preset 'x': none is installed" in run(plugged, *asked).stderr
    missing = run(plugged, "train", "gone", "--env", "CartPole-v1", "--total-steps", "9999")
    assert missing.returncode == 2
    assert "no agent 'gone'" in missing.stderr
    assert "plug-in gone:ROWS is left out" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1


def test_names_stay_whole_at_eighty_columns() -> None:
    for make in listing.KINDS.values():
        asked = make()
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(listing.table(asked.headings, asked.rows, asked.names))
        lines = console.export_text().splitlines()
        assert max(map(len, lines)) <= 80
        shown = {word for line in lines for word in line.split("  ")}
        assert {row[0].strip() for row in asked.rows} <= {word.strip() for word in shown}


def test_a_listing_takes_words_and_speaks_json(capsys: Any) -> None:
    assert main(["list", "envs", "minatar", "discrete", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["environment"] for row in rows} == {
        row.id for row in registry.envs().values() if row.family == "minatar"
    }
    assert main(["list", "presets", "sac", "cleanrl", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all("sac" in str(row).lower() for row in rows)
    assert main(["list", "envs", "hoper"]) == 2
    assert "no envs with hoper: did you mean" in capsys.readouterr().err


def test_show_says_where_each_setting_comes_from(capsys: Any) -> None:
    assert main(["show", "purejaxrl", "--env", "CartPole-v1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["agent"] == "ppo"
    settings = told["settings"]
    assert settings["learning_rate"] == {"value": 2.5e-4, "origin": "preset purejaxrl"}
    assert settings["kl_coef"]["origin"] == "default"
    base, _ = registry.resolve_preset(registry.agent("ppo"), "purejaxrl", "CartPole-v1")
    assert {n for n, s in settings.items() if s["origin"] != "default"} == set(base)


def test_show_tells_the_set_of_an_environment(capsys: Any) -> None:
    row = registry.agent("prdc")
    name, preset = next((n, p) for n, p in row.load_presets().items() if p.get("dataset"))
    dataset, special = next((d, s) for d, s in preset["dataset"].items() if s)
    assert main(["show", f"prdc/{name}", "--dataset", dataset, "--json"]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    for field in special.keys() - {"source", "total_steps"}:
        assert settings[field]["origin"] == f"preset {name}, {dataset}"


def test_show_prints_paper_equations_settings_and_evidence(capsys: Any) -> None:
    assert main(["show", "prdc"]) == 0
    out = capsys.readouterr().out
    assert "2306.06569" in out
    assert "agent.actor_loss" in out
    assert "lambda = alpha / mean|Q1|" in out
    assert "offline_pendulum" in out
    assert "presets: " in out


def kept(folder: Path, scores: str, *summary: str) -> None:
    """The two tables of a report, of which the first may be from before runs named their agent."""
    folder.mkdir(parents=True)
    (folder / "scores.csv").write_text(scores, encoding="utf-8")
    heads = "env,series,seeds,iqm_last,low,high,steps"
    text = "\n".join([heads, *summary, ""])
    (folder / "summary.csv").write_text(text, encoding="utf-8")


def test_evidence_is_found_by_the_agent_of_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A series may be called anything, also what another agent is called."""
    runs = "agent,env,series\nsac,Hopper-v4,tuned by hand\nsac,Hopper-v4,ppo without clipping\n"
    summary = ("Hopper-v4,tuned by hand,3,2605.11,1900.0,3202.0,200000",
               "Hopper-v4,ppo without clipping,1,0.5,,,200000")  # fmt: skip
    kept(tmp_path / "a", runs, *summary)
    kept(tmp_path / "b", "env,series\n", "CartPole-v1,SAC fast,2,-152.5,-168.6,-142.4,1000")
    monkeypatch.setattr(show, "results_folder", lambda: tmp_path)
    assert [*show.evidence("sac", None)] == [
        ("a", "Hopper-v4", "tuned by hand", "3", "200,000", "2,605 [1,900, 3,202]"),
        ("a", "Hopper-v4", "ppo without clipping", "1", "200,000", "0.500"),
        ("b", "CartPole-v1", "SAC fast", "2", "1,000", "-152.5 [-168.6, -142.4]"),
    ]
    assert [*show.evidence("ppo", None)] == []
    assert [row[0] for row in show.evidence("sac", "CartPole-v1")] == ["b"]


def test_known_names_are_told_once(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    presets = {"aaa": {}, "aab": {}}
    monkeypatch.setattr(show, "_presets_of", lambda _: presets)
    assert main(["show", "??????"]) == 2
    told = capsys.readouterr().err.partition("known: ")[2].strip().split(", ")
    assert told[:3] == ["a2pr", "aaa", "aab"]
    assert len(told) == len(set(told))


def test_show_names_what_was_probably_meant(capsys: Any) -> None:
    assert main(["show", "purejax"]) == 2
    assert "did you mean 'purejaxrl'" in capsys.readouterr().err
    twice = [
        name for name in registry.agent("sac").load_presets()
        if name in registry.agent("td3").load_presets()
    ]  # fmt: skip
    assert main(["show", twice[0]]) == 2
    assert f"sac/{twice[0]}" in capsys.readouterr().err
    assert "show" in COMMANDS


@pytest.mark.parametrize("name", ["ppo", "odice"])
def test_equations_are_read_without_importing(name: str) -> None:
    found = dict(show.equations(registry.agent(name).module))
    assert found
    assert all(" = " in text for text in found.values())


def test_hints_know_the_words_of_other_suites(capsys: Any) -> None:
    asked = ["train", "ppo", "--env", "CartPole-v1", "--total-steps", "9999"]
    for words, hint in (
        (["--seed", "3"], "did you mean '--seeds'?"),
        (["--lr", "0.1"], "did you mean '--agent.learning-rate'?"),
        (["--agent.lr", "0.1"], "did you mean 'learning_rate'?"),
        (["--agent.clip-range", "0.1"], "did you mean 'clip_epsilon'?"),
        (["--wandb"], "rlsuite.load_results(DIR)"),
    ):
        assert main([*asked, *words]) == 2
        assert hint in capsys.readouterr().err
    assert main(["train", "dqn", "--env", "CartPole-v1", "--total-steps", "9999"]) == 2
    assert "'sac' learns discrete actions" in capsys.readouterr().err
    assert main(["train", "ppo", "--env", "ALE/Pong-v5", "--total-steps", "9999"]) == 2
    assert "'gym:ALE/Pong-v5'" in capsys.readouterr().err
