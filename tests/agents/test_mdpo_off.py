"""MDPO off-policy: its charges against worked numbers, and SAC inside it."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from soft_tools import SMALL, batch_of, core_of, setup

from rlsuite.agents.cores import sac as soft
from rlsuite.agents.cores.sac import Core, Soft
from rlsuite.agents.online.mdpo_off import agent as mirror
from rlsuite.agents.online.mdpo_off.config import Config
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import Context, Hyper
from rlsuite.nn.distributions import TanhGaussian
from rlsuite.nn.mlp import Net

KEY = jax.random.key(0)


def mdpo_core(period: int = 1000, **settings: Any) -> tuple[Core, Context]:
    core, ctx = core_of("mdpo-off", **settings)
    return core._replace(regularizer=mirror.regularizer(core.heads.actor, period)), ctx


def dist_with_density(*density: float) -> TanhGaussian:
    """A tanh-normal whose dimensions have these densities at tanh(0): 1/(sigma sqrt(2 pi))."""
    log_std = -jnp.log(jnp.array([density])) - 0.5 * jnp.log(2 * jnp.pi)
    return TanhGaussian(jnp.zeros_like(log_std), log_std, (-1.0,) * 2, (1.0,) * 2)


@pytest.mark.parametrize(
    ("q", "expected"),
    [(1.0, (-1.609438, -0.223144)), (1.5, (-1.105573, -0.211146)), (2.0, (-0.8, -0.2))],
)
def test_q_logarithm_of_each_dimension(q, expected):
    """Specification 17: ln_q of .2 and .8; over dimensions they add."""
    dist, raw = dist_with_density(0.2, 0.8), jnp.zeros((1, 2))
    np.testing.assert_allclose(mirror.q_log(dist, raw, jnp.float32(q)), [sum(expected)], rtol=1e-5)


@pytest.mark.parametrize("q", [1.2, 1.5, 2.0])
def test_q_logarithm_of_a_saturated_action_is_bounded(q: float):
    """Against the released code's density, in double precision."""
    dist = TanhGaussian(
        jnp.array([[29.0, -1.0]]), jnp.array([[0.0, -1.0]]), (-1.0,) * 2, (1.0,) * 2
    )
    raw = jnp.array([[30.0, -0.5]])
    u, mu, std = np.array([30.0, -0.5]), np.array([29.0, -1.0]), np.exp([0.0, -1.0])
    normal = np.exp(-0.5 * ((u - mu) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    density = normal / (1 - np.tanh(u) ** 2 + 1e-6)
    expected = ((density ** (q - 1) - 1) / (q - 1)).sum()
    value, gradient = jax.value_and_grad(lambda x: mirror.q_log(dist, x, jnp.float32(q))[0])(raw)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    assert np.isfinite(gradient).all()


def test_the_logarithm_itself_is_not_bounded():
    """q' = 1 is SAC's, slope and all."""
    dist = TanhGaussian(jnp.full((1, 2), 29.0), jnp.zeros((1, 2)), (-1.0,) * 2, (1.0,) * 2)
    raw = jnp.full((1, 2), 30.0)
    found = mirror.q_log(dist, raw, jnp.float32(1.0))
    np.testing.assert_allclose(found, dist.log_prob(raw), rtol=1e-6)
    assert float(found[0]) > 110


def test_policy_charge_in_numbers():
    """1/t = .5, lambda = .2, q' = 2: .5 (-1) + 2 (-.3)(-1.1) + 1e-3 (mean mu^2 + mean ls^2)."""
    new, old = dist_with_density(0.2, 0.8), dist_with_density(0.3, 0.6)
    hp = Hyper({"kl_coef": 0.5, "tsallis": 2.0, "regularization": 1e-3})
    actor = Net(lambda key: (), lambda params, obs: old)
    seen = Soft(jnp.zeros(1), jnp.zeros(1), new, jnp.zeros((1, 2)))
    ctx = Context(hp, None, jnp.int32(1))
    charge = mirror.policy_charge(actor, (), seen, jnp.zeros((1, 3)), 0.2, ctx)
    size = float(jnp.square(new.log_std).mean())
    np.testing.assert_allclose(charge, [-0.5 + 0.66 + 1e-3 * size], rtol=1e-5)


def test_the_gradient_goes_through_the_action_in_the_old_policy_too():
    """d/da of ln pi_k(a): moving the new mean toward the old lowers the charge."""
    core, ctx = mdpo_core(alpha=0.0, kl_coef=1.0, regularization=0.0)
    old = jax.jit(core.heads.actor.init)(KEY)
    far = jax.tree.map(lambda x: x + 0.3, old)

    @jax.jit
    @jax.grad
    def slope(mix: jax.Array) -> jax.Array:
        actor = jax.tree.map(lambda a, b: a + mix * (b - a), far, old)
        seen = core.heads.expect(actor, core.heads.critics.init(KEY), batch_of(256).obs, KEY)
        return core.regularizer.policy(old, seen, batch_of(256).obs, 0.0, ctx).mean()

    assert slope(jnp.float32(0)) < 0
    assert abs(slope(jnp.float32(1))) < 0.2 * abs(slope(jnp.float32(0)))


def test_at_home_without_entropy_the_loss_is_q1():
    """lambda = 0, pi = pi_k: both logarithms cancel and L = -Q1 + regularisation."""
    core, ctx = mdpo_core(alpha=0.0, kl_coef=0.7)

    @jax.jit
    def loss() -> Any:
        learner = soft.init(core, KEY, ctx)
        critics = learner.values[0][:1]
        seen = core.heads.expect(learner.policy.actor, critics, batch_of().obs, KEY)
        charge = core.regularizer.policy(learner.rule, seen, batch_of().obs, 0.0, ctx)
        q1 = core.heads.critics.apply(critics, batch_of().obs, jnp.tanh(seen.raw))[0]
        dist: Any = seen.dist
        size = jnp.square(dist.loc).mean() + jnp.square(dist.log_std).mean()
        return charge - seen.q, -q1 + 1e-3 * size

    np.testing.assert_allclose(*loss(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", ["q", pytest.param("v", marks=pytest.mark.slow)])
def test_with_one_over_t_equal_lambda_it_is_sac(value):
    """100 updates of the whole agents, acting included, parameter for parameter."""
    shared = {
        **SMALL, "updates": 5, "alpha": 0.2, "value": value, "order": "simultaneous",
        "actor_critic": "q1", "log_std": "clip", "log_std_min": -20.0,
    }  # fmt: skip
    sac, sac_ctx = setup("sac", "Pendulum-v1", 20, temperature="fixed", **shared)
    mdpo, mdpo_ctx = setup(
        "mdpo-off", "Pendulum-v1", 20,
        kl_coef=0.2, tsallis=1.0, regularization=0.0, refresh_period=7, **shared,
    )  # fmt: skip

    def learner(agent: Any, ctx: Context) -> Any:
        def run(key: jax.Array) -> Any:
            body = partial(agent.step, ctx=ctx)
            start = agent.init(key, ctx)
            return jax.lax.scan(lambda s, _: (body(s)[0], None), start, None, 20)[0]

        return jax.jit(run)(KEY).learner

    one, other = learner(sac, sac_ctx), learner(mdpo, mdpo_ctx)
    assert int(one.updates) == int(other.updates) == 100
    for a, b in ((one.policy.actor, other.policy.actor), (one.values, other.values)):
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), a, b)


def test_the_old_policy_is_replaced_at_every_mth_step():
    core, ctx = mdpo_core(period=3)
    step = jax.jit(lambda it, key: soft.update(core, it, batch_of(), key, ctx)[0])
    learner = jax.jit(lambda: soft.init(core, KEY, ctx))()
    kept = learner.policy.actor
    for n in range(1, 8):
        learner = step(learner, jax.random.fold_in(KEY, n))
        if n % 3 == 0:
            kept = learner.policy.actor
        jax.tree.map(np.testing.assert_array_equal, learner.rule, kept)


@pytest.mark.parametrize("exploration", ["sample", "greedy"])
def test_exploration(exploration):
    agent, ctx = setup("mdpo-off", "Pendulum-v1", exploration=exploration, **SMALL)
    policy = agent.policy(jax.jit(agent.init)(KEY, ctx))
    obs, first = jnp.ones((2, 3)), jnp.zeros(2, bool)

    @partial(jax.jit, static_argnums=1)
    def act(key: jax.Array, mode: Any) -> jax.Array:
        return agent.act(policy, (), obs, first, key, mode)[0]

    explored, mean = act(KEY, "explore"), act(KEY, "greedy")
    assert bool((explored == mean).all()) == (exploration == "greedy")
    assert bool((act(KEY, "sample") != mean).all())


def test_bad_settings():
    with pytest.raises(UsageError, match=r"agent.tsallis must be at least 1, not 0.5"):
        Config(tsallis=0.5)
    with pytest.raises(UsageError, match=r"agent.kl_coef must be above 0"):
        Config(kl_coef=0.0)
    assert registry.agent("mdpo-off").actions == ("box",)
