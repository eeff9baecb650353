"""SAC's losses against worked numbers, and its core against what it must reduce to."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from gymnasium import spaces
from soft_tools import SMALL, batch_of, core_of, setup

from rlsuite.agents.cores import sac as soft
from rlsuite.agents.cores.off_policy import critic_loss
from rlsuite.agents.cores.sac import Core
from rlsuite.agents.online.sac.config import Config
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import Context
from rlsuite.nn.distributions import TanhGaussian

KEY = jax.random.key(0)
SLOW = pytest.mark.slow


def started(core: Core, ctx: Context) -> Any:
    """A learner; compiled, since dozens of small operations one by one take seconds."""
    return jax.jit(lambda key: soft.init(core, key, ctx))(KEY)


def tanh_normal(loc: float, std: float, n: int = 1) -> TanhGaussian:
    return TanhGaussian(jnp.full((n, 1), loc), jnp.full((n, 1), math.log(std)), (-1.0,), (1.0,))


def test_density_of_a_squashed_normal():
    """Specification: mu 0, sigma 1, u .5: ln N = -1.0439385, log-det = -.2402290."""
    np.testing.assert_allclose(
        tanh_normal(0, 1).log_prob(jnp.array([[0.5]])), -0.8037095, rtol=1e-6
    )


@pytest.mark.parametrize(("loc", "std"), [(0.0, 1.0), (0.7, 0.3), (-1.0, 0.8)])
def test_density_integrates_to_one(loc, std):
    u = np.linspace(-8, 8, 20_001, dtype=np.float32)
    density = np.exp(tanh_normal(loc, std, len(u)).log_prob(jnp.asarray(u)[:, None]))
    assert np.trapezoid(density, np.tanh(u.astype(np.float64))) == pytest.approx(1, abs=1e-4)


def test_losses():
    q, charge = jnp.array([1.0, 3.0]), jnp.array([0.5, -0.5])
    np.testing.assert_allclose(soft.charged_value(q, charge), [0.5, 3.5])
    assert soft.actor_loss(q, charge) == -2
    # (1-2)^2, (2-2)^2 -> .5; (4-2)^2, (2-2)^2 -> 2.
    both = jnp.array([[1.0, 2.0], [4.0, 2.0]])
    assert critic_loss(both, jnp.array([2.0, 2.0])) == 2.5
    log_alpha, log_prob = jnp.log(0.5), jnp.array([-1.0, -2.0])
    # -.5 mean(-1 - 1, -2 - 1) = 1.25; ln(.5) in alpha's place: -.6931 x 2.5.
    assert soft.temperature_loss(log_alpha, log_prob, -1.0, "alpha") == pytest.approx(1.25)
    other = soft.temperature_loss(log_alpha, log_prob, -1.0, "log_alpha")
    assert other == pytest.approx(-0.6931472 * 2.5)


def test_nothing_flows_through_targets():
    grad = jax.grad(lambda y: critic_loss(jnp.ones((2, 3)), y))(jnp.zeros(3))
    np.testing.assert_array_equal(grad, 0)
    grad = jax.grad(lambda q: soft.charged_value(q, q * 0.5).sum())(jnp.ones(3))
    np.testing.assert_array_equal(grad, 0)


@pytest.mark.parametrize("kind", ["alpha", "log_alpha"])
@pytest.mark.parametrize(("entropy", "sign"), [(-3.0, -1), (-1.0, 1)])
def test_entropy_below_its_target_raises_alpha(kind, entropy, sign):
    """Descent on the loss moves ln alpha against the gradient's sign; the target is -2."""
    grad = jax.grad(soft.temperature_loss)(jnp.float32(-1), jnp.array([-entropy]), -2.0, kind)
    assert np.sign(grad) == sign


@pytest.mark.parametrize("value", ["q", "v"])
def test_targets(value):
    """r + discount (min Q' - alpha ln pi), or r + discount V', at the key's own draw."""
    core, ctx = core_of(temperature="fixed", alpha=0.3, value=value)
    learner, batch = started(core, ctx), batch_of()
    y, v = jax.jit(lambda: soft.targets(core, learner, batch, KEY, ctx))()
    where = batch.next_obs if value == "q" else batch.obs
    dist = core.heads.actor.apply(learner.policy.actor, where)
    raw = dist.sample(KEY)
    q = core.heads.critics.apply(learner.values[0], where, jnp.tanh(raw)).min(0)
    paid = q - 0.3 * dist.log_prob(raw)
    if value == "q":
        np.testing.assert_allclose(y, batch.reward + batch.discount * paid, rtol=1e-5)
        assert v is None
    else:
        assert v is not None
        following = core.heads.value.apply(learner.values[1], batch.next_obs)
        np.testing.assert_allclose(y, batch.reward + batch.discount * following, rtol=1e-5)
        np.testing.assert_allclose(v, paid, rtol=1e-5)


def test_without_entropy_and_noise_the_target_is_td3s():
    core, ctx = core_of(
        temperature="fixed", alpha=1e-9, log_std="clip", log_std_min=-20.0, log_std_max=-19.0
    )
    learner, batch = started(core, ctx), batch_of()
    y, _ = soft.targets(core, learner, batch, KEY, ctx)
    mu = jnp.tanh(core.heads.actor.apply(learner.policy.actor, batch.next_obs).loc)
    q = core.heads.critics.apply(learner.target, batch.next_obs, mu).min(0)
    np.testing.assert_allclose(y, batch.reward + batch.discount * q, atol=1e-6)


def test_discrete_expectations_are_sums():
    core, ctx = core_of(action_space=spaces.Discrete(3))
    learner, obs = started(core, ctx), batch_of().obs
    seen = core.heads.expect(learner.policy.actor, learner.values[0], obs, KEY)
    p = np.asarray(jax.nn.softmax(core.heads.actor.apply(learner.policy.actor, obs).logits))
    q = np.asarray(core.heads.critics.apply(learner.values[0], obs).min(0))
    np.testing.assert_allclose(seen.q, (p * q).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(seen.log_prob, (p * np.log(p)).sum(-1), rtol=1e-5)
    taken = core.heads.taken(learner.values[0], obs, jnp.full(16, 2))
    np.testing.assert_allclose(taken[1], core.heads.critics.apply(learner.values[0], obs)[1, :, 2])


@pytest.mark.parametrize(("space", "entropy"), [(spaces.Discrete(4), math.log(4)), (None, -2.0)])
def test_target_entropies(space, entropy):
    core, _ = core_of(**({"action_space": space} if space else {}))
    assert core.heads.entropy == pytest.approx(entropy)


@pytest.mark.parametrize("kind", ["tanh", "clip", "softplus"])
def test_bounds_of_the_deviation(kind):
    """Whatever the network says, ln sigma stays where the setting puts it."""
    core, ctx = core_of(log_std=kind, log_std_min=-3.0, log_std_max=1.0)
    actor = jax.tree.map(lambda x: 100 * x, started(core, ctx).policy.actor)
    log_std = core.heads.actor.apply(actor, batch_of(64).obs).log_std
    assert log_std.min() >= -3.0 - 1e-5
    assert log_std.min() < -2.9
    if kind != "softplus":
        assert log_std.max() <= 1.0 + 1e-5
        assert log_std.max() > 0.9


def assert_close(one: Any, other: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one, other)


def changed(before: Any, after: Any) -> bool:
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return any(bool((a != b).any()) for a, b in pairs)


def test_periods():
    """The actor moves at every second update, the target at every third, the critics always."""
    core, ctx = core_of(actor_period=2, actor_updates=2, target_period=3)
    step = jax.jit(lambda learner, key: soft.update(core, learner, batch_of(), key, ctx))
    learner = started(core, ctx)
    for n in range(1, 7):
        new, report = step(learner, jax.random.fold_in(KEY, n))
        assert changed(learner.policy, new.policy) == (n % 2 == 0)
        assert float(report["loss/policy"].count) == (2 if n % 2 == 0 else 0)
        assert changed(learner.target, new.target) == (n % 3 == 0)
        assert changed(learner.values, new.values)
        learner = new
    # Three phases of two Adam steps.
    assert int(learner.policy.alpha_opt[1].count) == 6


@pytest.mark.parametrize(
    "order",
    ["critic_first", *(pytest.param(x, marks=SLOW) for x in ("actor_first", "simultaneous"))],
)
def test_order(order):
    """Who sees whose result: each half is recomputed from what it should have seen."""
    core, ctx = core_of(order=order)
    learner, batch = started(core, ctx), batch_of()
    value_key, actor_key, penalty_key = jax.random.split(KEY, 3)
    new, _ = jax.jit(lambda it: soft.update(core, it, batch, KEY, ctx))(learner)
    actor = jax.jit(lambda it: soft.actor_phase(core, it, batch=batch, key=actor_key, ctx=ctx))
    given = {"batch": batch, "key": value_key, "penalty_key": penalty_key, "ctx": ctx}
    critic = jax.jit(lambda it: soft.value_step(core, it, **given))
    seen = learner.replace(values=new.values) if order == "critic_first" else learner
    assert_close(actor(seen)[0].policy, new.policy)
    seen = learner.replace(policy=new.policy) if order == "actor_first" else learner
    assert_close(critic(seen)[0].values, new.values)


def test_q1_or_the_minimum():
    """With 'q1' the second critic has no say in the actor's step."""
    batch, outcome = batch_of(), {}
    for choice in ("q1", "min"):
        core, ctx = core_of(actor_critic=choice)
        learner = started(core, ctx)
        q1, q2 = learner.values[0]
        other = learner.replace(values=((q1, jax.tree.map(lambda x: 0 * x - 9, q2)), ()))
        phase = jax.jit(partial(soft.actor_phase, core, batch=batch, key=KEY, ctx=ctx))
        outcome[choice] = changed(*(phase(it)[0].policy.actor for it in (learner, other)))
    assert outcome == {"q1": False, "min": True}


@pytest.mark.parametrize("env", ["Pendulum-v1", pytest.param("CartPole-v1", marks=SLOW)])
def test_steps_are_counted_and_finite(env):
    agent, ctx = setup("sac", env, num_envs=4, updates=3, **SMALL)
    state, step = jax.jit(agent.init)(KEY, ctx), jax.jit(agent.step)
    state, report = step(step(state, ctx)[0], ctx)
    assert int(state.counters.env_steps) == 32 + 2 * 4
    assert int(state.learner.updates) == 6
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((state.learner, report)))


def test_greedy_is_the_mean_and_exploring_draws():
    agent, ctx = setup("sac", "Pendulum-v1", **SMALL)
    policy = agent.policy(jax.jit(agent.init)(KEY, ctx))
    obs, first = jnp.ones((2, 3)), jnp.zeros(2, bool)
    one, other = (
        [agent.act(policy, (), obs, first, jax.random.key(k), mode)[0] for k in (1, 2)]
        for mode in ("greedy", "explore")
    )
    np.testing.assert_array_equal(one[0], one[1])
    assert (other[0] != other[1]).all()


@pytest.mark.slow
def test_learning_is_differentiable_in_the_settings():
    agent, ctx = setup("sac", "Pendulum-v1", updates=3, **SMALL)
    state, batch = jax.jit(lambda: agent.collect(agent.init(KEY, ctx), ctx))()

    def after(rate: jax.Array) -> jax.Array:
        new, _ = agent.learn(state, batch, ctx._replace(hp=ctx.hp.replace(learning_rate=rate)))
        return optax.tree.norm(new.learner.policy.actor)

    grad = jax.jit(jax.grad(after))(jnp.float32(1e-3))
    assert np.isfinite(grad)
    assert grad != 0


def test_bad_settings():
    with pytest.raises(UsageError, match=r"log_std_min 3 is not below agent.log_std_max 2: try -5"):
        Config(log_std_min=3.0)
    with pytest.raises(UsageError, match=r"'cnn' needs image observations but CartPole-v1"):
        Config(network="cnn").check_env(registry.env("CartPole-v1"))
    with pytest.raises(UsageError, match=r"'v' needs continuous actions but CartPole-v1"):
        Config(value="v").check_env(registry.env("CartPole-v1"))
    with pytest.raises(UsageError, match=r"agent.alpha must be above 0"):
        Config(alpha=0.0)


def test_kinds_are_chosen_by_the_space():
    static = Config(hidden=(8,)).static()
    assert soft.make_heads(static, spaces.Box(0, 1, (10, 10, 4)), spaces.Discrete(3)).entropy > 0
