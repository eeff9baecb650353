"""TRPO's parts against dense algebra, and its promise: the KL bound holds, or nothing moves."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from on_policy_tools import TINY, parts_of, setup
from ppo_tools import context, first_rollout

from rlsuite.agents.cores import separate
from rlsuite.agents.online.trpo import Config, make, trust_region
from rlsuite.agents.online.trpo.agent import mean_kl
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError

SMALL: dict[str, Any] = TINY | {"hidden": (4,)}


def same(a, b):
    """Whether two trees agree bit for bit."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in pairs)


@pytest.fixture(scope="module", params=["CartPole-v1", "Pendulum-v1"])
def rollout(request):
    """(environment, a state, its rollout)."""
    agent, ctx = setup("trpo", request.param, **SMALL)
    return request.param, *first_rollout(agent, ctx)


@pytest.fixture(scope="module")
def curvature(rollout):
    """(F as a matrix from its products, F as the Hessian of the KL, the products, theta)."""
    env, state, batch = rollout
    agent, ctx = setup("trpo", env, **SMALL)
    parts = parts_of(agent)
    policy, value = separate.split(state.params)
    # Away from the first weights, whose last layer is nearly 0.
    policy = jax.tree.map(lambda x: x + 0.3 * jnp.cos(1.0 * jnp.arange(x.size)).reshape(x.shape),
                          policy)  # fmt: skip
    theta, unravel = ravel_pytree(policy)
    _, seen = separate.prepare(parts, state, batch, ctx)

    def outputs(theta):
        return separate.distribution(parts, value, seen, unravel(theta))

    old = outputs(theta)
    product = trust_region.fisher_product(outputs, mean_kl, theta)
    matrix = jax.jit(jax.vmap(product))(jnp.eye(theta.size))
    # Dense layers have no forward mode: the Hessian row by row, reverse over reverse.
    hessian = jax.jit(jax.jacrev(jax.grad(lambda t: mean_kl(old, outputs(t)))))(theta)
    return np.asarray(matrix), np.asarray(hessian), product, theta


def test_fisher_products_are_the_hessian_of_the_kl(curvature):
    matrix, hessian, _, _ = curvature
    size = np.abs(hessian).max()
    np.testing.assert_allclose(matrix, hessian, atol=2e-6 * size, rtol=1e-4)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6 * size)
    assert np.linalg.eigvalsh(matrix).min() > -1e-5 * size


def test_conjugate_gradients_solve_a_small_network(curvature):
    matrix, _, product, theta = curvature
    damped = matrix + 0.1 * np.eye(len(matrix))
    b = jnp.sin(1.0 + jnp.arange(theta.size))
    solve = partial(trust_region.conjugate_gradient, iterations=3 * theta.size, tolerance=1e-14)
    x = jax.jit(lambda b: solve(lambda v: product(v) + 0.1 * v, b))(b)
    exact = np.linalg.solve(damped.astype(np.float64), np.asarray(b, np.float64))
    assert np.abs(x - exact).max() < 1e-6 * np.abs(exact).max() * np.linalg.cond(damped)
    assert np.linalg.norm(damped @ np.asarray(x) - b) < 1e-6 * np.linalg.norm(b)


@pytest.mark.parametrize("iterations", [1, 10])
def test_the_step_has_the_length_of_the_bound(curvature, iterations):
    """x^T F x = 2 delta before any backtracking, also when the iterations have not converged."""
    matrix, _, product, theta = curvature
    b = jnp.sin(1.0 + jnp.arange(theta.size))
    step = jax.jit(
        lambda b: trust_region.natural_step(
            lambda v: product(v) + 0.1 * v, b, 0.02, iterations, 1e-10
        )
    )(b)
    damped = matrix + 0.1 * np.eye(len(matrix))
    assert float(step @ damped @ step) == pytest.approx(2 * 0.02, rel=1e-4)
    assert float(step @ b) > 0


def test_without_a_slope_there_is_no_step_and_gradients_are_finite():
    def step(scale):
        b = scale * jnp.ones(3)
        return trust_region.natural_step(lambda v: 2 * v, b, 0.01, 4, 1e-10).sum()

    assert float(step(0.0)) == 0
    assert np.isfinite(jax.grad(step)(0.0))
    # 3 equal numbers of length sqrt(2 * 0.01 / 2).
    assert float(step(5.0)) == pytest.approx(3 * 0.1 / np.sqrt(3), rel=1e-5)


def quadratic(theta):
    """A surrogate that rises up to 1, and the KL theta^2/2."""
    return (theta - 0.5 * theta**2).sum(), (0.5 * theta**2).sum()


@pytest.mark.parametrize(
    ("step", "bound", "scale"),
    [
        (0.1, 0.01, 1.0),  # at once
        (0.2, 0.01, 0.5),  # KL .02, then .005
        (0.8, 0.01, 0.125),  # .32, .08, .02, .005
        (3.0, 10.0, 0.5),  # the bound holds at once; the surrogate falls to -1.5, then .375
        (8.0, 0.01, 0.0),  # no length in four is short enough
        (np.nan, 0.01, 0.0),
        (np.inf, 0.01, 0.0),
        (-0.1, 1.0, 0.0),  # every length loses
    ],
)
def test_line_search_by_hand(step, bound, scale):
    theta = jnp.zeros(1)
    search = partial(trust_region.line_search, quadratic, max_kl=bound, factor=0.5, steps=4)
    found = search(theta, jnp.array([step]))
    assert float(found.scale) == scale
    assert bool(found.accepted) == (scale > 0)
    np.testing.assert_allclose(found.theta, scale * step if scale else 0.0)
    assert float(found.kl) <= bound
    assert float(found.surrogate) >= 0


def test_a_failed_line_search_leaves_the_policy_bit_for_bit(rollout):
    """One length, and a bound far beyond where the quadratic model holds; V still learns."""
    env, state, batch = rollout
    hopeless = SMALL | {"backtrack_steps": 1, "damping": 0.0, "max_kl": 5.0}
    agent, ctx = setup("trpo", env, **hopeless)
    new, report = jax.jit(agent.learn)(state, batch, ctx)
    assert float(report["policy/line_search"].sum) == 0
    (policy, value), (new_policy, new_value) = map(separate.split, (state.params, new.params))
    assert same(policy, new_policy)
    assert not same(value, new_value)


@pytest.mark.parametrize(
    "env", ["CartPole-v1", pytest.param("Pendulum-v1", marks=pytest.mark.slow)]
)
def test_the_bound_holds_after_every_update(env):
    """The KL is measured anew, from the policies before and after, on the rollout between them."""
    settings = TINY | {"num_steps": 64, "max_kl": 0.05, "damping": 1e-3}
    agent, ctx = setup("trpo", env, horizon=25, **settings)
    parts = parts_of(agent)

    def step(state):
        state, batch = agent.collect(state, ctx)
        new, report = agent.learn(state, batch, ctx)
        _, seen = separate.prepare(parts, state, batch, ctx)
        policy, value = separate.split(new.params)
        after = separate.distribution(parts, value, seen, policy)
        return new, (mean_kl(seen.sample.dist, after), report)

    state = jax.jit(agent.init)(jax.random.key(0), ctx)
    _, (kls, reports) = jax.jit(lambda s: jax.lax.scan(lambda s, _: step(s), s, None, 25))(state)
    kls, taken = np.asarray(kls), np.asarray(reports["policy/line_search"].sum)
    assert kls.max() <= 0.05 * (1 + 1e-4)
    np.testing.assert_allclose(kls, reports["policy/kl_max"].value, rtol=1e-3, atol=1e-6)
    assert taken.mean() > 0.8
    # Steps use the region: a bound that is kept by standing still would prove nothing.
    assert np.median(kls[taken > 0]) > 0.01
    assert (kls[taken == 0] < 1e-6).all()


def test_no_traced_hyperparameter_is_baked_into_the_program():
    one = Config.from_mapping(TINY)
    other = Config.from_mapping({name: value / 2 for name, value in one.hyper().items()}, one)
    assert one.static() == other.static()
    env = registry.make_env("Probe-BestAction")
    programs = set()
    for config in (one, other):
        agent, ctx = make(env, config), context(config, env)
        state = jax.eval_shape(agent.init, jax.random.key(0), ctx)
        programs.add(str(jax.make_jaxpr(agent.step)(state, ctx)))
    assert len(programs) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"num_steps": 64, "value_minibatches": 1, "fisher_every": 65},
            "fisher_every 65 leaves no sample .* at most 64",
        ),
        ({"backtrack_factor": 1.0}, "agent.backtrack_factor must be below 1"),
        ({"max_kl": 0.0}, "agent.max_kl must be above 0"),
        ({"learning_rate": 0.1}, "no setting 'agent.learning_rate': did you mean 'value_learning"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Config.from_mapping(settings)
