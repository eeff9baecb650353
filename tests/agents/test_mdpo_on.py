"""On-policy MDPO's identities: mirror descent's closed form, and m = 1 is the policy gradient."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from on_policy_tools import TINY, cosine, parts_of, setup
from ppo_tools import context, first_rollout

from rlsuite.agents.cores import on_policy, separate
from rlsuite.agents.online.mdpo import Config, make
from rlsuite.agents.online.mdpo.agent import mirror_descent, policy_optimizer
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import Context, Hyper
from rlsuite.nn.distributions import Categorical
from rlsuite.ops import drift as drifts
from rlsuite.ops.drift import Progress

# With b1 = b2 = 0 and a huge epsilon Adam's step is gradient / epsilon.
PLAIN_SGD = {
    "adam_b1": 0.0, "adam_b2": 0.0, "adam_epsilon": 1e8, "learning_rate": 1e8,
    "gradient_clip": "none",
}  # fmt: skip
# Action counts of a rollout of the old policy: its frequencies are the probabilities exactly.
OLD = np.array([1, 3, 2, 2])
ADVANTAGE = np.array([1.0, -1.0, 0.5, 0.0])


def solved(old, advantage, t, divergence: Any = "kl", q=2.0, steps=4000):
    """The policy after many plain gradient steps of MDPO's objective with exact advantages."""
    actions = jnp.asarray(np.repeat(np.arange(len(old)), old))
    logits = jnp.log(jnp.asarray(old, jnp.float32))
    prior = Categorical(jnp.broadcast_to(logits, (actions.size, len(old))))
    sample = on_policy.Sample(
        actions, prior.log_prob(actions), jnp.zeros(actions.size), prior,
        jnp.asarray(advantage, jnp.float32)[actions], jnp.zeros(actions.size),
    )  # fmt: skip
    ctx = Context(Hyper({"mirror_step": jnp.float32(t), "tsallis_q": q}), None, jnp.int32(1))
    progress = Progress(jnp.float32(0), jnp.float32(1))
    drift = drifts.mdpo("constant", divergence)

    def loss(logits):
        dist = Categorical(jnp.broadcast_to(logits, prior.logits.shape))
        return on_policy.policy_terms(dist, sample, (), progress, ctx, drift).loss

    def step(_, logits):
        return logits - min(t, 1.0) * jax.grad(loss)(logits)

    return jax.nn.softmax(jax.jit(partial(jax.lax.fori_loop, 0, steps, step))(logits))


@pytest.mark.parametrize("t", [1e-3, 0.3, 1.0, 3.0])
def test_many_steps_are_the_closed_form_of_mirror_descent(t):
    """pi_k exp(t A) / Z."""
    expected = OLD * np.exp(t * ADVANTAGE)
    np.testing.assert_allclose(solved(OLD, ADVANTAGE, t), expected / expected.sum(), atol=1e-4)


def test_two_arms_by_hand():
    got = solved(np.array([1, 1]), np.array([1.0, -1.0]), 1.0)
    np.testing.assert_allclose(got, [0.8807971, 0.1192029], atol=1e-5)


def test_a_small_step_changes_nothing_and_a_large_one_is_greedy():
    old = OLD / OLD.sum()
    np.testing.assert_allclose(solved(OLD, ADVANTAGE, 1e-6), old, atol=1e-5)
    assert float(solved(OLD, ADVANTAGE, 50.0, steps=20_000)[0]) > 0.99


def test_tsallis_solution_satisfies_its_own_optimality():
    """q' = 2: maximising p A - |p - p_k|^2 / t moves by t (A - mean A) / 2 inside the simplex."""
    t = 0.2
    expected = OLD / OLD.sum() + t * (ADVANTAGE - ADVANTAGE.mean()) / 2
    got = solved(OLD, ADVANTAGE, t, "tsallis", steps=20_000)
    np.testing.assert_allclose(got, expected, atol=1e-3)
    kl = solved(OLD, ADVANTAGE, t, "kl")
    np.testing.assert_allclose(solved(OLD, ADVANTAGE, t, "tsallis", q=1.0), kl, atol=1e-4)


@pytest.fixture(scope="module", params=["CartPole-v1", "Pendulum-v1"])
def rollout(request):
    """(environment, a state, its rollout); longer than CartPole's episodes."""
    agent, ctx = setup("mdpo", request.param, **TINY | {"num_steps": 40})
    return request.param, *first_rollout(agent, ctx)


def test_one_step_is_the_vanilla_policy_gradient(rollout):
    """-mean(A grad ln pi), advantages standardised over the rollout: direction and length.

    The KL is there, with 1/t = 100, and has no gradient at the old policy.
    """
    env, state, batch = rollout
    settings = TINY | PLAIN_SGD | {"num_steps": 40, "policy_steps": 1, "mirror_step": 1e-2}
    agent, ctx = setup("mdpo", env, **settings)
    parts = parts_of(agent)
    policy, value = separate.split(state.params)
    _, seen = separate.prepare(parts, state, batch, ctx)
    advantage = np.asarray(seen.sample.advantage)
    assert abs(advantage.mean()) < 1e-5
    assert advantage.std() == pytest.approx(1, abs=1e-5)

    def vanilla(policy):
        dist = separate.distribution(parts, value, seen, policy)
        return -(advantage * dist.log_prob(seen.sample.action)).mean()

    expected = jax.jit(jax.grad(vanilla))(policy)
    after, _, _ = jax.jit(partial(mirror_descent, parts))(
        state, ctx, seen, policy_optimizer(parts, ctx, jnp.float32(0)).init(policy)
    )
    step = jax.tree.map(lambda old, new: old - new, policy, after)
    assert cosine(step, expected) > 1 - 1e-5
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-3, atol=2e-6), step, expected)


def test_later_steps_are_pulled_back(rollout):
    """With 1/t large, ten steps end nearer to the old policy than with 1/t = 0 in all but name."""
    env, state, batch = rollout
    agent, ctx = setup("mdpo", env, **TINY | {"num_steps": 40, "learning_rate": 1e-2})
    learn, kls = jax.jit(agent.learn), []
    for t in (1e3, 1e-3):
        hp = ctx.hp.replace(mirror_step=jnp.float32(t))
        _, report = learn(state, batch, ctx._replace(hp=hp))
        kls.append(float(report["policy/kl"].sum / report["policy/kl"].count))
    assert 0 < kls[1] < 0.5 * kls[0]


def test_advantages_that_are_all_equal_are_none():
    exactly = jax.jit(on_policy.standardize_exactly)
    slope = jax.jit(jax.grad(lambda x: on_policy.standardize_exactly(x).sum()))
    for equal in (0.0, 0.1, 5.0, -3e4):
        x = jnp.full(97, equal)
        np.testing.assert_array_equal(exactly(x), 0)
        assert np.isfinite(slope(x)).all()
    x = on_policy.standardize_exactly(jnp.array([1.0, 2.0, 3.0, 6.0]))
    np.testing.assert_allclose(x, np.array([-2, -1, 0, 3]) / np.sqrt(14 / 4), rtol=1e-6)
    small = on_policy.standardize_exactly(jnp.array([1e-12, 2e-12, 3e-12]))
    np.testing.assert_allclose(small, [-1.2247449, 0, 1.2247449], atol=1e-5)


def test_splitting_the_weights_loses_none():
    for kind, env in (("mlp", "Pendulum-v1"), ("cnn", "Breakout-MinAtar")):
        agent, ctx = setup("mdpo", env, **TINY, network=kind)
        params = jax.eval_shape(agent.init, jax.random.key(0), ctx).params
        policy, value = separate.split(params)
        assert separate.join(policy, value) == params
        assert set(policy) == {"actor", "head"} | ({"actor_conv"} if kind == "cnn" else set())
        assert set(value) == {"critic", "value"} | ({"critic_conv"} if kind == "cnn" else set())


@pytest.mark.parametrize("divergence", ["kl", "tsallis"])
def test_no_traced_hyperparameter_is_baked_into_the_program(divergence):
    one = Config.from_mapping(TINY | {"divergence": divergence})
    other = Config.from_mapping({name: value / 2 for name, value in one.hyper().items()}, one)
    assert one.static() == other.static()
    env = registry.make_env("Probe-BestAction")
    programs = set()
    for config in (one, other):
        agent, ctx = make(env, config), context(config, env)
        state = jax.eval_shape(agent.init, jax.random.key(0), ctx)
        programs.add(str(jax.make_jaxpr(agent.step)(state, ctx)))
    assert len(programs) == 1


@pytest.mark.parametrize("agent", ["mdpo", "trpo"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "gru"}, "agent.network 'gru' shares its core .* use 'mlp' or 'cnn'"),
        (
            {"value_minibatches": 7},
            "value_minibatches 7 does not divide .* 2048 .* try 4",
        ),
        (
            {"num_envs": 1, "num_steps": 1, "value_minibatches": 1},
            "over a rollout of 1 sample, .* or set agent.normalize_advantages false",
        ),
        ({"learning_rat": 1.0}, "no setting 'agent.learning_rat': did you mean"),
        ({"max_grad_norm": 0}, "agent.max_grad_norm must be above 0"),
    ],
)
def test_impossible_settings_are_refused(agent, settings, message):
    with pytest.raises(UsageError, match=message):
        registry.agent(agent).load_config().from_mapping(settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tsallis_q": 2.5}, "agent.tsallis_q must be at most 2"),
        ({"divergence": "kll"}, "agent.divergence cannot be 'kll': did you mean 'kl'"),
        ({"policy_steps": 0}, "agent.policy_steps must be at least 1"),
    ],
)
def test_mdpos_own_impossible_settings_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Config.from_mapping(settings)


def test_a_squashed_policy_on_a_discrete_task_is_refused():
    config = Config.from_mapping({"action_distribution": "tanh_gaussian"})
    with pytest.raises(UsageError, match="needs continuous actions but CartPole-v1"):
        config.check_env(registry.env("CartPole-v1"))
