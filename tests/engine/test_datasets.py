"""What a worker keeps of loaded data: by content and by the environment it was loaded for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from gymnasium import spaces

from rlsuite.contracts.errors import UsageError
from rlsuite.engine.run import inputs
from rlsuite.engine.run.inputs import Inputs, Unfit

BOX = spaces.Box(-1.0, 1.0, (2,))


def cell(group: str, content: str = "h", kind: str = "dataset", **options: Any) -> Any:
    """As much of a cell as is asked."""
    data = SimpleNamespace(kind=kind, hash=content, name="some")
    return SimpleNamespace(group=group, env="Task-v0", env_options=options, data=data)


def agent(limit: int = 200, box: Any = BOX) -> Any:
    """As much of an agent as is asked; it derives nothing."""
    env = SimpleNamespace(id="Task-v0", time_limit=limit, observation_space=BOX, action_space=box)
    return SimpleNamespace(env=env, prepare=lambda data: data)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was loaded, in order; data is what it was loaded from and for."""
    done: list[Any] = []

    def load(ref: Any, env: Any) -> Any:
        done.append((ref.kind, ref.hash, env.time_limit, str(env.action_space)))
        if env.time_limit == 1:
            raise UsageError("a step is no episode")
        return done[-1]

    monkeypatch.setattr(inputs, "load", load)
    return done


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((cell("a", max_steps=200), agent(200)), (cell("b", max_steps=100), agent(100))),
        ((cell("a"), agent()), (cell("b", high=2.0), agent(box=spaces.Box(-2.0, 2.0, (2,))))),
        ((cell("a"), agent()), (cell("b", content="i"), agent())),
        ((cell("a"), agent()), (cell("b", kind="rule"), agent())),
        # Options that change what loading reads of nothing else.
        ((cell("a", frame_skip=1), agent()), (cell("b", frame_skip=2), agent())),
    ],
)  # fmt: skip
def test_no_run_gets_what_was_loaded_for_another(first: Any, second: Any, loads: Any) -> None:
    kept = Inputs()
    for run in (first, second, first):
        got, env = kept.of(*run).data, run[1].env
        ref = run[0].data
        assert got == (ref.kind, ref.hash, env.time_limit, str(env.action_space))
    assert len(loads) == 2


def test_runs_of_one_environment_share_what_is_loaded(loads: Any) -> None:
    kept = Inputs()
    for group in ("a", "b", "a"):
        first = kept.of(cell(group, max_steps=200), agent()).data
        assert first is kept.of(cell(group, max_steps=200), agent()).data
    assert len(loads) == 1


def test_five_data_sets_in_turn_are_each_their_own(loads: Any) -> None:
    kept = Inputs()
    for turn in range(10):
        name = f"h{turn % 5}"
        assert kept.of(cell(name, content=name), agent()).data[1] == name
        assert len(kept.prepared) == 1
    # Of what is small nothing is loaded twice.
    assert len(loads) == 5


def test_data_unfit_for_one_environment_may_be_fit_for_another(loads: Any) -> None:
    kept = Inputs()
    with pytest.raises(Unfit, match="no episode"):
        kept.of(cell("a", max_steps=1), agent(1))
    with pytest.raises(Unfit, match="no episode"):
        kept.check(cell("b", max_steps=1))
    kept.check(cell("c", max_steps=2))
    assert kept.of(cell("c", max_steps=2), agent(2)).data
    assert len(loads) == 2
