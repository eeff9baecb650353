"""ReBRAC: worked numbers of its two charges, TD3+BC as its limit, its networks, its lag."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from off_policy_tools import parts_of
from pulled_tools import (
    actors_output,
    assert_close,
    assert_differentiable,
    assert_nothing_baked_in,
    bandit,
    batch_of,
    dense,
    runner,
    scene_of,
    setup,
    start,
)

from rlsuite.agents.cores import dpg
from rlsuite.agents.cores.dpg import Behaviour, Core
from rlsuite.agents.offline import rebrac, td3_bc
from rlsuite.agents.offline.rebrac.agent import actor_loss, critic_term
from rlsuite.agents.offline.td3_bc.agent import actor_loss as td3_bc_loss
from rlsuite.contracts import registry
from rlsuite.contracts.types import Context, Hyper
from rlsuite.nn import mlp

KEY = jax.random.key(0)


def hyper(**values: float) -> Context:
    return Context(Hyper({k: jnp.float32(v) for k, v in values.items()}), (), jnp.int32(1))


def test_the_targets_charge_sums_squares_where_there_is_a_next_action():
    """0.5 (0.3^2 + 0.4^2) = 0.125; the second row's episode was cut, nothing is known of it."""
    rows = batch_of([[0.0]] * 2, [[0.0, 0.0]] * 2, [[0.2, -0.6]] * 2, [True, False])
    taken = jnp.array([[0.5, -0.2], [0.5, -0.2]])
    charge = critic_term((), taken, rows, KEY, hyper(critic_beta=0.5))
    np.testing.assert_allclose(charge, [0.125, 0.0], rtol=1e-6)


def test_after_a_terminal_the_charge_is_discounted_away():
    """y = r + discount (min Q' - charge): (0.9 (2 - 0.01 x 2), 0) with a' = 0, a'_data = (1, 1)."""
    critics = mlp.Net(lambda key: (), lambda cs, obs, action: jnp.stack([2.0 + obs[:, 0]] * 2))
    actor = mlp.Net(lambda key: (), lambda w, obs: jnp.zeros((obs.shape[0], 2)))
    core = Core(actor, critics, 1, False, Behaviour(critic_term=critic_term))
    hp = {"learning_rate": 1.0, "critic_learning_rate": 1.0, "adam_epsilon": 1.0}
    ctx = hyper(critic_beta=0.01, exploration_noise=0.0, **hp)
    rows = batch_of([[0.0]] * 2, [[0.0, 0.0]] * 2, [[1.0, 1.0]] * 2)
    rows = rows._replace(discount=jnp.array([0.9, 0.0]))
    y, _ = dpg.target(core, dpg.init(core, KEY, ctx), rows, (KEY, KEY), ctx)
    np.testing.assert_allclose(y, [0.9 * 1.98, 0.0], rtol=1e-6)


@pytest.mark.parametrize(("normalize", "gain"), [(True, -1.5 / 2.5), (False, -1.5)])
def test_the_actors_loss_takes_the_least_critic_and_sums_squares(normalize, gain):
    """Heads (5, -1) and (4, 7): least (4, -1), mean 1.5, mean size 2.5. Squares 0.5 and 0."""
    rows = batch_of([[5.0], [-1.0]], [[0.5, 0.0], [0.0, 0.0]])
    x = scene_of(rows, lambda s, a: s[:, 0], lambda s, a: jnp.array([4.0, 7.0]))
    action = jnp.array([[0.0, 0.5], [0.0, 0.0]])
    report: Any
    loss, report = actor_loss(normalize, (), action, x, KEY, hyper(actor_beta=0.1))
    np.testing.assert_allclose(loss, gain + 0.1 * 0.25, rtol=1e-6)
    assert float(report["policy/distance"].sum) == 0.5


def test_the_gradient_is_td3_bcs_with_alpha_one_over_actions_times_beta():
    """Where both heads agree: beta_1 A x TD3+BC's, by both losses' own formulas."""
    rng = np.random.default_rng(0)
    rows = batch_of(rng.normal(size=(8, 1)), rng.uniform(-1, 1, (8, 3)))
    head = lambda s, a: s[:, 0] + jnp.sin(3 * a).sum(-1)  # noqa: E731
    x, action = scene_of(rows, head, head), jnp.asarray(rng.uniform(-1, 1, (8, 3)), jnp.float32)
    beta = 0.05
    ours = jax.grad(lambda a: actor_loss(True, (), a, x, KEY, hyper(actor_beta=beta))[0])(action)
    ctx = hyper(alpha=1 / (3 * beta), cloning=1.0)
    theirs = jax.grad(lambda a: td3_bc_loss((), a, x, KEY, ctx)[0])(action)
    assert np.abs(ours).max() > 1e-2
    np.testing.assert_allclose(ours, 3 * beta * theirs, rtol=1e-4, atol=1e-7)


def test_without_its_additions_it_trains_as_td3_bc_does():
    """24 updates with both critics alike; A beta_1 = cloning, alpha = 1."""
    plain = {"critic_layer_norm": False, "small_start": False, "target_lag": False}
    ours, ctx = setup(rebrac, actor_beta=0.1, critic_beta=0.0, standardize=True, **plain)
    theirs, their_ctx = setup(td3_bc, alpha=1.0, cloning=0.2)
    state = start(ours, ctx)
    twins = (state.learner.critics[0],) * 2
    learner = state.learner.replace(critics=twins, critics_target=twins)
    state = state.replace(learner=jax.tree.map(jnp.copy, learner))
    (a, _), (b, _) = runner(ours, 6)(state, ctx), runner(theirs, 6)(state, their_ctx)
    moved = jax.tree.map(lambda x, y: np.abs(x - y).max(), a.learner.actor, state.learner.actor)
    assert min(jax.tree.leaves(moved)) > 1e-3
    for name in ("actor", "actor_target", "critics", "critics_target"):
        assert_close(getattr(a.learner, name), getattr(b.learner, name))


def test_networks_start_as_edacs_and_only_critics_have_layer_norm():
    agent, ctx = setup(rebrac, critic_hidden=())
    learner = start(agent, ctx).learner
    for params, bound in ((learner.actor, 1e-3), *((c, 3e-3) for c in learner.critics)):
        *hidden, last = dense(params)
        assert len(hidden) == 2
        for layer in hidden:
            np.testing.assert_array_equal(layer["bias"], np.float32(0.1))
            limit = 1 / np.sqrt(layer["kernel"].shape[0])
            assert 0.8 * limit < np.abs(layer["kernel"]).max() <= limit
        assert 0.5 * bound < np.abs(last["kernel"]).max() <= bound
        assert 0 < np.abs(last["bias"]).max() <= bound
    assert not [n for n in learner.actor["params"] if "Norm" in n]
    assert len([n for n in learner.critics[0]["params"] if "Norm" in n]) == 2
    *_, last = dense(start(*setup(rebrac, small_start=False)).learner.actor)
    assert np.abs(last["kernel"]).max() > 0.1


def test_critics_normalise_after_the_activation():
    """Q of hidden layers whose normalised entries have mean 0 and deviation 1."""
    agent, ctx = setup(rebrac, hidden=(16,), critic_hidden=(16,))
    params = start(agent, ctx).learner.critics[0]
    x = np.array([[0.7, 0.2, -0.4]], np.float32)
    first, last = dense(params)
    h = np.maximum(x @ first["kernel"] + first["bias"], 0)
    h = (h - h.mean()) / np.sqrt(h.var() + 1e-5)
    critics = parts_of(agent).algorithm.update.args[0].critics
    q = critics.apply((params,), jnp.asarray(x[:, :1]), jnp.asarray(x[:, 1:]))
    np.testing.assert_allclose(q[0], (h @ last["kernel"] + last["bias"])[0], rtol=1e-4)


@pytest.mark.parametrize("lag", [True, False])
def test_the_target_actor_follows_the_actor_of_before_its_step(lag):
    """Targets are copies at first: a step late, the first actor step leaves them where they are."""
    agent, ctx = setup(rebrac, updates=2, target_lag=lag)
    first = start(agent, ctx)
    step = jax.jit(agent.step)
    second, _ = step(first, ctx)
    third, _ = step(second, ctx)

    def differ(a: Any, b: Any) -> bool:
        return any(np.any(x != y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))

    assert differ(second.learner.actor, first.learner.actor)
    assert differ(second.learner.actor_target, first.learner.actor) != lag
    followed = (second if lag else third).learner.actor
    expected = mlp.polyak(second.learner.actor_target, followed, ctx.hp.tau)
    assert_close(third.learner.actor_target, expected)


def test_no_setting_is_baked_in():
    agent, ctx = setup(rebrac)
    assert_nothing_baked_in(agent, ctx, ["actor_beta", "critic_beta", "gamma", "tau"])


@pytest.mark.slow
def test_learning_is_differentiable():
    agent, ctx = setup(rebrac, updates=3, adam_epsilon=1e-2)
    assert_differentiable(agent, ctx, ["actor_beta", "critic_learning_rate"])


@pytest.mark.slow
def test_the_actors_charge_decides_between_the_best_and_the_datas_action():
    """Actions uniform, Q = 1 - |a - 0.5|^2: the best is 0.5, the data's mean 0.

    The scaled gain's slope is 2 (0.5 - a) / Q, the charge's 2 beta a: they balance at 0.495 for
    beta 0.01 and at 0.01 for beta 100. Of eight seeds the largest errors were 0.15 and 0.10.
    """
    rng = np.random.default_rng(0)
    action = rng.uniform(-1, 1, (512, 2)).astype(np.float32)
    reward = 1 - np.square(action - 0.5).sum(-1)
    agent, ctx = setup(rebrac, bandit(np.ones((512, 1), np.float32), action, reward))
    learn = actors_output(agent, 100, 3, jnp.ones((1, 1)))
    for beta, expected in ((0.01, 0.495), (100.0, 0.01)):
        learned = learn(ctx._replace(hp=ctx.hp.replace(actor_beta=jnp.float32(beta))))
        np.testing.assert_allclose(learned, np.full((3, 1, 2), expected), atol=0.22)


def test_the_published_betas():
    row = registry.agent("rebrac")
    for dataset, betas in {
        "hopper-medium-v2": (0.01, 0.01), "walker2d-random-v2": (0.01, 0.0),
        "halfcheetah-medium-expert-v2": (0.01, 0.1), "hopper-medium-replay-v2": (0.05, 0.5),
    }.items():  # fmt: skip
        settings, run = registry.resolve_preset(row, "authors", "", dataset)
        config = rebrac.Config.from_mapping(settings)
        assert (config.actor_beta, config.critic_beta, config.gamma) == (*betas, 0.99)
        assert run == {"total_steps": 1_000_000}
    maze, _ = registry.resolve_preset(row, "authors", "", "antmaze-large-play-v2")
    config = rebrac.Config.from_mapping(maze)
    assert (config.batch_size, config.gamma, config.rewards) == (256, 0.999, "antmaze-rebrac")
