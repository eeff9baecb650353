"""ODICE: its gradients against autodiff, its fixed points in closed form, its weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cloning_tools import batch_of, flat, number, pieces, setup
from off_policy_tools import assert_equal

from rlsuite.agents.cores.off_policy import Minibatch
from rlsuite.agents.offline.odice import agent as odice
from rlsuite.agents.offline.odice.agent import DIVERGENCES
from rlsuite.contracts import registry
from rlsuite.nn import mlp

KEY = jax.random.key(0)
PEARSON = DIVERGENCES["pearson"]


# --- divergences --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_slope_is_the_conjugates_derivative(name):
    f, y = DIVERGENCES[name], jnp.linspace(-4.0, 3.0, 57)
    derivative = jax.vmap(jax.grad(lambda x: f.conjugate(x)))(y)
    # Left of -2 and right of it; at the kink both one-sided derivatives are 0.
    np.testing.assert_allclose(f.slope(y), derivative, atol=1e-6)


def test_pearsons_conjugate():
    """f*(0) = 0, f*(-2) = -1 from both sides, and it is the maximum over densities."""
    np.testing.assert_allclose(
        PEARSON.conjugate(jnp.array([0.0, -2.0, -2.001, -1.999, -9.0, 2.0])),
        [0.0, -1.0, -1.0, -1.0, -1.0, 3.0],
        atol=1e-6,
    )
    y, x = np.linspace(-4, 3, 29), np.linspace(0, 4, 4001)
    best = (x * y[:, None] - (x - 1) ** 2).max(1)
    np.testing.assert_allclose(PEARSON.conjugate(jnp.asarray(y)), best, atol=1e-5)


# --- gradients ----------------------------------------------------------------------------------


def scene(norm: bool = True, twin: bool = True) -> Any:
    """(V, its parameters, its target's, a batch)."""
    shape = mlp.Shape((8, 8), layer_norm=norm)
    net = mlp.ensemble(mlp.critic(shape, (3,), 0), 2 if twin else 1)
    return net.apply, net.init(KEY), net.init(jax.random.key(1)), batch_of(32)


def losses(value: Any, target: Any, batch: Minibatch, lam: float, eta: float) -> Any:
    """The three parts, each a function of the parameters."""
    low, low_next = value(target, batch.obs).min(0), value(target, batch.next_obs).min(0)

    def mean(p: Any) -> Any:
        return (1 - lam) * value(p, batch.obs).mean()

    def forward(p: Any) -> Any:
        y = batch.reward + batch.discount * low_next - value(p, batch.obs)
        return lam * PEARSON.conjugate(y).mean()

    def backward(p: Any) -> Any:
        y = batch.reward + batch.discount * value(p, batch.next_obs) - low
        return lam * eta * PEARSON.conjugate(y).mean()

    return mean, forward, backward


@pytest.mark.parametrize(("norm", "twin"), [(True, True), (False, False)])
def test_the_projected_part_is_orthogonal_to_the_forward_gradient(norm, twin):
    value, params, target, batch = scene(norm, twin)
    lam, eta = 0.6, 0.7
    mean, forward, backward = losses(value, target, batch, lam, eta)
    g_v, g_f, g_b = (np.asarray(flat(jax.grad(part)(params)), np.float64) for part in
                     (mean, forward, backward))  # fmt: skip
    c = g_f @ g_b / (g_f @ g_f)
    found = odice.orthogonal(PEARSON, value, params, target, batch, lam, eta)
    np.testing.assert_allclose(flat(found.total), g_v + g_f + g_b - c * g_f, atol=1e-5)
    np.testing.assert_allclose(found.coefficient, c, rtol=1e-4)
    np.testing.assert_allclose(
        found.cosine, g_f @ g_b / np.sqrt((g_f @ g_f) * (g_b @ g_b)), rtol=1e-4
    )
    kept = np.asarray(flat(found.total), np.float64) - g_v - g_f
    assert abs(kept @ g_f) < 1e-4 * np.linalg.norm(kept) * np.linalg.norm(g_f)
    assert abs(g_b @ g_f) > 0.02 * np.linalg.norm(g_b) * np.linalg.norm(g_f)


def test_a_step_along_the_projected_part_leaves_the_forward_loss():
    """To first order: a small step there and back changes a fiftieth of what one along the whole
    backward gradient does."""
    value, params, target, batch = scene(norm=False)
    _, forward, backward = losses(value, target, batch, 0.6, 1.0)
    g_f, g_b = jax.grad(forward)(params), jax.grad(backward)(params)
    c = odice.dot(g_f, g_b) / odice.dot(g_f, g_f)
    kept = jax.tree.map(lambda b, f: b - c * f, g_b, g_f)

    def change(direction: Any) -> float:
        length = 5e-3 / jnp.sqrt(odice.dot(g_b, g_b))
        ahead, behind = (jax.tree.map(lambda p, d: p + s * length * d, params, direction)  # noqa: B023
                         for s in (1, -1))  # fmt: skip
        return float(forward(ahead) - forward(behind))

    assert abs(change(kept)) < 0.02 * abs(change(g_b))


def test_without_a_backward_gradient_it_is_the_semi_gradient():
    value, params, target, batch = scene()
    whole = odice.orthogonal(PEARSON, value, params, target, batch, 0.6, 0.0)
    half = odice.semi(PEARSON, value, params, target, batch, 0.6)
    np.testing.assert_allclose(flat(whole.total), flat(half.total), rtol=1e-5, atol=1e-8)
    assert_equal(whole.residual, half.residual)
    mean, forward, _ = losses(value, target, batch, 0.6, 0.0)
    direct = jax.grad(lambda p: mean(p) + forward(p))(params)
    np.testing.assert_allclose(flat(half.total), flat(direct), atol=1e-6)


def test_the_true_gradient_is_that_of_the_loss_without_a_target():
    value, params, _, batch = scene()

    def loss(p: Any) -> Any:
        v = value(p, batch.obs)
        y = batch.reward + batch.discount * value(p, batch.next_obs) - v
        return (0.4 * v + 0.6 * PEARSON.conjugate(y)).mean()

    found = odice.true(PEARSON, value, params, batch, 0.6)
    np.testing.assert_allclose(flat(found.total), flat(jax.grad(loss)(params)), atol=1e-6)


def test_terminal_rows_give_no_backward_gradient():
    value, params, target, batch = scene()
    over = batch._replace(discount=jnp.zeros(32))
    a = odice.orthogonal(PEARSON, value, params, target, over, 0.6, 1.0)
    b = odice.semi(PEARSON, value, params, target, over, 0.6)
    np.testing.assert_allclose(flat(a.total), flat(b.total), rtol=1e-5, atol=1e-8)
    assert a.coefficient == 0


def test_a_vanishing_forward_gradient_divides_nothing_by_zero():
    """All forward residuals below -2: f* is flat there."""
    value, params, target, batch = scene()
    found = odice.orthogonal(
        PEARSON, value, params, target, batch._replace(reward=jnp.full(32, -50.0)), 0.6, 1.0
    )
    assert found.coefficient == 0
    assert np.isfinite(flat(found.total)).all()


# --- fixed points -------------------------------------------------------------------------------


def table(params: Any, obs: Any) -> Any:
    """V as an entry for each state, one head."""
    return params[obs[..., 0].astype(int)][None]


def settle(batch: Minibatch, states: int, lam: Any, steps: int = 3000) -> Any:
    """Where semi-gradient descent rests, its own values as target."""

    def body(v: Any, _: Any) -> Any:
        found = odice.semi(PEARSON, table, v, v, batch, lam)
        return v - 0.5 * found.total, None

    return jax.lax.scan(body, jnp.zeros(states), None, steps)[0]


def one_step(rewards: list[float]) -> Minibatch:
    """Rows of one state whose world ends."""
    n = len(rewards)
    zeros = jnp.zeros((n, 1))
    return Minibatch(zeros, zeros, jnp.array(rewards), jnp.zeros(n), zeros)


def test_the_value_of_a_bandit_in_closed_form():
    """V = r + 4 - 2/lambda."""
    lam = jnp.array([0.4, 0.5, 0.6, 0.8])
    v = jax.jit(jax.vmap(lambda x: settle(one_step([3.0]), 1, x)))(lam)
    np.testing.assert_allclose(v[:, 0], 3 + 4 - 2 / np.array([0.4, 0.5, 0.6, 0.8]), atol=1e-4)
    np.testing.assert_allclose(v[:, 0] - 3, [-1, 0, 2 / 3, 1.5], atol=1e-4)


def test_two_arms_and_what_each_weight_makes_of_them():
    """V = .5, 1.167, 2, 2.556; from lambda = .6 on the repository's weight clones nothing."""
    lam, arms = jnp.array([0.5, 0.6, 0.8, 0.9]), one_step([0.0, 1.0])
    v = jax.jit(jax.vmap(lambda x: settle(arms, 1, x)))(lam)[:, 0]
    np.testing.assert_allclose(v, [0.5, 7 / 6, 2.0, 23 / 9], atol=1e-3)
    y = arms.reward - v[:, None]
    np.testing.assert_allclose(PEARSON.slope(y)[2], [0.0, 0.5], atol=1e-3)
    np.testing.assert_allclose(PEARSON.repo_weight(y)[0], [0.0, 0.5], atol=1e-3)
    np.testing.assert_array_equal(PEARSON.repo_weight(y)[1:], 0)
    # Where it rests the density's mean is (1 - lambda)/lambda.
    np.testing.assert_allclose(PEARSON.slope(y).mean(1), (1 - lam) / lam, atol=1e-3)


@pytest.mark.parametrize("lam", [0.5, 0.7])
def test_a_chain_adds_up_what_a_bandit_earns(lam):
    """V(s_k) = sum_j gamma^j (r + 4 - 2/lambda); at 0.5 exactly the return."""
    n, gamma, r = 5, 0.9, 2.0
    place = jnp.arange(n, dtype=jnp.float32)[:, None]
    discount = jnp.where(jnp.arange(n) == n - 1, 0.0, gamma)
    chain = Minibatch(place, place, jnp.full(n, r), discount, jnp.minimum(place + 1, n - 1))
    v = jax.jit(lambda: settle(chain, n, lam))()
    left = np.arange(n, 0, -1)
    expected = (r + 4 - 2 / lam) * (1 - gamma**left) / (1 - gamma)
    np.testing.assert_allclose(v, expected, atol=1e-3)


# --- the agent ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "expected"), [("repo", [[0.0, 0.0, 1.0, 4.0]]), ("theory", [[0.0, 0.5, 1.5, 4.0]])]
)
def test_weights_are_bounded(weight, expected):
    agent, ctx = setup("odice", weight=weight, max_weight=4.0)
    y = jnp.array([[-3.0, -1.0, 1.0, 99.0]])
    np.testing.assert_allclose(
        odice.cloning_weight(agent.config.static(), y, ctx), expected, rtol=1e-6
    )


def test_the_report_counts_what_is_cloned_and_how_far_it_is_from_rest():
    agent, ctx = setup("odice", critic_layer_norm=False, gradient="semi", odice_lambda=0.5)
    algorithm, learner = pieces(agent, ctx)
    zero = jax.tree.map(jnp.zeros_like, learner.value)
    learner = learner.replace(value=zero, value_target=zero)
    batch = batch_of(4)._replace(reward=jnp.array([-4.0, -1.0, 1.0, 2.0]))
    _, report = jax.jit(algorithm.update)(learner, batch, KEY, ctx)
    # V is 0: residuals are rewards; f*' = 0, .5, 1.5, 2, (1 - lambda)/lambda = 1.
    assert number(report, "policy/nonzero_weight") == 0.5
    np.testing.assert_allclose(number(report, "value/stationarity"), 0.0, atol=1e-6)
    np.testing.assert_allclose(number(report, "policy/weight"), 0.75)
    assert "value/gradient_cosine" not in report


def test_the_policy_sees_residuals_of_before_the_step_and_v_does_not_see_the_policy():
    agent, ctx = setup("odice", value_learning_rate=0.1)
    algorithm, learner = pieces(agent, ctx)
    batch, update = batch_of(), jax.jit(algorithm.update)
    _, report = update(learner, batch, KEY, ctx)
    core = algorithm.update.args[0]
    y = batch.reward + batch.discount * core.value.apply(learner.value_target, batch.next_obs).min(
        0
    )
    weight = np.maximum(0, y - core.value.apply(learner.value, batch.obs))
    np.testing.assert_allclose(number(report, "policy/weight"), weight.mean(), rtol=1e-5)
    nll = -core.policy.apply(learner.actor.params, batch.obs).log_prob(batch.action)
    np.testing.assert_allclose(number(report, "loss/policy"), (weight * nll).mean(), rtol=1e-4)
    other = learner.replace(
        actor=learner.actor.replace(params=jax.tree.map(lambda x: x + 1, learner.actor.params))
    )
    assert_equal(update(other, batch, KEY, ctx)[0].value, update(learner, batch, KEY, ctx)[0].value)


def test_presets_follow_the_authors_script():
    row = registry.agent("odice")

    def settings(data: str) -> Any:
        chosen, _ = registry.resolve_preset(row, "authors", registry.datasets()[data].env, data)
        return row.load_config().from_mapping(chosen)

    hopper = settings("hopper-medium-v2")
    assert (hopper.odice_lambda, hopper.eta, hopper.rewards) == (0.6, 1.0, "return-range-legacy")
    assert (hopper.twin, hopper.critic_layer_norm, hopper.mean) == (True, True, "linear")
    assert hopper.hidden == (1024, 1024)
    twins = {d: settings(f"antmaze-{d}-v2").twin for d in
             ("umaze", "umaze-diverse", "medium-play", "medium-diverse", "large-play",
              "large-diverse")}  # fmt: skip
    assert [d for d, twin in twins.items() if not twin] == [
        "umaze-diverse", "large-play", "large-diverse"
    ]  # fmt: skip
    maze = settings("antmaze-medium-play-v2")
    assert (maze.critic_layer_norm, maze.rewards) == (False, "antmaze-odice")


@pytest.mark.parametrize("kind", ["orthogonal", pytest.param("true", marks=pytest.mark.slow)])
def test_the_better_of_two_actions_is_cloned(kind):
    """One state, actions ±0.5 with rewards 10 and 0, lambda 0.5, linear mean: the weight of the
    worse is 0 once V is above it. Of 6 seeds the largest error was 0.001."""
    env = registry.make_env("Probe-BestAction-Continuous")
    agent, ctx = setup(
        "odice", env, gradient=kind, odice_lambda=0.5, updates=50, standardize=False,
        learning_rate=1e-2, value_learning_rate=1e-2, weight_decay=0.0,
    )  # fmt: skip
    rows = ctx.data.rows
    good = (jnp.arange(len(rows.reward)) % 2 == 0)[:, None]
    rows = rows._replace(
        obs=jnp.zeros_like(rows.obs),
        action=jnp.where(good, 0.5, -0.5),
        reward=jnp.where(good[:, 0], 10.0, 0.0),
        terminated=jnp.ones_like(rows.terminated),
    )
    ctx = ctx._replace(data=ctx.data._replace(rows=rows))

    def run(key: jax.Array) -> Any:
        step = partial(agent.step, ctx=ctx)
        state, reports = jax.lax.scan(lambda s, _: step(s), agent.init(key, ctx), None, 20)
        share = reports["policy/nonzero_weight"]
        seen = agent.act(agent.policy(state), (), rows.obs[0], jnp.bool_(True), key, "greedy")[0]
        return seen, share.sum[-1] / share.count[-1]

    actions, share = jax.jit(jax.vmap(run))(jax.random.split(KEY, 3))
    np.testing.assert_allclose(actions, 0.5, atol=0.05)
    np.testing.assert_allclose(share, 0.5, atol=0.1)
