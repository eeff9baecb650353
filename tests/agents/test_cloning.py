"""Weighted cloning and behaviour cloning: policy, optimiser, decay, selection of trajectories."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cloning_tools import batch_of, bump, flat, number, pieces, setup
from off_policy_tools import start
from offline_tools import dataset_for

from rlsuite.agents.cores import cloning
from rlsuite.agents.cores.config import CloningConfig
from rlsuite.agents.offline.bc.agent import best_trajectories, discounted_returns
from rlsuite.contracts import config, registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import Context, Hyper
from rlsuite.data import dataset
from rlsuite.nn import mlp
from rlsuite.nn.distributions import Gaussian
from rlsuite.ops import optim

KEY = jax.random.key(0)
MINE = ("bc", "iql", "odice", "cql")


def static(**changes: Any) -> CloningConfig:
    base: dict[str, Any] = {
        "policy": "gaussian", "mean": "tanh", "log_std_min": -5.0, "log_std_max": 2.0,
        "decay": "none", "updates": 10,
    }  # fmt: skip
    return CloningConfig(**{**base, **changes}).static()


def context(**changes: float) -> Context:
    hp = {"learning_rate": 0.1, "weight_decay": 0.0, "adam_epsilon": 1e-8, **changes}
    return Context(Hyper({k: jnp.float32(v) for k, v in hp.items()}), (), jnp.int32(5))


def net(**changes: Any) -> mlp.Net:
    return cloning.network(static(**changes), mlp.Shape((8,)), (3,), 2)


def test_a_gaussian_has_one_clipped_deviation_for_all_states():
    made = net(mean="linear", log_std_min=-1.0)
    params, obs = made.init(KEY), 9 * batch_of().obs
    np.testing.assert_array_equal(params["log_std"], 0)
    out = made.apply({**params, "log_std": jnp.array([-3.0, 5.0])}, obs)
    np.testing.assert_array_equal(out.log_std, np.broadcast_to([-1.0, 2.0], (16, 2)))
    assert np.abs(out.loc).max() > 1
    squashed = net().apply(params, obs)
    np.testing.assert_allclose(squashed.loc, np.tanh(out.loc), rtol=1e-6)
    assert set(net(policy="deterministic").init(KEY)) == {"net"}


def test_distance_is_a_sum_over_the_actions_entries():
    """Two entries, each off by 1 at sigma 2: 2 (1/8 + ln 2 + ln sqrt(2 pi)), or 2."""
    action = jnp.ones((1, 2))
    wide = Gaussian(jnp.zeros((1, 2)), jnp.full((1, 2), np.log(2.0)), (-1.0,) * 2, (1.0,) * 2)
    expected = 2 * (1 / 8 + np.log(2) + 0.5 * np.log(2 * np.pi))
    np.testing.assert_allclose(cloning.distance(wide, action), [expected], rtol=1e-6)
    np.testing.assert_allclose(cloning.distance(jnp.zeros((1, 2)), action), [2.0])


def test_acting_is_the_mean_or_a_draw_within_the_box():
    made, obs = net(mean="linear"), jnp.tile(batch_of().obs[:1], (400, 1))
    params = made.init(KEY)
    greedy = cloning.act(made, params, 50 * obs, KEY, "greedy")
    mean = made.apply(params, 50 * obs).loc
    assert np.abs(mean).max() > 1
    np.testing.assert_array_equal(greedy, np.clip(mean, -1, 1))
    drawn = cloning.act(made, params, obs, KEY, "sample")
    assert np.abs(drawn).max() == 1.0
    assert np.std(drawn) > 0.5
    same = net(policy="deterministic")
    there = same.init(KEY)
    a, b = (cloning.act(same, there, obs, KEY, mode) for mode in ("greedy", "sample"))
    np.testing.assert_array_equal(a, b)


def test_l2_is_scaled_with_the_gradient():
    """Torch's Adam with weight decay, that is not AdamW."""
    ctx = context()
    ours = theirs = apart = {"w": jnp.array([1.0, -2.0, 3.0]), "b": jnp.array([[0.5]])}
    chain = optax.chain(optax.add_decayed_weights(0.3), optax.adam(0.1))
    other = optax.adamw(0.1, weight_decay=0.3)
    opt, chained, apart_opt = optim.adam(0.0).init(ours), chain.init(theirs), other.init(apart)
    for step in range(3):
        grads = jax.tree.map(lambda p: jnp.sin(p) * (step + 1.0), ours)  # noqa: B023
        ours, opt = cloning.move(grads, ours, opt, 0.1, 0.3, ctx)
        change, chained = chain.update(grads, chained, theirs)
        theirs = optax.apply_updates(theirs, change)
        change, apart_opt = other.update(grads, apart_opt, apart)
        apart = optax.apply_updates(apart, change)
    np.testing.assert_allclose(flat(ours), flat(theirs), rtol=1e-6)
    assert np.abs(flat(ours) - flat(apart)).max() > 1e-2


def test_cosine_decay_ends_at_nothing():
    """Five iterations of ten updates."""
    ctx = context()
    left = [float(cloning.remaining(static(decay="cosine"), jnp.int32(t), ctx)) for t in
            (0, 10, 25, 49, 50, 60)]  # fmt: skip
    expected = [0.5 * (1 + np.cos(np.pi * t / 50)) for t in (0, 10, 25, 49, 50, 50)]
    np.testing.assert_allclose(left, expected, atol=1e-6)
    assert cloning.remaining(static(), jnp.int32(25), ctx) == 1.0


@pytest.mark.parametrize(("decay", "moves"), [("none", True), ("cosine", False)])
def test_the_policys_last_step_is_of_the_decayed_size(decay, moves):
    made, batch, ctx = net(), batch_of(actions=2), context()
    actor = cloning.start(made, KEY, ctx)
    end = jnp.int32(50)
    new, _ = cloning.step(static(decay=decay), made, actor, batch, 1.0, end, ctx)
    assert (np.abs(flat(new.params) - flat(actor.params)).max() > 0) == moves


def test_weights_of_several_critics_are_averaged():
    made, batch, ctx = net(), batch_of(actions=2), context(adam_epsilon=0.1)
    actor = cloning.start(made, KEY, ctx)
    weight = jax.random.uniform(KEY, (2, 16))
    both, report = cloning.step(static(), made, actor, batch, weight, jnp.int32(0), ctx)
    mean, _ = cloning.step(static(), made, actor, batch, weight.mean(0), jnp.int32(0), ctx)
    np.testing.assert_allclose(flat(both.params), flat(mean.params), rtol=1e-5)
    nll = -made.apply(actor.params, batch.obs).log_prob(batch.action)
    np.testing.assert_allclose(number(report, "loss/policy"), (weight * nll).mean(), rtol=1e-5)


def test_bounds_of_ln_sigma_lie_around_its_start():
    with pytest.raises(UsageError, match=r"log_std_min 1 .*: try -5 and 2"):
        registry.agent("iql").load_config().from_mapping({"log_std_min": 1.0})


# --- behaviour cloning --------------------------------------------------------------------------


def test_cloning_recovers_a_linear_behaviour():
    """a = 0.5 s - 0.2, without noise: of 6 seeds the largest loss was 2.2e-4, from 0.01 to 0.1."""
    env = registry.make_env("Probe-ObservationAction-Continuous")
    agent, ctx = setup("bc", env, hidden=(16, 16), learning_rate=3e-3, updates=50)
    rows = ctx.data.rows
    rows = rows._replace(
        action=0.5 * jnp.clip(rows.obs, -1.6, 1.6) - 0.2, obs=rows.obs.clip(-1.6, 1.6)
    )
    ctx = ctx._replace(data=ctx.data._replace(rows=rows))

    def run(key: jax.Array) -> Any:
        def body(state: Any, _: Any) -> Any:
            state, report = agent.step(state, ctx)
            return state, report["loss/policy"].sum / report["loss/policy"].count

        return jax.lax.scan(body, agent.init(key, ctx), None, 24)[1]

    losses = jax.jit(jax.vmap(run))(jax.random.split(KEY, 3))
    assert losses[:, 0].min() > 0.005
    assert losses[:, -1].max() < 1e-3


def test_bc_averages_squares_over_rows_and_entries():
    agent, ctx = setup("bc", "Pendulum-v1")
    algorithm, learner = pieces(agent, ctx)
    batch = batch_of()
    _, report = jax.jit(algorithm.update)(learner, batch, KEY, ctx)
    mu = algorithm.act(learner.actor.params, batch.obs, KEY, "greedy")
    expected = np.square(np.asarray(mu - batch.action)).mean()
    np.testing.assert_allclose(number(report, "loss/policy"), expected, rtol=1e-5)


def selectable(**columns: Any) -> dataset.Dataset:
    """Four episodes of lengths 2, 3, 2, 3."""
    data = dataset_for(registry.make_env("Pendulum-v1"), rows=10)
    rows = data.rows._replace(
        episode=jnp.array([0, 0, 1, 1, 1, 2, 2, 5, 5, 5], jnp.int32),
        reward=jnp.array([1.0, 1, 0, 0, 9, 4, 0, 2, 0, 1]),
    )
    return data._replace(rows=rows._replace(**columns))


def test_returns_are_discounted_from_each_trajectorys_start():
    """gamma = 1/2: 1.5, 9/4, 4, 2.25."""
    rows = selectable().rows
    number, returns = discounted_returns(
        np.asarray(rows.reward, np.float64), np.asarray(rows.episode), 0.5
    )
    np.testing.assert_array_equal(number, [0, 0, 1, 1, 1, 2, 2, 3, 3, 3])
    np.testing.assert_allclose(returns, [1.5, 2.25, 4.0, 2.25])


@pytest.mark.parametrize(
    ("fraction", "discount", "kept"),
    [
        (0.5, 1.0, [2, 3, 4, 5, 6]),  # returns 2, 9, 4, 3
        (0.25, 0.5, [5, 6]),  # the highest is another when discounted
        (0.5, 0.5, [2, 3, 4, 5, 6]),  # of two that are equal, the earlier
        (0.01, 1.0, [2, 3, 4]),  # at least one
        (0.99, 1.0, [2, 3, 4, 5, 6, 7, 8, 9]),  # rounded down
    ],
)
def test_the_best_trajectories_are_kept_whole(fraction, discount, kept):
    data = best_trajectories(fraction, discount, selectable())
    assert data.kept is not None
    np.testing.assert_array_equal(data.kept, kept)
    drawn = np.asarray(dataset.draw(data, KEY, (500,)))
    assert set(drawn.tolist()) == set(kept)
    obs = np.asarray(data.rows.obs)[kept]
    np.testing.assert_allclose(data.stats.obs_mean, obs.mean(0), atol=1e-6)
    np.testing.assert_allclose(data.stats.obs_std, obs.std(0), atol=1e-6)


def test_all_trajectories_are_all_rows():
    data = selectable()
    assert best_trajectories(1.0, 0.99, data) is data


def test_percent_bc_selects_when_it_is_given_the_data():
    agent, _ = setup("bc", fraction=0.3, return_discount=1.0)
    data = agent.prepare(dataset_for(agent.env))
    returns = np.bincount(np.asarray(data.rows.episode), np.asarray(data.rows.reward, np.float64))
    best = np.argsort(-returns)[: int(0.3 * len(returns))]
    assert set(np.asarray(data.rows.episode)[np.asarray(data.kept)]) == set(best)


# --- all four -----------------------------------------------------------------------------------

# What each agent reads of its context while it learns.
READ = {
    "bc": ("learning_rate", "weight_decay", "adam_epsilon"),
    "iql": (
        "learning_rate", "critic_learning_rate", "value_learning_rate", "gamma", "tau",
        "expectile", "beta", "max_weight", "weight_decay",
    ),
    "odice": (
        "learning_rate", "value_learning_rate", "gamma", "tau", "odice_lambda", "eta",
        "max_weight", "weight_decay",
    ),
    "cql": (
        "learning_rate", "critic_learning_rate", "gamma", "tau", "cql_alpha", "cql_temperature",
        "temperature_learning_rate", "target_entropy_scale", "target_gap",
    ),
}  # fmt: skip
# Settings under which all of them matter: a bound that binds, a decay that decays something.
WHERE: dict[str, dict[str, Any]] = {
    "bc": {"weight_decay": 0.1, "adam_epsilon": 1e-3},
    "iql": {"max_weight": 1.0, "weight_decay": 0.1, "updates": 3},
    "odice": {"max_weight": 0.5, "weight_decay": 0.1, "updates": 3},
    "cql": {"lagrange": True, "cql_actions": 2, "updates": 3, "adam_epsilon": 1e-2},
}


@pytest.mark.parametrize("name", MINE)
def test_no_traced_setting_is_baked_in(name):
    agent, ctx = setup(name, **WHERE[name])
    state, batch = jax.jit(agent.collect)(start(agent, ctx), ctx)
    traces = []

    @jax.jit
    def learn(ctx: Context) -> Any:
        traces.append(1)
        return flat(agent.learn(state, batch, ctx)[0].learner)

    usual = learn(ctx)
    assert np.isfinite(usual).all()
    for setting in READ[name]:
        assert (learn(bump(ctx, setting)) != usual).any(), setting
    assert len(traces) == 1


@pytest.mark.parametrize(
    "name",
    ["odice", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bc", "iql", "cql"))],
)
def test_learning_is_differentiable_in_its_settings(name):
    agent, ctx = setup(name, **WHERE[name])
    state, batch = jax.jit(agent.collect)(start(agent, ctx), ctx)

    def objective(hp: Any) -> Any:
        return jnp.square(flat(agent.learn(state, batch, ctx._replace(hp=hp))[0].learner)).sum()

    grads = jax.jit(jax.grad(objective))(ctx.hp)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    assert abs(float(grads.learning_rate)) > 0


TABLES = [
    (row, name, data)
    for row in registry.agents().values()
    for name, preset in row.load_presets().items()
    for data in preset.get("dataset", {})
]


@pytest.mark.parametrize(("row", "name", "data"), TABLES, ids=lambda x: getattr(x, "name", x))
def test_every_datasets_own_set_is_a_configuration(row, name, data):
    """Of every agent: the dataset is known, the settings are, and they are laid over the rest."""
    assert data in registry.datasets()
    env = registry.datasets()[data].env
    settings, run = registry.resolve_preset(row, name, env, data)
    made = row.load_config().from_mapping(settings)
    assert run["total_steps"] >= made.steps_per_iteration()
    own = row.load_presets()[name]["dataset"][data]
    assert set(own) <= {*config.fields(row.load_config()), "total_steps", "source"}
    assert {k: made.to_mapping()[k] for k in own if k in made.to_mapping()} == {
        k: v for k, v in own.items() if k in made.to_mapping()
    }
