"""Released together, watched for hangs, ended in any case."""

import os
import sys
from pathlib import Path

import pytest

from rlsuite.bench import measure
from rlsuite.bench.contenders import Contender
from rlsuite.bench.crew import Crew, Died, Hung

FAKE = str(Path(__file__).with_name("fake_child.py"))


def crew(*arguments: str, hang_seconds: float = 20.0) -> Crew:
    commands = [[sys.executable, FAKE, str(i), *arguments] for i in range(2)]
    return Crew(commands, dict(os.environ), hang_seconds=hang_seconds)


def test_all_are_ready_and_answer_in_their_own_order():
    with crew("print") as both:
        assert [fact["compile_seconds"] for fact in both.ready()] == [0.5, 0.5]
        seconds, values = both.release("number")
        assert values == [0.0, 1.0]
        assert 0.0 < seconds < 20.0


def test_one_that_uses_no_cpu_counts_as_hung():
    with crew(hang_seconds=1.0) as both:
        both.ready()
        with pytest.raises(Hung):
            both.release("hang")


def test_one_that_dies_says_its_last_line():
    with crew() as both:
        both.ready()
        with pytest.raises(Died, match="out of luck"):
            both.release("die")


def test_leaving_ends_the_processes():
    with crew() as both:
        both.ready()
    assert all(child.popen.poll() is not None for child in both.children)


def test_a_hung_rival_is_started_again_and_then_given_up(monkeypatch):
    monkeypatch.setattr(measure, "RESTARTS", 1)
    monkeypatch.setattr(measure, "Crew", lambda commands, env: Crew(commands, env, 0.5))
    monkeypatch.setattr(Crew, "release", lambda self, _: (_ for _ in ()).throw(Hung))
    said = []
    contender = Contender("rejax", "documented", [[sys.executable, FAKE, "0"]], dict(os.environ))
    entrant = measure.Entrant(contender, said.append)
    entrant.run()
    assert entrant.outcome.failure == "hung"
    assert entrant.outcome.hangs == 2
    assert entrant.outcome.seconds == [None]
    assert len(said) == 2


def test_a_rival_that_dies_keeps_its_reason():
    contender = Contender("rejax", "per-core", [["false"]], dict(os.environ))
    entrant = measure.Entrant(contender, lambda _: None)
    entrant.start()
    entrant.run()
    assert entrant.outcome.failure == "died: exit code 1"
    assert entrant.outcome.seconds == [None]
