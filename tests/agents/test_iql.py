"""IQL: its losses in worked numbers, its limits, and the order of its steps."""

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
from rlsuite.agents.offline.iql import agent as iql
from rlsuite.agents.offline.iql.agent import Core
from rlsuite.contracts.registry import agent as row
from rlsuite.contracts.types import Context, Hyper
from rlsuite.nn.mlp import Net

KEY = jax.random.key(0)


def tables(**settings: Any) -> tuple[Core, Context]:
    """Two states and two actions, an entry of a table each; a policy of one number."""
    config = row("iql").load_config().from_mapping({"clip_actions": False, **settings})
    static: Any = config.static()

    def q(params: Any, obs: Any, action: Any) -> Any:
        return jnp.stack([p[obs[..., 0].astype(int), action[..., 0].astype(int)] for p in params])

    core = Core(
        static,
        Net(lambda key: jnp.zeros(1), lambda p, obs: jnp.broadcast_to(p, obs.shape)),
        Net(lambda key: (jnp.zeros((2, 2)), jnp.zeros((2, 2))), q),
        Net(lambda key: jnp.zeros(2), lambda p, obs: p[obs[..., 0].astype(int)]),
    )
    hp = {name: jnp.float32(v) for name, v in config.hyper().items()}
    return core, Context(Hyper(hp), (), jnp.int32(10))


# State 0 leads to state 1 for nothing; there action 0 earns nothing and action 1 earns 1.
CHAIN = Minibatch(
    obs=jnp.array([[0.0], [0.0], [1.0], [1.0]]),
    action=jnp.array([[0.0], [1.0], [0.0], [1.0]]),
    reward=jnp.array([0.0, 0.0, 0.0, 1.0]),
    discount=jnp.array([0.9, 0.9, 0.0, 0.0]),
    next_obs=jnp.array([[1.0], [1.0], [0.0], [0.0]]),
)


@pytest.mark.parametrize("tau", [0.5, 0.7, 0.9])
def test_the_expectile_of_a_coin_is_tau(tau):
    def slope(v: float) -> float:
        return float(jax.grad(lambda v: iql.expectile_loss(jnp.array([0.0, 1.0]) - v, tau))(v))

    assert abs(slope(tau)) < 1e-6
    assert slope(tau - 0.1) < -0.05 < 0.05 < slope(tau + 0.1)


def test_expectile_loss_in_worked_numbers():
    """(0.7 x 4 + 0.3 x 1)/2; at 0.5 half the mean square."""
    u = jnp.array([2.0, -1.0])
    np.testing.assert_allclose(iql.expectile_loss(u, 0.7), 1.55, rtol=1e-6)
    np.testing.assert_allclose(iql.expectile_loss(u, 0.5), 0.5 * 2.5, rtol=1e-6)


def test_advantage_weights_are_bounded_and_so_are_their_derivatives():
    advantage = jnp.array([-1.0, 0.0, 1.0, 1e4])
    np.testing.assert_allclose(
        iql.advantage_weight(advantage, 3.0, 100.0), [np.exp(-3), 1, np.exp(3), 100], rtol=1e-5
    )
    grad = jax.grad(lambda beta: iql.advantage_weight(advantage, beta, 100.0).sum())(3.0)
    np.testing.assert_allclose(grad, -np.exp(-3) + np.exp(3), rtol=1e-5)


@pytest.mark.parametrize("order", ["value_first", "simultaneous"])
def test_what_policy_and_critics_see_of_v(order):
    """V moves from 0 by Adam's first step, 0.1, toward Q' = 1; both V's are the same entry."""
    core, ctx = tables(
        order=order, value_learning_rate=0.1, critic_learning_rate=0.1, learning_rate=0.1,
        policy="deterministic", decay="none", gamma=0.5,
    )  # fmt: skip
    learner = iql.init(core, KEY, ctx)
    ones = jax.tree.map(jnp.ones_like, learner.critics_target)
    learner = learner.replace(critics_target=ones)
    rows = Minibatch(
        jnp.zeros((1, 1)), jnp.ones((1, 1)), jnp.ones(1), jnp.full(1, 0.5), jnp.zeros((1, 1))
    )
    new, report = jax.jit(partial(iql.update, core))(learner, rows, KEY, ctx)
    v = 0.1 if order == "value_first" else 0.0
    np.testing.assert_allclose(new.value, [0.1, 0.0], rtol=1e-5)
    np.testing.assert_allclose(number(report, "policy/weight"), np.exp(3 * (1 - v)), rtol=1e-4)
    # Both critics start at 0: their loss is 2 y^2.
    np.testing.assert_allclose(
        number(report, "loss/critic"), 2 * (1 + 0.5 * v) ** 2, rtol=1e-5
    )  # fmt: skip
    np.testing.assert_allclose(number(report, "loss/value"), 0.7, rtol=1e-6)
    # mean w |mu - a|^2 at mu = 0, a = 1.
    np.testing.assert_allclose(
        number(report, "loss/policy"), number(report, "policy/weight"), rtol=1e-5
    )
    np.testing.assert_allclose(new.actor.params, [0.1], rtol=1e-4)
    # The target follows the critics just moved, by 0.005.
    np.testing.assert_allclose(
        new.critics_target[0][0, 1], 1 + 0.005 * (0.1 - 1), rtol=1e-5
    )  # fmt: skip
    assert int(new.updates) == 1


def test_values_of_a_chain_are_expectiles_of_the_behaviours():
    """V(1) = tau, V(0) = gamma tau: at 0.5 those of the behaviour, near 1 the best action's.

    So large an epsilon makes Adam plain descent, which comes to rest.
    """
    core, ctx = tables(
        policy="deterministic", decay="none", tau=0.1, value_learning_rate=0.5,
        critic_learning_rate=0.5, adam_epsilon=1.0,
    )  # fmt: skip
    taus = jnp.array([0.5, 0.7, 0.9, 0.99])

    def run(tau: Any) -> Any:
        at = ctx._replace(hp=ctx.hp.replace(expectile=tau))
        step = partial(iql.update, core, batch=CHAIN, key=KEY, ctx=at)
        start = iql.init(core, KEY, at)
        return jax.lax.scan(lambda s, _: (step(s)[0], None), start, None, 4000)[0]

    end = jax.jit(jax.vmap(run))(taus)
    np.testing.assert_allclose(end.value[:, 1], taus, atol=2e-3)
    np.testing.assert_allclose(end.value[:, 0], 0.9 * taus, atol=2e-3)
    np.testing.assert_allclose(end.critics[0][:, 1], [[0, 1]] * 4, atol=2e-3)


@pytest.mark.parametrize("kind", ["gaussian", "deterministic"])
def test_without_advantages_it_is_behaviour_cloning(kind):
    """The same policy from the same start, three steps; a deterministic one pays a sum where BC
    pays a mean, of one entry here."""
    shared = {"policy": kind, "decay": "none", "init": "torch", "standardize": False}
    one, ctx1 = setup("iql", beta=0.0, clip_actions=False, **shared)
    two, ctx2 = setup("bc", **shared)
    (a, mine), (b, theirs) = pieces(one, ctx1), pieces(two, ctx2)
    theirs = theirs.replace(actor=mine.actor)
    first, second = jax.jit(a.update), jax.jit(b.update)
    for n in range(3):
        mine, report = first(mine, batch_of(seed=n), KEY, ctx1)
        theirs, _ = second(theirs, batch_of(seed=n), KEY, ctx2)
        assert number(report, "policy/weight") == 1.0
    np.testing.assert_allclose(
        flat(mine.actor.params), flat(theirs.actor.params), rtol=1e-5, atol=1e-7
    )


def test_actions_at_the_bound_are_moved_inside_before_anything_sees_them():
    agent, ctx = setup("iql", policy="deterministic")
    algorithm, learner = pieces(agent, ctx)
    batch = batch_of()
    update = jax.jit(algorithm.update)
    at = update(learner, batch._replace(action=jnp.ones((16, 1))), KEY, ctx)
    inside = update(learner, batch._replace(action=jnp.full((16, 1), 1 - 1e-5)), KEY, ctx)
    assert_equal(at, inside)


def test_presets_say_what_the_papers_do():
    def settings(preset: str, data: str) -> Any:
        from rlsuite.contracts import registry

        env = registry.datasets()[data].env
        chosen, _ = registry.resolve_preset(row("iql"), preset, env, data)
        return row("iql").load_config().from_mapping(chosen)

    plain = settings("authors", "walker2d-medium-v2")
    assert (plain.expectile, plain.beta, plain.rewards) == (0.7, 3.0, "return-range")
    assert (plain.standardize, plain.order, plain.decay) == (False, "value_first", "cosine")
    maze = settings("authors", "antmaze-large-play-v2")
    assert (maze.expectile, maze.beta, maze.rewards) == (0.9, 10.0, "antmaze-iql")
    hopper = settings("corl", "hopper-medium-v2")
    assert (hopper.policy, hopper.standardize) == ("deterministic", True)
    mixed = settings("corl", "hopper-medium-expert-v2")
    assert (mixed.beta, mixed.expectile, mixed.rewards) == (6.0, 0.5, "none")
