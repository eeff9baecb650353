"""The suite as a library: what its docstrings show is done here."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import contract_page
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from driving import drive
from tiny import TINY, assert_close, same_bits, tiny_cells

import rlsuite
from rlsuite import training
from rlsuite.contracts.config import check_seeds
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.run import tree
from rlsuite.engine.run.program import Program
from rlsuite.training import Moment, PerSeed, Result

STEPS = 4 * 8
SMALL: dict[str, Any] = {"total_steps": 6 * STEPS, "evaluations": 2, "episodes": 2, "logs": 3}


@cache
def agent(**settings: Any) -> Any:
    """A tiny PPO whose learning rate does not depend on the length of its run."""
    chosen = {**TINY, "anneal_learning_rate": False, **settings}
    return rlsuite.make("ppo", "CartPole-v1", **chosen)


@cache
def trained(seeds: int = 2) -> Result:
    """What most tests look at."""
    return rlsuite.train(agent(), seeds=seeds, **SMALL)


def same(a: Any, b: Any) -> bool:
    """Whether two trees agree in every bit."""
    plain = [x if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else
             jax.random.key_data(x) for each in (a, b) for x in jax.tree.leaves(each)]  # fmt: skip
    half = len(plain) // 2
    pairs = zip(plain[:half], plain[half:], strict=True)
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in pairs)


def test_tab_completion_shows_what_there_is() -> None:
    wanted = {"train", "load", "save", "make", "make_env", "load_results", "context"}
    assert wanted <= set(dir(rlsuite))
    assert all(callable(getattr(rlsuite, name)) for name in wanted)


# --- make ---------------------------------------------------------------------------------------


def test_make_lays_settings_over_a_preset() -> None:
    made = rlsuite.make("ppo", "CartPole-v1", preset="purejaxrl", learning_rate=1e-3)
    plain = rlsuite.make("ppo", rlsuite.make_env("CartPole-v1"), preset="purejaxrl")
    assert made.config == dataclasses.replace(plain.config, learning_rate=1e-3)  # pyright: ignore
    assert plain.config.hyper()["learning_rate"] != 1e-3


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("ppo", "CartPole-v1"), {"lr": 1e-3}, "lr': did you mean 'learning_rate'"),
        (("dqn", "CartPole-v1"), {}, "no agent 'dqn': .*'sac'"),
        (("ppo", "ALE/Pong-v5"), {}, "'gym:ALE/Pong-v5'"),
        (("td3", "CartPole-v1"), {}, "td3 needs box actions but CartPole-v1"),
        (("ppo", "CartPole-v1"), {"network": "cnn"}, "needs image observations"),
        (("ppo", "CartPole-v1", "purejax"), {}, "did you mean 'purejaxrl'"),
    ],
)
def test_make_says_what_was_meant(arguments: Any, settings: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rlsuite.make(*arguments, **settings)


def test_make_takes_an_environment_of_ones_own() -> None:
    made = rlsuite.make("ppo", contract_page.PointEnv(), **TINY)
    assert made.env.id == "Point-v0"
    with pytest.raises(UsageError, match="td3 needs box actions but Point-v0 has Discrete"):
        rlsuite.make("td3", contract_page.PointEnv())


# --- train --------------------------------------------------------------------------------------


def test_a_result_has_the_curves_of_all_metrics() -> None:
    result = trained()
    assert result.steps.tolist() == [3 * STEPS, 6 * STEPS]
    assert result.returns.shape == (2, 2)
    assert result.status == ["done", "done"]
    steps, values = result.curve("loss/value")
    assert steps.tolist() == [2 * STEPS, 4 * STEPS, 6 * STEPS]
    assert values.shape == (2, 3)
    assert np.isfinite(values).all()
    assert result.metrics[1]["loss/value"] == pytest.approx(values[1].mean())
    assert np.array_equal(result.curve("eval/return")[1].astype(np.float32), result.returns)
    with pytest.raises(UsageError, match="did you mean 'loss/value'"):
        result.curve("loss/valu")


def test_a_result_is_a_frame_too() -> None:
    frame = trained().to_polars()
    assert frame.columns == ["seed", "metric", "step", "seconds", "value"]
    chosen = frame.filter(pl.col("metric") == "eval/return", pl.col("seed") == 1)
    assert chosen["value"].cast(pl.Float32).to_list() == trained().returns[1].tolist()


def test_seeds_side_by_side_are_the_same_seeds() -> None:
    """The tests' process runs under the flags that make it safe; see tests/conftest.py."""
    wide = rlsuite.train(agent(), seeds=3, width=2, **SMALL)
    assert wide.returns.shape == (3, 2)
    # Alone to rounding (another width is another program), in other company in every bit.
    assert_close(list(wide.policies[:2]), list(trained().policies), rtol=1e-4, atol=1e-6)
    others = rlsuite.train(agent(), seeds=[2, 0], width=2, **SMALL)
    assert same(list(others.policies), [wide.policies[2], wide.policies[0]])
    assert np.array_equal(others.returns, wide.returns[[2, 0]])


def test_several_at_once_are_refused_where_they_could_hang(monkeypatch: Any) -> None:
    monkeypatch.delenv("PJRT_NPROC")
    with pytest.raises(UsageError, match=r"can hang on a CPU.*workers="):
        rlsuite.train(agent(), seeds=2, width=2, **SMALL)


def test_the_width_on_an_accelerator_is_what_its_memory_holds(monkeypatch: Any) -> None:
    ctx = rlsuite.context(agent(), iterations=1)
    one = training.tree_bytes(jax.eval_shape(agent().init, jax.random.key(0), ctx))

    class Device:
        def memory_stats(self) -> dict[str, int]:
            return {"bytes_limit": 100 * one, "bytes_in_use": 0}

    monkeypatch.setattr(jax, "devices", lambda: [Device()])
    assert training.fitting_width(agent(), ctx, 4) == 4
    # The states of forty are kept to the end, half of what there is to take.
    wide = training.fitting_width(agent(), ctx, 40)
    assert wide & (wide - 1) == 0
    assert 1 < wide < 40
    assert training.fitting_width(agent(), ctx, 10_000) == 1


def test_a_result_goes_on_as_if_it_had_not_stopped() -> None:
    """Optimiser, normaliser, environments, keys and counters: 6 and 6 iterations are 12."""
    first = trained()
    more = rlsuite.train(agent(), warm=first, **SMALL)
    whole = rlsuite.train(agent(), seeds=2, **{**SMALL, "total_steps": 12 * STEPS})
    assert same(list(more.policies), list(whole.policies))
    assert more.steps.tolist() == [9 * STEPS, 12 * STEPS]
    assert more.iterations == [12, 12]
    # The earlier result has not been consumed.
    assert same(rlsuite.train(agent(), warm=first, **SMALL).states[0], more.states[0])


def test_training_again_compiles_nothing() -> None:
    trained()
    programs = training._PROGRAMS
    program = next(p for known, _, p in programs if known is agent() and p.width == 1)
    before = program.compile_seconds
    rlsuite.train(agent(), seeds=1, **SMALL)
    assert program.compile_seconds == before > 0


def test_a_policy_starts_a_run_anew() -> None:
    policy = trained().policies[0]
    warm = rlsuite.train(agent(), seeds=1, warm=policy, **{**SMALL, "total_steps": STEPS})
    assert warm.iterations == [1]
    moved = jax.tree.map(lambda a, b: float(abs(a - b).max()), warm.policies[0].params,
                         policy.params)  # fmt: skip
    assert 0 < max(jax.tree.leaves(moved)) < 0.01


def test_a_callback_hears_everything_and_stops_a_seed() -> None:
    heard: list[Moment] = []

    def listen(moment: Moment) -> bool:
        heard.append(moment)
        return moment.seeds == (3,) and "eval/return" in moment.values

    result = rlsuite.train(agent(), seeds=[3, 5], callback=listen, **SMALL)
    assert result.status == ["stopped", "done"]
    assert [m.step // STEPS for m in heard] == [2, 3, 2, 3, 4, 6]
    assert np.isnan(result.returns[0, 1])
    assert np.isfinite(result.returns[1]).all()


def test_a_metric_that_is_no_number_ends_its_seed() -> None:
    broken = rlsuite.train(agent(learning_rate=1e30), seeds=1, **SMALL)
    assert broken.status == ["nan"]
    assert np.isnan(broken.curve("loss/policy")[1]).any()


def test_progress_is_told_where_it_is_asked_for(capsys: Any) -> None:
    rlsuite.train(agent(), seeds=1, progress=True, **SMALL)
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 4
    assert told[-1].startswith("100% seed 0 at 192 env steps, eval/return")
    rlsuite.train(agent(), seeds=1, **SMALL)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"seeds": [2**31]}, "below 2..31"),
        ({}, "seeds= is missing"),
        ({"seeds": 1, "width": 0}, "width must be 'auto' or at least 1"),
        ({"seeds": 1, "total_steps": 3}, "below one iteration"),
        ({"seeds": 1, "out": "runs/x"}, "give workers="),
        ({"seeds": 1, "workers": 1, "width": 2}, "leave them out"),
    ],
)
def test_mistakes_are_named_before_anything_is_compiled(options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rlsuite.train(agent(), **{**SMALL, **options})


def test_seeds_of_numpy_are_numbers() -> None:
    assert check_seeds(np.int64(2)) == [0, 1]
    assert check_seeds(np.array([4, 7])) == [4, 7]


def test_worker_processes_train_what_make_made(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = rlsuite.train(agent(), seeds=2, workers=1, out=out, progress=False, **SMALL)
    assert result.returns.shape == (2, 2)
    assert np.array_equal(result.returns, trained().returns)
    assert same(list(result.policies), list(trained().policies))
    rows = rlsuite.load_results(out).rows
    assert set(rows["agent.num_envs"]) == {4}
    own = contract_page.make(contract_page.PointEnv(), contract_page.Config())
    with pytest.raises(UsageError, match=r"rlsuite\.make"):
        rlsuite.train(own, seeds=1, workers=1, **SMALL)


# --- save, load, resume -------------------------------------------------------------------------


def test_load_builds_the_agent_from_a_saved_policy(tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    rlsuite.save(path, agent(), trained().policies[0])
    loaded, policy, *_ = rlsuite.load(path)
    assert loaded.config == agent().config
    assert same(policy, trained().policies[0])
    assert same(rlsuite.load(path, agent()), policy)
    other = rlsuite.make("sac", "CartPole-v1")
    with pytest.raises(UsageError, match=r"written by ppo, not by sac: rlsuite\.load\(path\)"):
        rlsuite.load(path, other)
    with pytest.raises(UsageError, match="no whole state"):
        rlsuite.train(agent(), resume=path, **SMALL)


def test_load_builds_the_environment_with_its_options(tmp_path: Path) -> None:
    env = rlsuite.make_env("CartPole-v1", max_steps_in_episode=7)
    made = rlsuite.make("ppo", env, **TINY)
    rlsuite.save(tmp_path / "p", made, made.policy(_first(made)))
    assert rlsuite.load(tmp_path / "p").agent.env.time_limit == 7


def test_load_takes_an_environment_that_no_registry_has(tmp_path: Path) -> None:
    made = rlsuite.make("ppo", contract_page.PointEnv(), **TINY)
    rlsuite.save(tmp_path / "p", made, made.policy(_first(made)))
    with pytest.raises(UsageError, match="no environment 'Point-v0'"):
        rlsuite.load(tmp_path / "p")
    assert rlsuite.load(tmp_path / "p", env=made.env).agent.env is made.env


def _first(made: Any) -> Any:
    return made.init(jax.random.key(0), rlsuite.context(made, iterations=1))


def test_a_saved_result_goes_on(tmp_path: Path) -> None:
    one = rlsuite.train(agent(), seeds=[1], **SMALL)
    rlsuite.save(tmp_path / "run", agent(), one)
    more = rlsuite.train(agent(), resume=tmp_path / "run", **SMALL)
    direct = rlsuite.train(agent(), warm=one, **SMALL)
    assert more.seeds == [1]
    assert same(more.states[0], direct.states[0])
    with pytest.raises(UsageError, match="one file holds one"):
        rlsuite.save(tmp_path / "run", agent(), trained())


def test_a_cell_of_a_run_folder_is_loaded_and_goes_on(tmp_path: Path) -> None:
    (cell,) = tiny_cells(iterations=6)
    program = Program.for_cell(cell)
    ((arrays, _),) = drive([cell], program, tmp_path)
    done = rlsuite.load(tmp_path / "cells" / f"{cell.id}.done")
    assert done.agent.config == cell.load_config()
    kept = {name: x for name, x in arrays.items() if name.startswith("policy")}
    assert same_bits(tree.to_arrays(done.policy, "policy"), kept)
    frames = rlsuite.load_results(tmp_path)
    assert set(frames.rows["agent.learning_rate"]) == {cell.config["learning_rate"]}
    assert set(frames.rows["seed"]) == {0}
    assert frames.rows.height > 10


# --- by hand ------------------------------------------------------------------------------------


def test_who_drives_or_maps_an_agent_needs_a_context() -> None:
    made = agent()
    ctx = rlsuite.context(made, iterations=6)
    ctx_of_steps = rlsuite.context(made, total_steps=6 * STEPS)
    assert int(ctx_of_steps.horizon) == int(ctx.horizon) == 6
    states = jax.vmap(made.init, in_axes=(0, None))(jax.random.split(jax.random.key(0), 3), ctx)
    rates = jnp.array([1e-4, 1e-3, 1e-2])

    @jax.jit
    @jax.vmap
    def step(state: Any, rate: Any) -> Any:
        return made.step(state, ctx._replace(hp=ctx.hp.replace(learning_rate=rate)))

    states, metrics = step(states, rates)
    assert metrics["loss/policy"].sum.shape == (3,)
    with pytest.raises(UsageError, match="total_steps or iterations"):
        rlsuite.context(made)


def test_per_seed_is_a_sequence() -> None:
    stacked = {"a": jnp.arange(3)}
    mixed = PerSeed([(stacked, 3), ({"a": jnp.int32(9)}, 0)])
    assert [int(tree_["a"]) for tree_ in mixed] == [0, 1, 2, 9]
    assert int(mixed[-1]["a"]) == 9
    assert len(mixed[1:]) == 3
    with pytest.raises(IndexError):
        mixed[4]


def test_seeds_that_start_from_a_policy_compile_once() -> None:
    traced: list[int] = []
    made = agent()

    def init(key: Any, ctx: Any, warm: Any = None) -> Any:
        traced.append(1)
        return made.init(key, ctx, warm=warm)

    counted = dataclasses.replace(made, init=init)
    short = {**SMALL, "total_steps": STEPS, "evaluations": 1, "logs": 1}
    result = rlsuite.train(counted, seeds=3, warm=trained().policies[0], **short)
    assert len(result.policies) == 3
    assert len(traced) == 1


def test_an_evaluation_that_is_no_number_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = Program.evaluate

    def broken(self: Program, *given: Any) -> Any:
        out = evaluate(self, *given)
        return out._replace(returns=out.returns * jnp.nan)

    monkeypatch.setattr(Program, "evaluate", broken)
    assert rlsuite.train(agent(), seeds=1, **SMALL).status == ["nan"]


def test_a_callback_may_answer_in_numpys_truth() -> None:
    result = rlsuite.train(agent(), seeds=1, callback=lambda m: np.float32(m.step) > 0, **SMALL)
    assert result.status == ["stopped"]


def test_a_seed_that_was_stopped_says_how_far_it_came(tmp_path: Path) -> None:
    early = rlsuite.train(agent(), seeds=[4], callback=lambda m: True, **SMALL)
    assert early.iterations == [2]
    more = rlsuite.train(agent(), warm=early, total_steps=2 * STEPS, evaluations=1, logs=1)
    assert more.steps.tolist() == [4 * STEPS]
    assert more.iterations == [4]
    rlsuite.save(tmp_path / "early", agent(), early)
    assert rlsuite.load(tmp_path / "early").iterations == 2
    mixed = dataclasses.replace(trained(), iterations=[2, 6])
    with pytest.raises(UsageError, match="ended after 2 to 6 iterations"):
        rlsuite.train(agent(), warm=mixed, **SMALL)


def test_workers_do_not_train_on_another_environment_than_the_agents() -> None:
    class Wrapped:
        def __init__(self, inside: Any) -> None:
            self._inside = inside

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inside, name)

    wrapped: Any = Wrapped(rlsuite.make_env("CartPole-v1"))
    made = rlsuite.make("ppo", wrapped, **TINY)
    with pytest.raises(UsageError, match="make both by rlsuite"):
        rlsuite.train(made, seeds=1, workers=1, **SMALL)


def test_a_seed_that_turned_to_nan_gets_no_rows_from_those_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluate = Program.evaluate
    calls: list[int] = []

    def broken(self: Program, *given: Any) -> Any:
        out = evaluate(self, *given)
        calls.append(1)
        first = jnp.array([jnp.nan, 1.0])[:, None] if len(calls) == 1 else 1.0
        return out._replace(returns=out.returns * first)

    monkeypatch.setattr(Program, "evaluate", broken)
    result = rlsuite.train(agent(), seeds=2, width=2, **SMALL)
    assert result.status == ["nan", "done"]
    assert np.isnan(result.returns).tolist() == [[True, True], [False, False]]
    assert len(calls) == 2


def test_seeds_that_ran_side_by_side_go_on_side_by_side() -> None:
    wide = rlsuite.train(agent(), seeds=3, width=2, **SMALL)
    assert wide.states.together(range(2), 2) is not None  # pyright: ignore
    assert wide.states.together(range(1), 2) is None  # pyright: ignore
    assert wide.states.together(range(2, 3), 2) is not None  # pyright: ignore
    more = rlsuite.train(agent(), warm=wide, width=2, **SMALL)
    listed = dataclasses.replace(wide, states=list(wide.states))
    again = rlsuite.train(agent(), warm=listed, width=2, **SMALL)
    assert same(list(more.states), list(again.states))
