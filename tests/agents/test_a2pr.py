"""A2PR: its limits, masks, the gradient through its target, its VAE, what it is good for."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from off_policy_tools import Clock, assert_equal, parts_of
from pulled_tools import (
    SMALL,
    actors_output,
    assert_close,
    assert_differentiable,
    assert_nothing_baked_in,
    bandit,
    batch_of,
    runner,
    scene_of,
    setup,
    start,
)

from rlsuite.agents.offline import a2pr, td3_bc
from rlsuite.agents.offline.a2pr import agent as guide
from rlsuite.agents.offline.a2pr.agent import Reconstruction, Vae, divergence, parts
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import Context, Hyper

KEY = jax.random.key(0)
TINY: dict[str, Any] = {"vae_hidden": (16, 16)}


def hyper(**values: float) -> Context:
    return Context(Hyper({k: jnp.float32(v) for k, v in values.items()}), (), jnp.int32(1))


def bound(**settings: Any) -> guide.Parts:
    """What the pull's functions are bound to."""
    env: Any = Clock()
    return parts(env, a2pr.Config.from_mapping({**SMALL, **TINY, **settings}).static())


def some_scene(n: int = 32) -> Any:
    """Q1 = s, Q2 = -s; rows with observations of both signs."""
    rng = np.random.default_rng(0)
    rows = batch_of(rng.normal(size=(n, 1)), rng.uniform(-1, 1, (n, 2)))
    return scene_of(rows, lambda s, a: s[:, 0], lambda s, a: -s[:, 0])


def test_without_regression_it_is_td3_and_without_its_ideas_td3_bc():
    """24 updates: mask 0; then neither choice nor gate, whatever the mask."""
    other, other_ctx = setup(td3_bc)
    first, run = start(other, other_ctx), runner(other, 6)
    for mask, ideas in ((0.0, {}), (0.7, {"choice": "data", "gate": False})):
        agent, ctx = setup(a2pr, mask=mask, **TINY, **ideas)
        state = start(agent, ctx)
        assert_equal(state.learner.actor, first.learner.actor)
        a, _ = runner(agent, 6)(state, ctx)
        hp = other_ctx.hp.replace(cloning=jnp.float32(mask))
        b, _ = run(first, other_ctx._replace(hp=hp))
        for name in ("actor", "actor_target", "critics", "critics_target"):
            assert_close(getattr(a.learner, name), getattr(b.learner, name))


@pytest.mark.parametrize(("v", "share"), [(jnp.inf, 0.0), (-jnp.inf, 1.0), (0.0, None)])
def test_the_gate_opens_where_an_action_is_better_than_v(v, share):
    """Q1 = s for every action: where s >= 0 the action made is as good as v = 0."""
    x = some_scene()
    to = guide.aim(bound(), jnp.full(32, v), x.batch.action, x)
    expected = np.asarray(x.batch.obs)[:, 0] >= 0 if share is None else np.full(32, bool(share))
    np.testing.assert_array_equal(to.regressed, expected)
    always = guide.aim(bound(gate=False), jnp.full(32, v), x.batch.action, x)
    assert np.asarray(always.regressed).all()


def test_the_target_is_the_better_of_two_actions():
    """Q1 is the action's first entry; a tie goes to the VAE's."""
    rows = batch_of(np.zeros((3, 1)), [[0.5, 0.1], [0.5, 0.2], [0.5, 0.3]])
    x = scene_of(rows, lambda s, a: a[:, 0], lambda s, a: a[:, 1])
    made = jnp.array([[0.6, -1.0], [0.5, -1.0], [0.4, -1.0]])
    to = guide.aim(bound(), jnp.zeros(3), made, x)
    np.testing.assert_array_equal(to.made, [True, True, False])
    np.testing.assert_allclose(to.action, [[0.6, -1.0], [0.5, -1.0], [0.5, 0.3]], rtol=1e-6)
    for choice, expected in (("vae", made), ("data", rows.action)):
        to = guide.aim(bound(choice=choice), jnp.zeros(3), made, x)
        np.testing.assert_array_equal(to.action, expected)


@pytest.mark.parametrize("detach", [False, True])
def test_the_gradient_passes_through_a_linear_vae(detach):
    """Of mask mean (p - G p)^2: 2 mask (p - G p)^T (I - G) / (B A), or without (I - G)."""
    matrix = jnp.array([[0.5, -0.2], [0.1, 0.3]])

    def apply(params: Any, obs: Any, action: Any, key: Any) -> Reconstruction:
        return Reconstruction(action @ matrix.T, action, action)

    x = some_scene()
    fixed = bound(choice="vae", gate=False, detach_target=detach)
    fixed = fixed._replace(vae=Vae(lambda key: (), apply))
    state = guide.Guide((), (), (), (), jnp.zeros(32))
    ctx, p = hyper(alpha=0.0, mask=0.7), x.batch.action[::-1]
    grad = jax.grad(lambda p: guide.actor_loss(fixed, state, p, x, KEY, ctx)[0])(p)
    error = p - p @ matrix.T
    expected = error if detach else error @ (np.eye(2) - matrix)
    np.testing.assert_allclose(grad, 2 * 0.7 * expected / 64, rtol=1e-4, atol=1e-7)


def test_v_learns_the_least_of_targets_and_updated_critics():
    """r + discount min over two heads (2, 3) + s and two targets (5, 1) - s at the given a'."""
    rows = batch_of(np.zeros((3, 1)), np.zeros((3, 2)))._replace(
        reward=jnp.array([1.0, 2.0, 3.0]),
        discount=jnp.array([0.9, 0.0, 0.9]),
        next_obs=jnp.array([[0.0], [0.0], [-4.0]]),
    )

    def heads(sign: float, *q: float) -> Any:
        return lambda s, a: jnp.stack([c + sign * s[:, 0] + a[:, 0] for c in q])

    x = scene_of(rows, None)._replace(
        next_action=jnp.full((3, 2), 0.5), q=heads(1, 2.0, 3.0), q_target=heads(-1, 5.0, 1.0)
    )
    np.testing.assert_allclose(
        guide.value_target(x), [1 + 0.9 * 1.5, 2.0, 3 + 0.9 * -1.5], rtol=1e-6
    )


def test_a_vae_with_nothing_to_learn_becomes_its_prior():
    """No row is better than an infinite v: the loss is the divergence, mu -> 0, sigma -> 1."""
    pieces, x = bound(), some_scene()
    ctx = hyper(
        value_learning_rate=1e-3, vae_learning_rate=1e-2, adam_epsilon=1e-8, vae_weight=1.5,
        kl_weight=0.5, advantage_threshold=0.0,
    )  # fmt: skip
    state = guide.init(pieces, KEY, ctx).replace(v=jnp.full(32, jnp.inf))

    def body(state: Any, key: Any) -> Any:
        return guide.vae_step(pieces, state, x, key, ctx)

    run = jax.jit(lambda s: jax.lax.scan(body, s, jax.random.split(KEY, 300)))
    state, report = run(state)
    np.testing.assert_allclose(report["loss/vae"].sum, 0.5 * report["loss/kl"].sum, rtol=1e-6)
    assert not np.any(report["loss/reconstruction"].sum)
    made = pieces.vae.apply(state.vae, x.batch.obs, x.batch.action, KEY)
    assert report["loss/kl"].sum[0] > 0.02
    np.testing.assert_allclose(made.mean, 0.0, atol=0.05)
    np.testing.assert_allclose(jnp.exp(made.log_std), 1.0, atol=0.05)


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (1.5, -1.0), (-0.3, 0.7)])
def test_the_divergence_is_the_integral(mean, log_std):
    """int p ln(p / q) of normal densities, summed on a fine grid."""
    sigma = np.exp(log_std)
    z, dz = np.linspace(mean - 12 * sigma, mean + 12 * sigma, 20_001, retstep=True)
    log_p = -0.5 * ((z - mean) / sigma) ** 2 - log_std
    integral = (np.exp(log_p) / np.sqrt(2 * np.pi) * (log_p + 0.5 * z**2)).sum() * dz
    kl = divergence(jnp.float32(mean), jnp.float32(log_std))
    np.testing.assert_allclose(kl, integral, rtol=1e-4, atol=1e-6)


def test_no_setting_is_baked_in():
    agent, ctx = setup(a2pr, **TINY)
    names = [
        "alpha", "mask", "value_learning_rate", "vae_learning_rate", "vae_weight", "kl_weight",
        "advantage_threshold",
    ]  # fmt: skip
    assert_nothing_baked_in(agent, ctx, names)


@pytest.mark.slow
def test_learning_is_differentiable():
    # Where the gate is shut on all rows the mask weighs nothing.
    agent, ctx = setup(a2pr, updates=3, adam_epsilon=1e-2, gate=False, **TINY)
    assert_differentiable(agent, ctx, ["alpha", "mask", "vae_learning_rate"])


def two_modes() -> Any:
    """Four of five actions near -0.5, worth nothing; the fifth near 0.5, worth one."""
    rng = np.random.default_rng(0)
    good = np.arange(500) % 5 == 0
    action = np.where(good, 0.5, -0.5)[:, None] + rng.uniform(-0.05, 0.05, (500, 2))
    obs = np.ones((500, 1), np.float32)
    return bandit(obs, action.astype(np.float32), good.astype(np.float32))


@pytest.mark.slow
def test_only_the_good_mode_is_cloned():
    """With little Q and much regression TD3+BC's actor is the data's mean, -0.3; A2PR's is the
    good mode: of eight seeds the largest error was 0.02."""
    data, seen = two_modes(), jnp.zeros((1, 1))
    ours, ctx = setup(a2pr, data, mask=10.0, alpha=0.1, **TINY)
    theirs, their_ctx = setup(td3_bc, data, cloning=10.0, alpha=0.1)
    learned = actors_output(ours, 200, 3, seen)(ctx)
    np.testing.assert_allclose(learned, np.full((3, 1, 2), 0.5), atol=0.1)
    cloned = actors_output(theirs, 200, 3, seen)(their_ctx)
    np.testing.assert_allclose(cloned, np.full((3, 1, 2), -0.3), atol=0.15)


@pytest.mark.slow
def test_the_vae_reproduces_only_the_good_mode():
    """Also from an action of the bad one; of eight seeds the largest error was 0.034."""
    agent, ctx = setup(a2pr, two_modes(), **TINY)
    state, _ = runner(agent, 200)(start(agent, ctx), ctx)
    core, pull = parts_of(agent).algorithm.update.args[0], state.learner.pull
    pieces = core.behaviour.init.args[0]
    made = pieces.vae.apply(
        pull.vae, jnp.zeros((64, 1)), jnp.tile(jnp.array([[-0.5, -0.5]]), (64, 1)), KEY
    )
    assert np.abs(made.action - 0.5).mean() < 0.1


def test_the_published_sets():
    row = registry.agent("a2pr")
    for dataset, numbers in {
        "hopper-medium-v2": (0.4, 1.0, 2.5, 0.995),
        "halfcheetah-medium-replay-v2": (0.8, 1.5, 40.0, 0.995),
        "halfcheetah-medium-expert-v2": (15.0, 1.0, 40.0, 0.99),
        "walker2d-medium-expert-v2": (0.8, 1.0, 2.5, 0.99),
    }.items():
        settings, run = registry.resolve_preset(row, "authors", "", dataset)
        config = a2pr.Config.from_mapping(settings)
        assert (config.mask, config.vae_weight, config.alpha, config.gamma) == numbers
        assert run == {"total_steps": 1_000_000}
    with pytest.raises(UsageError, match="no set for halfcheetah-random-v2"):
        registry.resolve_preset(row, "authors", "mujoco:HalfCheetah-v4", "halfcheetah-random-v2")
