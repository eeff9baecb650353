"""What `--help` and `list` say."""

from __future__ import annotations

import pytest

from rlsuite.cli import main
from rlsuite.cli.train import named_agent
from rlsuite.contracts import registry


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command prints; `--help` leaves by SystemExit."""
    if {"--help", "-h"} & {*arguments[1:]}:
        with pytest.raises(SystemExit) as leaving:
            main.main(arguments)
        assert leaving.value.code == 0
    else:
        assert main.main(arguments) == 0
    return capsys.readouterr().out


def test_the_first_page_names_every_list_and_dataset_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = told(capsys, "--help")
    assert "agents, datasets, envs, experiments, presets" in page
    assert "inspect, convert, collect and mix" in page


@pytest.mark.parametrize(
    "arguments",
    [
        ["prdc", "--help"],
        ["--dataset", "pendulum-replay", "prdc", "--help"],
        ["--dataset=pendulum-replay", "--dry-run", "prdc", "-h"],
        ["--agent.alpha", "2", "prdc", "--help"],
        ["--agent.alpha=2", "prdc", "--help"],
    ],
)
def test_an_agents_settings_are_listed_wherever_it_stands(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    page = told(capsys, "train", *arguments)
    assert "settings of prdc" in page
    assert "rlsuite train prdc --dataset pendulum-replay --total-steps" in page


def test_an_options_value_is_no_agent() -> None:
    assert named_agent(["--preset", "bc", "td3", "--env", "sac"]) == "td3"
    assert named_agent(["--preset"]) is None
    assert named_agent(["nothing"]) is None


def test_where_datasets_are_named_in_a_grid(capsys: pytest.CaptureFixture[str]) -> None:
    [line] = [line for line in told(capsys, "grid", "--help").splitlines() if "offline" in line]
    assert line.lstrip().startswith("env = ")


@pytest.mark.parametrize("kind", ["datasets", "envs", "agents", "experiments"])
def test_names_stay_whole_in_a_pipe(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    words = {line.split()[0] for line in told(capsys, "list", kind).splitlines() if line.strip()}
    assert getattr(registry, kind)().keys() <= words


def test_agents_say_what_they_learn_from(capsys: pytest.CaptureFixture[str]) -> None:
    lines = {line.split()[0]: line for line in told(capsys, "list", "agents").splitlines()}
    assert "--dataset" in lines["prdc"]
    assert "--env" in lines["ppo"]
