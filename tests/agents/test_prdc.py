"""PRDC: its loss by hand, TD3+BC as its limit, what it is for, what it reports."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_nets import Layers, adam, assert_layers, backward, forward, layers_of
from off_policy_tools import assert_equal, parts_of
from offline_tools import dataset_for
from pulled_tools import (
    actors_output,
    assert_differentiable,
    assert_nothing_baked_in,
    bandit,
    batch_of,
    runner,
    scene_of,
    setup,
    start,
)

from rlsuite.agents.cores import dpg
from rlsuite.agents.cores.off_policy import Recorded
from rlsuite.agents.offline import prdc, td3_bc
from rlsuite.agents.offline.prdc.agent import actor_loss, reached
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import Context, Hyper
from rlsuite.data.neighbours import cache, keys

# The exact search is tested by itself; agents with it only where somebody has the time.
WAYS = ["table", pytest.param("exact", marks=pytest.mark.slow)]
REPORTED = ("self_neighbour", "neighbour_distance", "self_distance", "certified")


def prepared(data: Any = None, **settings: Any) -> tuple[Any, Context]:
    """A small agent whose data has been prepared."""
    agent, ctx = setup(prdc, data, **settings)
    return agent, ctx._replace(data=agent.prepare(ctx.data))


def values(report: Any) -> dict[str, float]:
    """Means of the metrics."""
    return {n: float(m.sum.sum() / m.count.sum()) for n, m in report.items()}


# --- one update by hand ---------------------------------------------------------------------------

RATE, EPS, TAU, ALPHA, BETA = 0.02, 1e-2, 0.25, 2.5, 0.3
STATIC: dict[str, Any] = {
    "hidden": (8,), "critic_hidden": (8,), "policy_delay": 1, "updates": 1, "learning_rate": RATE,
    "critic_learning_rate": RATE, "adam_epsilon": EPS, "tau": TAU, "policy_noise": 0.0,
    "alpha": ALPHA, "beta": BETA,
}  # fmt: skip
B, A = 32, 2


def minibatch(data: Any, seed: int = 0) -> Any:
    """Rows of a dataset as the agent sees them."""
    rng, stats = np.random.default_rng(seed), data.stats
    place = jnp.asarray(rng.integers(0, data.size, B), jnp.int32)
    rows = jax.tree.map(lambda x: x[place], data.rows)
    obs, after = ((x - stats.obs_mean) / (stats.obs_std + 1e-3) for x in (rows.obs, rows.next_obs))
    batch = batch_of(obs, rows.action)
    return batch._replace(
        reward=rows.reward,
        discount=jnp.where(rows.terminated, 0.0, 0.9),
        next_obs=after,
        recorded=cast(Recorded, batch.recorded)._replace(place=place),
    )


def nearest_by_hand(data: Any, s: Any, action: Any) -> Any:
    """Rows by all distances in double precision."""
    obs, mean, std = (np.asarray(x, np.float64) for x in (data.rows.obs, *data.stats[:2]))
    states, taken = (obs - mean) / (std + 1e-3), np.asarray(data.rows.action, np.float64)
    of_states = np.square(BETA * (s[:, None] - states)).sum(-1)
    return np.argmin(of_states + np.square(action[:, None] - taken).sum(-1), 1)


def gradient_by_hand(actor: Layers, q1: Layers, s: Any, target: Any) -> Layers:
    """Of -alpha mean Q1 / mean|Q1| + mean (p - target)^2."""
    u, seen = forward(actor, s)
    p = np.tanh(u)
    q, path = forward(q1, s, p)
    above = backward(q1, path, -ALPHA / np.abs(q).mean() / B * np.ones_like(q))[1][:, 1:]
    return backward(actor, seen, (above + 2 * (p - target) / (B * A)) * (1 - p**2))[0]


@pytest.mark.parametrize("how", ["table", "exact"])
def test_one_update_by_hand(how):
    agent, ctx = prepared(batch_size=B, search=how, **STATIC)
    core, batch = parts_of(agent).algorithm.update.args[0], minibatch(ctx.data)
    learner = jax.jit(partial(dpg.init, core))(jax.random.key(0), ctx)
    new, report = jax.jit(partial(dpg.update, core))(learner, batch, jax.random.key(1), ctx)

    told: Any = (batch.obs, batch.action, batch.reward, batch.discount, batch.next_obs)
    s, a, r, discount, after = (np.asarray(x, np.float64) for x in told)
    actor, critics = layers_of(learner.actor), [layers_of(c) for c in learner.critics]
    next_a = np.tanh(forward(actor, after)[0])
    y = r + discount * np.minimum(*(forward(c, after, next_a)[0][:, 0] for c in critics))
    moved = []
    for layers in critics:
        q, seen = forward(layers, s, a)
        moved.append(adam(layers, backward(layers, seen, 2 * (q - y[:, None]) / B)[0], RATE, EPS))
    p = np.tanh(forward(actor, s)[0])
    rows = nearest_by_hand(ctx.data, s, p)
    target = np.asarray(ctx.data.rows.action, np.float64)[rows]
    expected = adam(actor, gradient_by_hand(actor, moved[0], s, target), RATE, EPS)

    for params, layers in zip(new.critics, moved, strict=True):
        assert_layers(params, layers, atol=2e-3 * RATE)
    assert_layers(new.actor, expected, atol=2e-3 * RATE)
    own = np.asarray(batch.recorded.place)
    found = values(report)
    np.testing.assert_allclose(found["policy/self_neighbour"], (rows == own).mean(), atol=1e-6)
    np.testing.assert_allclose(found["policy/distance"], np.square(p - target).mean(), rtol=1e-5)
    apart = np.linalg.norm(p - a, axis=1).mean()
    np.testing.assert_allclose(found["policy/self_distance"], apart, rtol=1e-5)
    # A test in which everybody is his own neighbour would be one of TD3+BC.
    assert 0.0 < (rows == own).mean() < 0.5
    # The table holds all 64 rows here.
    assert found["policy/certified"] == 1.0


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", WAYS)
def test_with_large_beta_it_is_td3_bc_bit_for_bit(how):
    """States differ, so at beta 1e4 every row is its own neighbour."""
    agent, ctx = prepared(search=how, beta=1e4, alpha=7.0)
    other, other_ctx = setup(td3_bc, alpha=7.0)
    mine, report = runner(agent, 5)(start(agent, ctx), ctx)
    theirs, _ = runner(other, 5)(start(other, other_ctx), other_ctx)
    assert values(report)["policy/self_neighbour"] == 1.0
    assert values(report)["policy/certified"] == 1.0
    assert_equal(mine.learner, theirs.learner)
    # And it is beta that makes it so.
    near, _ = runner(agent, 5)(start(agent, ctx), ctx._replace(hp=ctx.hp.replace(beta=0.5)))
    assert any((a != b).any() for a, b in zip(
        jax.tree.leaves(near.learner.actor), jax.tree.leaves(theirs.learner.actor), strict=True
    ))  # fmt: skip


@pytest.mark.slow
def test_table_and_exact_search_train_the_same_where_all_is_certified():
    one, ctx1 = prepared(search="table", neighbours=64)
    two, ctx2 = prepared(search="exact")
    assert ctx1.data.extra.table is not None
    assert ctx2.data.extra.table is None
    (a, report), (b, _) = (
        runner(agent, 5)(start(agent, ctx), ctx) for agent, ctx in ((one, ctx1), (two, ctx2))
    )
    assert values(report)["policy/certified"] == 1.0
    assert values(report)["policy/self_neighbour"] < 0.9
    assert_equal(a.learner, b.learner)


def cluster(rows: int = 2048, seed: int = 0) -> Any:
    """One state, jittered; uniform actions; the reward is how near to (0.5, -0.5) they are."""
    rng = np.random.default_rng(seed)
    obs = (0.05 * rng.normal(size=(rows, 1))).astype(np.float32)
    action = rng.uniform(-1, 1, (rows, 2)).astype(np.float32)
    reward = -np.square(action - np.array([0.5, -0.5], np.float32)).sum(-1)
    return bandit(obs, action, reward)


@pytest.mark.slow
def test_it_takes_the_best_action_of_similar_states():
    """What the method is for. TD3+BC is held to the mean of the actions tried, which is no better
    than another; with small beta any row's action will do, the best one too. Of four seeds PRDC's
    largest distance to the best action was 0.06, TD3+BC's least 0.48."""
    data, best = cluster(), np.array([0.5, -0.5])
    settings = {
        "alpha": 0.05, "batch_size": 128, "gamma": 0.0, "hidden": (32, 32),
        "critic_hidden": (32, 32), "activation": "tanh", "learning_rate": 5e-4,
    }  # fmt: skip
    agent, ctx = prepared(data, beta=0.01, search="exact", **settings)
    other, other_ctx = setup(td3_bc, data, **settings)
    obs = jnp.zeros((1, 1))
    ours, theirs = (
        np.linalg.norm(actors_output(a, 500, 4, obs)(c)[:, 0] - best, axis=-1)
        for a, c in ((agent, ctx), (other, other_ctx))
    )
    assert ours.max() < 0.2
    assert theirs.min() > 0.35


# --- the loss -------------------------------------------------------------------------------------


def flat_loss(agent: Any, ctx: Context, action: Any, batch: Any) -> Any:
    """The actor's loss where Q is zero in the action: the pull alone."""
    scene = scene_of(batch, lambda obs, action: 0.0 * action.sum(-1) + 1.0)
    static = agent.config.static()
    return actor_loss(static, (), action, scene, jax.random.key(0), ctx)


def test_the_pulls_gradient_is_that_of_the_square_and_nothing_passes_the_index():
    agent, ctx = prepared(batch_size=B, beta=BETA)
    batch = minibatch(ctx.data)
    action = jax.random.uniform(jax.random.key(3), (B, A), minval=-1.0)
    rows = nearest_by_hand(ctx.data, np.asarray(batch.obs, np.float64), np.asarray(action))
    target = np.asarray(ctx.data.rows.action)[rows]

    def loss(action: Any, hp: Any) -> Any:
        return flat_loss(agent, ctx._replace(hp=hp), action, batch)[0]

    of_action, of_hp = jax.grad(loss, (0, 1))(action, ctx.hp)
    np.testing.assert_allclose(of_action, 2 * (action - target) / (B * A), rtol=1e-5, atol=1e-8)
    assert float(of_hp.beta) == 0.0


def test_the_papers_distance_and_its_gradient():
    """mean d, whose gradient is (p - a_j) / d / B; zero and finite where p is its own row's a."""
    agent, ctx = prepared(batch_size=B, beta=BETA, distance="paper")
    batch = minibatch(ctx.data)
    action = jax.random.uniform(jax.random.key(3), (B, A), minval=-1.0).at[0].set(batch.action[0])
    s, p = np.asarray(batch.obs, np.float64), np.asarray(action, np.float64)
    rows = nearest_by_hand(ctx.data, s, p)
    assert rows[0] == batch.recorded.place[0]
    target = np.asarray(ctx.data.rows.action, np.float64)[rows]
    stats = ctx.data.stats
    near = (np.asarray(ctx.data.rows.obs)[rows] - stats.obs_mean) / (stats.obs_std + 1e-3)
    square = np.square(BETA * (s - near)).sum(-1) + np.square(p - target).sum(-1)
    (loss, report), grad = jax.value_and_grad(
        lambda action: flat_loss(agent, ctx, action, batch), has_aux=True
    )(action)
    mean = np.sqrt(square).mean()
    np.testing.assert_allclose(values(report)["policy/distance"], mean, rtol=1e-5)
    np.testing.assert_allclose(values(report)["policy/neighbour_distance"], mean, rtol=1e-5)
    np.testing.assert_allclose(loss, mean - 2.5, rtol=1e-5)
    with np.errstate(invalid="ignore"):
        expected = (p - target) / np.sqrt(square)[:, None] / B
    expected[0] = 0.0
    np.testing.assert_allclose(grad, expected, rtol=1e-4, atol=1e-7)


def test_a_distance_of_zero_has_no_gradient():
    apart = jnp.array([[0.0, 0.0], [3.0, 4.0]])
    value, grad = jax.value_and_grad(lambda x: reached(x, jnp.array([0.0, 13.0])).sum())(apart)
    np.testing.assert_allclose(value, 13.0, rtol=1e-6)
    np.testing.assert_allclose(grad, [[0, 0], [3 / 13, 4 / 13]], rtol=1e-6)


# --- the index ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_another_standardize_epsilon_moves_the_neighbours_with_it():
    """The index is made once for all runs of a program, whatever their epsilon: what it finds is
    what an index made for theirs would."""
    data = dataset_for(setup(prdc)[0].env, rows=500)
    agent, ctx = prepared(data, standardize_epsilon=0.5, neighbours=500)
    usual, usual_ctx = prepared(data, neighbours=500)
    hp = usual_ctx.hp.replace(standardize_epsilon=jnp.float32(0.5))
    (a, one), (b, two) = (
        runner(x, 3)(start(x, c), c) for x, c in ((agent, ctx), (usual, usual_ctx._replace(hp=hp)))
    )
    for name in REPORTED:
        one_value, two_value = (values(report)[f"policy/{name}"] for report in (one, two))
        np.testing.assert_allclose(one_value, two_value, rtol=1e-4)
    for x, y in zip(jax.tree.leaves(a.learner), jax.tree.leaves(b.learner), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)
    left = values(runner(usual, 3)(start(usual, usual_ctx), usual_ctx)[1])
    assert left["policy/neighbour_distance"] != values(two)["policy/neighbour_distance"]


def test_a_small_table_counts_what_it_cannot_prove_and_resolve_proves_it():
    data = dataset_for(setup(prdc)[0].env, rows=400)
    few, ctx = prepared(data, neighbours=4, beta=0.5, search="table")
    solved, _ = prepared(data, neighbours=4, beta=0.5, search="table", resolve=32)
    every, every_ctx = prepared(data, beta=0.5, search="exact")
    assert ctx.data.extra.table.places.shape == (400, 4)
    reports = [
        values(runner(a, 2)(start(a, c), c)[1])
        for a, c in ((few, ctx), (solved, ctx), (every, every_ctx))
    ]
    assert reports[0]["policy/certified"] < 0.9
    assert reports[1]["policy/certified"] == reports[2]["policy/certified"] == 1.0
    name = "policy/self_neighbour"
    assert reports[1][name] == reports[2][name] < reports[0][name]


def test_auto_is_the_table_on_a_cpu(monkeypatch):
    agent, ctx = setup(prdc)
    assert agent.prepare(ctx.data).extra.table is not None
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert agent.prepare(ctx.data).extra.table is None


def test_preparing_leaves_the_rows_alone():
    agent, ctx = setup(prdc)
    after = agent.prepare(ctx.data)
    assert_equal(after.rows, ctx.data.rows)
    assert isinstance(after.extra, keys.Index)
    raw, raw_ctx = prepared(standardize=False)
    obs = raw_ctx.data.rows.obs
    np.testing.assert_allclose(raw_ctx.data.extra.keys[:, :1], obs - obs.mean(), atol=1e-5)
    assert np.isfinite(values(runner(raw, 1)(start(raw, raw_ctx), raw_ctx)[1])["loss/policy"])


def test_only_preparing_touches_the_host():
    agent, ctx = prepared(search="table", resolve=4)
    state = start(agent, ctx)
    text = str(jax.make_jaxpr(agent.step)(state, ctx))
    assert "callback" not in text
    # The index is an argument: no constant of its size is in the program.
    sizes = [np.size(c) for c in jax.make_jaxpr(agent.step)(state, ctx).consts]
    assert max(sizes, default=0) < 64


# --- contracts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", WAYS)
def test_settings_are_traced(how):
    # At beta 0.3 states weigh so little that another standardize_epsilon, which scales them, moves
    # no table's neighbour; at 1e4 every row is its own neighbour, and beta itself moves none.
    agent, ctx = prepared(dataset_for(setup(prdc)[0].env, rows=300), search=how, beta=1.0)
    names = ["alpha", "beta", "learning_rate", "tau", "gamma", "standardize_epsilon"]
    assert_nothing_baked_in(agent, ctx, names)


@pytest.mark.slow
def test_learning_is_differentiable_in_its_settings():
    for settings in ({"search": "table", "resolve": 4}, {"search": "exact", "distance": "paper"}):
        agent, ctx = prepared(**settings)
        assert_differentiable(agent, ctx, ["alpha", "learning_rate", "critic_learning_rate"])


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS)
def test_four_seeds_side_by_side_are_four_runs(how):
    agent, ctx = prepared(search=how, resolve=2 if how == "table" else 0)
    states = [start(agent, ctx, seed) for seed in range(4)]
    stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *states)
    betas = jnp.float32([0.0, 0.5, 2.0, 50.0])
    axes: Any = (Hyper({n: 0 if n == "beta" else None for n in ctx.hp._values}), None, None, None)
    axes = Context(*axes)
    many = ctx._replace(hp=ctx.hp.replace(beta=betas))
    run = runner(agent, 3)
    mapped, report = jax.jit(jax.vmap(run, (0, axes)))(stacked, many)
    for row in range(4):
        single, alone = run(states[row], ctx._replace(hp=ctx.hp.replace(beta=betas[row])))
        for a, b in zip(
            jax.tree.leaves(mapped.learner), jax.tree.leaves(single.learner), strict=True
        ):
            np.testing.assert_allclose(a[row], b, rtol=1e-4, atol=1e-6)
        found = jax.tree.map(lambda x, row=row: x[row], report)
        for name in REPORTED:
            one, two = (values(r)[f"policy/{name}"] for r in (found, alone))
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_more_to_resolve_than_a_minibatch_has_is_refused():
    with pytest.raises(UsageError, match=r"agent.resolve 300 is more than .*: try 256"):
        prdc.Config(resolve=300)


def test_a_big_dataset_keeps_its_table(tmp_path, monkeypatch):
    monkeypatch.setenv("RLSUITE_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "SMALL", 50)
    agent, ctx = setup(prdc)
    first = agent.prepare(ctx.data).extra
    (path,) = (tmp_path / "neighbours").glob("*.safetensors")
    changed = path.stat().st_mtime_ns
    assert_equal(first, agent.prepare(ctx.data).extra)
    assert path.stat().st_mtime_ns == changed
