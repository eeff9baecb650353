"""The tool that shows that a change moved no bit (`bits.py`) sees every agent and every bit."""

from __future__ import annotations

import json
from typing import Literal, get_args, get_origin

import bits
import pytest

from rlsuite.contracts import config, registry


def test_every_agent_preset_and_variant_has_a_run():
    cases = bits.cases()
    assert {case.row.name for case in cases} == set(registry.agents())
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    programs = {(case.row.name, case.config.static()) for case in cases}
    for row in registry.agents().values():
        for name in row.load_presets():
            settings, _ = bits.of_preset(row, name)
            assert (row.name, bits.toy(row, settings).static()) in programs
    # A variant whose program another run has already would be left out, and say nothing.
    listed = [bits.variant_name(agent, s) for agent, many in bits.VARIANTS.items() for s in many]
    assert [name for name in listed if name not in names] == []


def test_every_choice_that_one_agent_alone_has_is_run():
    cases = bits.cases()
    for row in registry.agents().values():
        cls = row.load_config()
        shared = {name for base in cls.__mro__[1:] for name in getattr(base, "__annotations__", {})}
        for name in set(cls.__annotations__) - shared - INITIALISERS:
            kind = config.fields(cls)[name].type
            choices = {False, True} if kind is bool else set()
            choices |= set(get_args(kind)) if get_origin(kind) is Literal else set()
            run = {getattr(case.config, name) for case in cases if case.row is row}
            assert choices <= run, f"{row.name}: {name}"


# Draws of the first weights take no path of their own through an update.
INITIALISERS = {"actor_init"}


def test_a_seed_gives_its_digests_again_and_another_seed_others():
    case = next(case for case in bits.cases() if case.name == "bc")
    first = bits.run(case, iterations=2)
    assert bits.run(case, iterations=2) == first
    other = bits.run(case, iterations=2, seed=1)
    assert other.keys() == first.keys()
    (line,) = bits.differences({"bc": first}, {"bc": other})
    assert "bc:" in line
    assert "['acts']" in line


def test_the_command_compares_with_a_file(tmp_path, monkeypatch, capsys):
    made = {"bc": {"a": "1", "b": "2"}, "td3": {"a": "3"}}
    monkeypatch.setattr(bits, "cases", lambda: [c for c in REAL() if c.name in made])
    monkeypatch.setattr(bits, "run", lambda case: made[case.name])
    kept = tmp_path / "kept.json"
    assert bits.main(["--out", str(kept)]) == 0
    assert json.loads(kept.read_text(encoding="utf-8")) == made
    assert bits.main(["--compare", str(kept)]) == 0
    assert "2 runs, every bit the same" in capsys.readouterr().out
    made["bc"] = {"a": "1", "b": "9"}
    assert bits.main(["--compare", str(kept)]) == 1
    assert "bc: 1 of 2 leaves differ: b" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --out FILE to keep the digests, or --compare FILE"),
        (["--only", "bc"], "give --out FILE"),
        (["--out", "x.json", "--only", "dqn"], "--only 'dqn': no run's name starts so"),
    ],
)
def test_a_comparison_with_nothing_is_refused_before_anything_runs(
    arguments, said, monkeypatch, capsys
):
    monkeypatch.setattr(bits, "run", lambda case: pytest.fail(f"{case.name} was run"))
    with pytest.raises(SystemExit) as ended:
        bits.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


REAL = bits.cases
