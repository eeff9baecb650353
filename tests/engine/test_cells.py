"""Cells: what is in the hash and what is not; budgets; expanding requests."""

from __future__ import annotations

import dataclasses

import pytest
from tiny import tiny_cells

from rlsuite.agents.online.ppo import Config
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.refs import DataRef
from rlsuite.engine.plan.cells import Cadence, Cell
from rlsuite.engine.plan.checks import executed_budget
from rlsuite.engine.plan.spec import Request, expand


def request(**changes: object) -> Request:
    base = {"agent": "ppo", "envs": ["CartPole-v1"], "seeds": [0], "total_steps": 10_000}
    return Request(**{**base, **changes})  # pyright: ignore[reportArgumentType]


def test_identity_is_what_decides_the_result() -> None:
    cell = tiny_cells()[0]
    same = [
        dataclasses.replace(cell, cadence=Cadence(1, 1, 1)),
        dataclasses.replace(cell, series="other", sweep={"gamma": 1}),
        Cell.from_mapping(cell.to_mapping()),
    ]
    other = [
        dataclasses.replace(cell, seed=1),
        dataclasses.replace(cell, iterations=13),
        dataclasses.replace(cell, env="Acrobot-v1"),
        dataclasses.replace(cell, config={**cell.config, "gamma": 0.5}),
        dataclasses.replace(cell, env_options={"max_steps_in_episode": 10}),
    ]
    assert {c.id for c in same} == {cell.id}
    assert len({c.id for c in [cell, *other]}) == 6


def test_a_changed_copy_has_an_id_of_its_own() -> None:
    cell = tiny_cells()[0].with_id("0123456789abcdef")
    assert cell.id == Cell.from_mapping(cell.to_mapping()).id == "0123456789abcdef"
    assert dataclasses.replace(cell, seed=1).id == tiny_cells(seeds=2)[1].id


@pytest.mark.parametrize(
    ("gamma", "rewards", "recorded"),
    [(0.99, "none", "c1bda45affc45bc0"), (0.9, "return-range", "f398beeb4e771307")],
)
def test_settings_removed_since_leave_cells_known(
    gamma: float, rewards: str, recorded: str
) -> None:
    """Cells of behaviour cloning on disk name settings that never had an effect."""
    ref = DataRef("dataset", "x", "0123456789abcdef", "x", "Pendulum-v1", "own", 60, (3,), (1,))
    config = registry.agent("bc").load_config().from_mapping({"hidden": [8]}).to_mapping()
    old = {"gamma": gamma, "tau": 0.005, "critic_hidden": [], "critic_layer_norm": False}
    both = {**config, **old, "rewards": rewards}
    cell = Cell("bc", "Pendulum-v1", both, 0, 1, 100, data=ref)
    assert cell.first_id == recorded
    assert cell.load_config().to_mapping() == config
    now = dataclasses.replace(cell, config=config)
    assert (now.first_id == recorded) == (now.digest == cell.digest) == (gamma == 0.99)
    with pytest.raises(UsageError, match=r"no setting 'agent\.gamma'"):
        registry.agent("bc").load_config().from_mapping(both)


def test_groups_differ_in_static_fields_only() -> None:
    traced = expand([request(sweep={"learning_rate": [1e-3, 1e-4], "entropy_coef": [0.0, 0.1]})])
    static = expand([request(sweep={"num_envs": [4, 8]})])
    assert len(traced) == 4
    assert len({c.group for c in traced}) == 1
    assert len({c.group for c in static}) == 2


def test_budgets_round_down() -> None:
    config = Config(num_envs=4, num_steps=128)
    assert executed_budget(config, 500_000) == (976, 499_712)
    assert executed_budget(config, 512, exact=True) == (1, 512)
    with pytest.raises(UsageError, match="below one iteration of 512"):
        executed_budget(config, 511)
    with pytest.raises(UsageError, match="try 512 or 1024"):
        executed_budget(config, 600, exact=True)


def test_product_and_zip() -> None:
    cells = expand([
        request(
            sweep={"gamma": [0.9, 0.99]},
            zip={"num_envs": [4, 8], "num_steps": [128, 64]},
            seeds=[0, 1, 2],
        )
    ])  # fmt: skip
    assert len(cells) == 2 * 2 * 3
    assert {(c.config["num_envs"], c.config["num_steps"]) for c in cells} == {(4, 128), (8, 64)}
    assert {c.series for c in cells} == {
        f"ppo, gamma {g}, num envs {n}, num steps {t}"
        for g in (0.9, 0.99)
        for n, t in ((4, 128), (8, 64))
    }


def test_the_same_cell_is_asked_once() -> None:
    assert len(expand([request(), request()])) == 1


def test_precedence_is_defaults_preset_settings_sweep() -> None:
    asked = request(preset="purejaxrl", settings={"gamma": 0.5}, sweep={"gae_lambda": [0.1]})
    config = expand([asked])[0].config
    assert (config["gamma"], config["gae_lambda"], config["num_envs"]) == (0.5, 0.1, 4)
