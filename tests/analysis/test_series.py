"""A series is what was run, not its name: what is pooled, what is not, and what each is called."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from synthetic import cell, frames, rows
from tiny import TINY

from rlsuite.analysis.load import loading, merging, series
from rlsuite.analysis.load.frames import Frames
from rlsuite.analysis.load.targets import Target
from rlsuite.analysis.report import report, tables
from rlsuite.analysis.stats import published, scores, sweep
from rlsuite.contracts import registry
from rlsuite.engine.plan import grid, labels
from rlsuite.engine.plan.cells import Cell
from rlsuite.engine.plan.labels import Variant
from rlsuite.engine.plan.spec import Request, plan
from rlsuite.engine.store.store import Store

VERSION_1 = Path(__file__).parents[1] / "engine" / "version_1"


def request(**changes: Any) -> Request:
    """Two seeds of a tiny PPO."""
    base: dict[str, Any] = {
        "agent": "ppo", "envs": ["CartPole-v1"], "seeds": [0, 1], "total_steps": 2048,
    }  # fmt: skip
    settings = {**TINY, **changes.pop("settings", {})}
    return Request(**{**base, "settings": settings, **changes})


def run(folder: Path, requests: Iterable[Request], value: float = 0.0) -> Path:
    """A folder in which some requests are finished, each as a command of its own."""
    store = Store(folder)
    for one in requests:
        for c in store.prepare(plan([one]), ["rlsuite", "x"]):
            if not store.is_done(c.id):
                finish(store, c, value)
    return folder


def finish(store: Store, c: Cell, value: float) -> None:
    """As a worker would, without a policy."""
    told = {"eval/return": [(0, 0.1, 0.0), (c.total_steps, 0.2, value + c.seed)]}
    meta = {"status": "done", "clock": {"train": 1.0}, "cell": c.to_mapping(), "provenance": {}}
    store.finish(c.id, {}, told, meta)  # pyright: ignore[reportArgumentType]


def counted(*folders: Path) -> dict[str, int]:
    """Series and seeds of the table of some folders."""
    table = tables.summary(merging.load(folders))
    return dict(table.select("series", "seeds").iter_rows())


def as_version_1(table: Path) -> None:
    """Take out of a kept table what tables of before did not have."""
    kept = pl.read_parquet(table / "cells.parquet")
    kept.select(list(loading.CELL_SCHEMA)).write_parquet(table / "cells.parquet")


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ([{"settings": {"gamma": 0.99}}, {"settings": {"gamma": 0.5}}],
         ["ppo, gamma 0.99", "ppo, gamma 0.5"]),
        ([{"total_steps": 2048}, {"total_steps": 4096}], ["ppo, 2,048 steps", "ppo, 4,096 steps"]),
        ([{"env_options": {"max_steps_in_episode": n}} for n in (50, 60)],
         ["ppo, max steps in episode 50", "ppo, max steps in episode 60"]),
        ([{"label": "mine"}, {"label": "mine", "settings": {"learning_rate": 1e-5}}],
         ["mine, learning rate 0.00025", "mine, learning rate 1e-5"]),
        ([{"label": "mine"}, {"label": "theirs", "settings": {"gamma": 0.5}}], ["mine", "theirs"]),
        ([{"settings": {"hidden": [8]}}, {"settings": {"hidden": [8, 4]}}],
         ["ppo, hidden 8", "ppo, hidden 8×4"]),
        ([{"env_options": {}}, {"env_options": {"max_steps_in_episode": 50}}],
         ["ppo", "ppo, max steps in episode 50"]),
    ],
)  # fmt: skip
def test_two_settings_are_two_series(
    tmp_path: Path, changes: list[dict[str, Any]], names: list[str]
) -> None:
    asked = [request(**change) for change in changes]
    expected = dict.fromkeys(names, 2)
    # Two commands into one folder, two runs of one grid, two folders, and the tables kept of two.
    assert counted(run(tmp_path / "both", asked)) == expected
    together = plan(asked)
    store = Store(tmp_path / "grid")
    for c in store.prepare(together, ["x"]):
        finish(store, c, 0.0)
    assert counted(tmp_path / "grid") == expected
    assert list(dict.fromkeys(c.series for c in together)) == names
    parts = [run(tmp_path / str(i), [one]) for i, one in enumerate(asked)]
    assert counted(*parts) == expected
    for part in parts:
        kept = tmp_path / f"kept{part.name}"
        kept.mkdir()
        merging.keep(merging.load([part]), [part], kept)
    assert counted(*(tmp_path / f"kept{i}" for i in range(len(parts)))) == expected


def test_one_series_stays_one_however_it_is_asked_for(tmp_path: Path) -> None:
    """By another command, budget by budget of the same length, or with another cadence."""
    asked = [request(), request(seeds=[2], settings={"gamma": 0.99}), request(seeds=[3])]
    assert counted(run(tmp_path / "a", asked)) == {"ppo": 4}
    assert counted(tmp_path / "a", run(tmp_path / "b", [request(seeds=[4])])) == {"ppo": 5}


def test_a_grid_file_of_two_runs_has_two_series(tmp_path: Path) -> None:
    one = '[[run]]\nagent = "ppo"\nenv = "CartPole-v1"\nseeds = 2\ntotal_steps = 5000\n[run.set]\n'
    text = "".join(f"{one}learning_rate = {rate}\n" for rate in (1e-3, 1e-2))
    (tmp_path / "two.toml").write_text(text, encoding="utf-8")
    cells = plan(grid.read(tmp_path / "two.toml")[1])
    assert [c.series for c in cells[::2]] == ["ppo, learning rate 0.001", "ppo, learning rate 0.01"]


def test_presets_with_a_set_for_each_task_are_one_series() -> None:
    def variant(task: str, rate: float, **values: Any) -> Variant:
        return Variant(task, f"{task}{rate}", "ppo", "zoo", 100, settings={"lr": rate}, **values)

    assert labels.names([variant("a", 0.1), variant("b", 0.2)]) == ["ppo, zoo"] * 2
    told = frozenset(["lr"])
    by_hand = [variant("a", 0.1), variant("b", 0.2, given=told)]
    assert labels.names(by_hand) == ["ppo, zoo, lr 0.1", "ppo, zoo, lr 0.2"]
    own = [variant("a", 0.1, label="tuned", given=told), variant("b", 0.2, label="tuned")]
    assert labels.names(own) == ["tuned"] * 2


def test_of_many_differences_a_few_that_tell_are_named() -> None:
    names = [f"s{i}" for i in range(9)]
    settings = [dict.fromkeys(names, v) | {"last": v * (v - 1)} for v in range(3)]
    variants = [Variant("t", str(i), "a", "", 1, settings=s) for i, s in enumerate(settings)]
    assert labels.names(variants) == ["a, s0 0", "a, s0 1", "a, s0 2"]
    taken = [Variant("t", "x", "a", "", 1, label="a, s0 1", settings=settings[0])]
    assert labels.names([*variants, *taken])[-1] == "a, s0 1 (2)"


def test_more_seeds_of_a_point_stay_in_its_sweep(tmp_path: Path) -> None:
    swept = {"learning_rate": [1e-3, 1e-2], "entropy_coef": [0.0, 0.01]}
    one = request(sweep=swept)
    wider = request(
        seeds=[0, 1, 2], settings={"learning_rate": 1e-3}, sweep={"entropy_coef": [0.0, 0.01]},
        flags=["learning_rate"],
    )  # fmt: skip
    new = request(settings={"learning_rate": 3e-3}, sweep={"entropy_coef": [0.0, 0.01]})
    folder = run(tmp_path / "a", [one, wider])
    found = counted(folder)
    assert len(found) == 4
    assert found["ppo, entropy coef 0.01, learning rate 0.001"] == 3
    (drawn,) = sweep.grids(scores.final(merging.load([folder])))
    assert drawn.n.tolist() in ([[3, 2], [3, 2]], [[3, 3], [2, 2]])
    # A point more joins; what differs in anything else does not.
    other = request(settings={"gamma": 0.5, "learning_rate": 1e-3, "entropy_coef": 0.0})
    cells = merging.load([run(folder, [new, other])]).cells
    assert cells["sweep_group"].n_unique() == 2
    assert cells.filter(pl.col("agent.gamma") == 0.5)["sweep"].unique().to_list() == ["{}"]
    assert set(cells.filter(pl.col("sweep_group").is_not_null())["seed"].to_list()) == {0, 1, 2}
    joined = cells.filter(pl.col("agent.learning_rate") == 3e-3)["sweep"][0]
    assert json.loads(joined) == {"learning_rate": 3e-3, "entropy_coef": 0.0}


def test_two_sweeps_around_one_default_are_two_lines(tmp_path: Path) -> None:
    """Asked for by one grid file or one after the other, with the default itself or without."""
    asked = [
        request(sweep={"learning_rate": [1e-3, 1e-2]}),
        request(sweep={"gamma": [0.9, 0.95]}),
    ]
    folder = run(tmp_path / "a", asked)
    for more, values in (([], {}), ([request()], {"learning_rate": [2.5e-4], "gamma": [0.99]})):
        table = scores.final(merging.load([run(folder, more)]))
        assert sweep.grids(table) == []
        found = {line.setting: line for line in sweep.lines(table)}
        rates = [*values.get("learning_rate", []), 1e-3, 1e-2]
        assert found["learning_rate"].values == rates
        assert found["gamma"].values == [0.9, 0.95, *values.get("gamma", [])]
        assert {line.family for line in found.values()} == {"ppo"}


def test_tables_of_before_are_one_series_only_where_they_say_so(tmp_path: Path) -> None:
    kept = []
    for name, gamma, seeds in (("a", 0.99, [0, 1]), ("b", 0.5, [2, 3])):
        one = run(tmp_path / f"run-{name}", [request(settings={"gamma": gamma}, seeds=seeds)])
        kept.append(tmp_path / name)
        kept[-1].mkdir()
        merging.keep(merging.load([one]), [one], kept[-1])
        as_version_1(kept[-1])
    assert counted(kept[0]) == {"ppo": 2}
    parted = {"ppo, settings not kept in a": 2, "ppo, settings not kept in b": 2}
    assert counted(*kept) == parted
    merging.keep(merging.load(kept), kept, tmp_path)
    assert counted(tmp_path) == parted
    # The same seed twice under one name was run with two settings.
    twice = frames([cell("a"), cell("b"), cell("c", seed=1)], rows("a", [1.0]))
    loading.compact(tmp_path, twice)
    assert sorted(counted(tmp_path).values()) == [1, 2]


def test_tables_of_before_are_known_by_their_ids(tmp_path: Path) -> None:
    """A run of the same settings that are known would have had that id with the other's seed."""
    shutil.copytree(VERSION_1, tmp_path / "run")
    before = merging.load([VERSION_1]).cells.select(list(loading.CELL_SCHEMA))
    (tmp_path / "kept").mkdir()
    both = merging.load([VERSION_1])
    merging.keep(both, [], tmp_path / "kept")
    before.filter(pl.col("seed") == 0).write_parquet(tmp_path / "kept" / "cells.parquet")
    spec = json.loads((tmp_path / "run" / "spec.json").read_text(encoding="utf-8"))
    spec["cells"] = [c for c in spec["cells"] if c["seed"] == 1]
    (tmp_path / "run" / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    found = counted(tmp_path / "kept", tmp_path / "run")
    assert found == {"ppo, learning rate 0.001": 2, "ppo, learning rate 0.01": 2}
    cells = merging.load([tmp_path / "kept", tmp_path / "run"]).cells
    assert cells["agent.hidden"].to_list() == [[8, 8]] * 4


def test_a_run_known_again_keeps_the_version_it_was_made_by(tmp_path: Path) -> None:
    shutil.copytree(VERSION_1, tmp_path / "run")
    kept = tmp_path / "kept"
    kept.mkdir()
    merging.keep(merging.load([VERSION_1]), [], kept)
    own = json.dumps({"rlsuite": "0.0.9", "commit": "ours"})
    cells = pl.read_parquet(kept / "cells.parquet").select(list(loading.CELL_SCHEMA))
    told = cells.filter(pl.col("seed") == 0).with_columns(provenance=pl.lit(own))
    told.write_parquet(kept / "cells.parquet")
    spec = json.loads((tmp_path / "run" / "spec.json").read_text(encoding="utf-8"))
    spec["cells"] = [c for c in spec["cells"] if c["seed"] == 1]
    (tmp_path / "run" / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    folders = [kept, tmp_path / "run"]
    theirs = merging.load(folders).cells.filter(pl.col("seed") == 1)
    assert theirs["commit"].drop_nulls().len() > 0
    assert "ours" not in theirs["commit"].to_list()
    found = merging.load(folders).cells.filter(pl.col("seed") == 0)
    assert found["agent.hidden"].to_list() == [[8, 8]] * 2
    assert found.select("rlsuite", "commit").unique().rows() == [("0.0.9", "ours")]
    # Also where it was written down wrongly before.
    wrong = merging.load(folders).cells.with_columns(commit=pl.lit("another"))
    (tmp_path / "wrong").mkdir()
    loading.compact(tmp_path / "wrong", Frames(merging.load(folders).rows, wrong))
    again = merging.load([tmp_path / "wrong"]).cells.filter(pl.col("seed") == 0)
    assert again["commit"].unique().to_list() == ["ours"]


@pytest.mark.parametrize(
    ("seeds", "parted"),
    [
        ([0, 1, 1, 2, 3], [[0, 1], [1, 2, 3]]),
        ([0, 1, 0, 1, 2, 1], [[0, 1], [0, 1, 2], [1]]),
        # Nobody knows which are together, but never two of one seed, one of which would be lost.
        ([0, 0, 1, 1], [[0], [0, 1], [1]]),
    ],
)
def test_runs_after_a_repeated_seed_are_of_the_second_settings(
    tmp_path: Path, seeds: list[int], parted: list[list[int]]
) -> None:
    cells = [cell(f"{env}{i}", env=env, seed=s) for env in "ab" for i, s in enumerate(seeds)]
    loading.compact(tmp_path, frames(cells, rows("a0", [1.0])))
    for env in "ab":
        here = merging.load([tmp_path]).cells.filter(pl.col("env") == env)
        groups = here.group_by("variant", maintain_order=True).agg("seed")
        assert groups["seed"].to_list() == parted


def test_a_run_under_an_old_and_a_new_id_counts_once(tmp_path: Path) -> None:
    spec = Store(VERSION_1).cells()
    again = Store(tmp_path / "again")
    for c in spec:
        fresh = c.with_id(c.digest)
        again.prepare([fresh], ["x"])
        finish(again, fresh, 5.0)
    cells = merging.load([VERSION_1, tmp_path / "again"]).cells
    assert cells["seed"].to_list() == [0, 1, 0, 1]
    # The unfinished one's place is taken by the finished one's.
    assert cells["cell"].to_list() == [*(c.id for c in spec[:3]), spec[3].digest]


def test_published_numbers_find_a_series_by_agent_or_label(tmp_path: Path) -> None:
    asked = [request(preset="purejaxrl"), request(label="PPO", settings={"gamma": 0.5})]
    loaded = merging.load([run(tmp_path, asked)])
    assert loaded.cells["series"].unique(maintain_order=True).to_list() == ["ppo, purejaxrl", "PPO"]
    targets = [Target("CartPole-v1", "theirs", 1.0, "x", ours=name) for name in ("ppo", "PPO", "y")]
    found = published.table(loaded, targets)
    assert found["series"].to_list() == ["ppo, purejaxrl", "PPO"]


def test_each_setting_has_a_typed_column(tmp_path: Path) -> None:
    dqn = Request("td3", ["Pendulum-v1"], [0], total_steps=50_000, label="TD3")
    options = {"max_steps_in_episode": 50}
    asked = [request(env_options=options), dqn]
    cells = merging.load([run(tmp_path, asked)]).cells
    merging.keep(merging.load([tmp_path]), [], tmp_path)
    kept = pl.read_parquet(tmp_path / "cells.parquet")
    for table in (cells, kept):
        kinds = table.schema
        assert kinds["agent.learning_rate"] == pl.Float64
        assert kinds["agent.hidden"] == pl.List(pl.Int64)
        assert kinds["agent.num_steps"] == pl.Int64
        assert kinds["agent.anneal_learning_rate"] == pl.Boolean
        assert table["env.max_steps_in_episode"].to_list() == [50, 50, None]
        assert table["agent.drift"].to_list() == ["clip", "clip", None]
    assert series.settings(kept.row(0, named=True))["hidden"] == [8, 8]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([{"size": [1, 2]}, {"size": [1, 2.5]}], ["[1, 2]", "[1, 2.5]"]),
        ([{"size": {"x": 1}}, {"size": {"y": [2]}}], ['{"x": 1}', '{"y": [2]}']),
        ([{"size": 3}, {"size": [3]}], ["3", "[3]"]),
        ([{"size": 1}, {"size": True}], ["1", "true"]),
        ([{"size": "wide"}, {"size": 1.5}], ["wide", "1.5"]),
        ([{"size": "wide"}, {"size": {"x": None}}], ["wide", "{}"]),
        ([{"size": 1}, {"size": 2.5}], [1.0, 2.5]),
        ([{"size": 1}, {"size": None}], [1, None]),
    ],
)
def test_options_of_any_kind_are_kept_and_told_apart(
    tmp_path: Path, options: list[dict[str, Any]], shown: list[Any]
) -> None:
    """In one folder, in two, and in the tables kept of two."""
    made = [replace(plan([request(seeds=[0])])[0], env_options=given) for given in options]
    folders = [tmp_path / "both", *(tmp_path / str(i) for i in range(len(made)))]
    for folder, some in zip(folders, [made, *([c] for c in made)], strict=True):
        store = Store(folder)
        for c in store.prepare(some, ["x"]):
            finish(store, c, 0.0)
    kept = [tmp_path / "kept both", tmp_path / "kept 0", tmp_path / "kept 1"]
    for folder, into in zip(folders, kept, strict=True):
        into.mkdir()
        merging.keep(merging.load([folder]), [], into)
    for group in (folders[:1], folders[1:], kept[:1], kept[1:]):
        cells = merging.load(group).cells
        assert cells["env.size"].to_list() == shown
        assert cells["series"].n_unique() == 2
        assert tables.settings(merging.load(group)).height > 0


def test_structures_kept_before_options_were_texts_are_read(tmp_path: Path) -> None:
    loaded = merging.load([run(tmp_path / "run", [request(env_options={})])])
    for name, values in (("a", [{"x": 1}, {"y": 2}]), ("b", [[1], [2, 3]])):
        (tmp_path / name).mkdir()
        options = pl.Series("env.size", values, strict=False)
        if name == "a":
            options = pl.Series("env.size", values, pl.Struct({"x": pl.Int64, "y": pl.Int64}))
        table = loaded.cells.with_columns(options, cell=pl.lit(name) + pl.col("cell"))
        table = table.with_columns(variant=pl.lit(name) + pl.col("seed").cast(pl.String))
        loading.compact(tmp_path / name, Frames(loaded.rows.clear(), table))
    cells = merging.load([tmp_path / "a", tmp_path / "b"]).cells
    assert cells["env.size"].to_list() == ['{"x": 1}', '{"y": 2}', "[1]", "[2, 3]"]
    assert merging.load([tmp_path / "b"]).cells["env.size"].to_list() == ["[1]", "[2, 3]"]
    assert series.settings(cells.row(0, named=True))["env.size"] == {"x": 1}


def test_a_run_with_options_of_two_kinds_is_known_again(tmp_path: Path) -> None:
    """Its id was made of the options as they were given, not as a column has them."""
    plain = plan([request(seeds=[0, 1], env_options={"max_steps_in_episode": 50})])
    other = plan([request(seeds=[0], env_options={"max_steps_in_episode": 60})])[0]
    other = replace(other, env_options={"max_steps_in_episode": [60]})
    store = Store(tmp_path / "run")
    for c in store.prepare([plain[0], other], ["x"]):
        finish(store, c, 0.0)
    told = cell(
        plain[1].first_id, seed=1, total_steps=plain[1].total_steps, env=plain[1].env,
        agent="ppo", series="ppo",
    )  # fmt: skip
    (tmp_path / "kept").mkdir()
    loading.compact(tmp_path / "kept", frames([told], []))
    cells = merging.load([tmp_path / "kept", tmp_path / "run"]).cells
    assert cells.filter(seed=1)["variant"].to_list() == [plain[0].variant]


def test_a_folder_of_an_agent_that_is_gone_is_still_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [request(), request(settings={"gamma": 0.5}), request(settings={"hidden": []})]
    folder = run(tmp_path / "run", asked)
    before = merging.load([folder]).cells
    there = {name: row for name, row in registry.agents().items() if name != "ppo"}
    monkeypatch.setattr(registry, "agents", lambda: there)
    cells = merging.load([folder]).cells
    recorded = [name for name in before.columns if name.startswith("agent.")]
    assert cells.select("series", "budget_unit", *recorded).equals(
        before.select("series", "budget_unit", *recorded)
    )
    page = report.write(merging.load([folder]), tmp_path / "page", "t").read_text(encoding="utf-8")
    assert "ppo, gamma 0.5" in page
    # Also beside the tables that were kept while it was there.
    assert merging.load([folder, folder]).cells.height == 6


def test_settings_that_are_no_longer_valid_are_still_told(tmp_path: Path) -> None:
    (made,) = plan([request(seeds=[0])])
    recorded = {n: v for n, v in made.config.items() if n != "gae_lambda"}
    recorded = {**recorded, "gamma": 7.0, "long_gone": 3}
    kept = replace(made, config=recorded)
    table = series.columns([kept], [{}])
    assert table["agent.gamma"].to_list() == [7.0]
    assert table["agent.long_gone"].to_list() == [3]
    assert table["agent.gae_lambda"].to_list() == [made.config["gae_lambda"]]
