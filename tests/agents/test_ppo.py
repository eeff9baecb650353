"""PPO's identities: ratio 1 at first, A2C as a limit, annealing, warm starts, one trace."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ppo_tools import context, first_rollout, setup

from rlsuite.agents.cores import on_policy
from rlsuite.agents.cores.on_policy import Parts
from rlsuite.agents.online.ppo import Config, make
from rlsuite.agents.online.ppo.agent import minibatch_indices
from rlsuite.contracts import metrics, registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import Counters

TINY = {"num_envs": 4, "num_steps": 8, "hidden": (8,), "rnn_size": 6, "epochs": 1}
ONE_PASS = TINY | {"minibatches": 1, "advantage_normalization": "none", "value_clip": False}
RATIO_CASES = [
    ("CartPole-v1", {"network": "mlp"}),
    ("Pendulum-v1", {"network": "mlp", "normalize_observations": True, "normalize_rewards": True}),
    ("CartPole-v1", {"network": "gru", "normalize_observations": True}),
]


def assert_close(a, b, rtol=1e-4, atol=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def start(agent, ctx, seed=0):
    """The first state, compiled whole."""
    return jax.jit(agent.init)(jax.random.key(seed), ctx)


@pytest.mark.parametrize(("env", "settings"), RATIO_CASES)
def test_first_minibatch_has_ratio_one(env, settings):
    """Also with normalisers that have moved: rollout and update see the same statistics.

    With one pass and one minibatch the report is of the first minibatch alone.
    """
    agent, ctx = setup(env, **ONE_PASS, **settings)
    state, step = start(agent, ctx), jax.jit(agent.step)
    for _ in range(5):
        before = state
        state, report = step(state, ctx)
        host = metrics.to_host(report)
        assert host["policy/clip_fraction"] == 0
        assert abs(host["policy/kl"]) < 1e-6
        moved = jnp.abs(state.obs_moments.mean - before.obs_moments.mean).max()
        assert (moved > 0) == settings.get("normalize_observations", False)


def parts_of(agent) -> Parts:
    """What the agent's functions are bound to."""
    assert isinstance(agent.learn, partial)
    return agent.learn.args[0]


def a2c_gradient(agent, ctx, state, batch):
    """-mean(A ln pi) + c_v 1/2 mean (R - V)^2 - c_e mean H, differentiated; GAE in plain numpy."""
    steps, hp = batch.steps, ctx.hp
    reward, value = np.asarray(steps.reward), np.asarray(steps.value)
    following = np.concatenate([value[1:], np.asarray(batch.last_value)[None]])
    following = np.where(steps.truncated, steps.final_value, following)
    ended = np.asarray(steps.terminated | steps.truncated)
    delta = reward + 0.99 * (1 - np.asarray(steps.terminated)) * following - value
    adv, acc = np.zeros_like(reward), 0.0
    for t in reversed(range(len(reward))):
        acc = delta[t] + 0.99 * 0.95 * (1 - ended[t]) * acc
        adv[t] = acc
    network = parts_of(agent).network

    def loss(params):
        out = network.unroll(params, batch.first_carry, steps.obs, steps.is_first)
        policy = -(adv * out.dist.log_prob(steps.action)).mean()
        critic = 0.5 * jnp.square(adv + value - out.value).mean()
        return policy + hp.value_coef * critic - hp.entropy_coef * out.dist.entropy().mean()

    return jax.jit(jax.grad(loss))(state.params)


def update_of(agent, ctx, state, batch):
    """What one `learn` takes from the parameters, per unit of step size, without Adam.

    With b1 = b2 = 0 and a huge epsilon Adam's step is gradient / epsilon.
    """
    new, _ = jax.jit(agent.learn)(state, batch, ctx)
    scale = ctx.hp.adam_epsilon / ctx.hp.learning_rate
    return jax.tree.map(lambda old, now: (old - now) * scale, state.params, new.params)


PLAIN_SGD = {
    "adam_b1": 0.0, "adam_b2": 0.0, "adam_epsilon": 1e8, "learning_rate": 1e8,
    "gradient_clip": "none", "anneal_learning_rate": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def plain_start():
    """A state, its rollout, and A2C's gradient there; none depends on the drift."""
    agent, ctx = setup("CartPole-v1", **ONE_PASS, **PLAIN_SGD)
    state, batch = first_rollout(agent, ctx)
    return state, batch, a2c_gradient(agent, ctx, state, batch)


@pytest.mark.parametrize("drift", ["clip", "kl", "dpo", "mdpo", "mdpo_tsallis"])
def test_first_gradient_is_a2cs_under_every_drift(drift, plain_start):
    state, batch, expected = plain_start
    agent, ctx = setup("CartPole-v1", **ONE_PASS, **PLAIN_SGD, drift=drift)
    state = state.replace(rule=agent.init(jax.random.key(0), ctx).rule)
    assert_close(update_of(agent, ctx, state, batch), expected, atol=2e-5)


@pytest.mark.parametrize(("env", "network"), [("Pendulum-v1", "mlp"), ("CartPole-v1", "gru")])
def test_one_pass_without_clip_is_a2c(env, network):
    """eps -> infinity, K = 1, M = 1, here with value clipping as wide; across episode ends too."""
    settings = ONE_PASS | PLAIN_SGD | {"clip_epsilon": 1e9, "value_clip": True, "num_steps": 40}
    agent, ctx = setup(env, **settings, network=network)
    state, batch = first_rollout(agent, ctx)
    if env == "CartPole-v1":
        assert np.asarray(batch.steps.terminated).any()
    expected = a2c_gradient(agent, ctx, state, batch)
    size = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    assert_close(update_of(agent, ctx, state, batch), expected, rtol=1e-3, atol=1e-4 * size)


def test_value_loss_by_hand():
    value, old = jnp.array([1.0, 2.0, 0.5]), jnp.array([0.5, 2.1, 0.5])
    target = jnp.array([2.0, 0.0, 0.5])
    # Clipped values 0.7, 2.0, 0.5: errors max(1, 1.69), max(4, 4), 0.
    assert float(on_policy.value_loss(value, old, target, 0.2)) == pytest.approx(5.69 / 6)
    assert float(on_policy.value_loss(value, old, target, None)) == pytest.approx(5.0 / 6)
    # Where the clip is active and worse, the gradient is 0: only the second element moves.
    grad = jax.grad(lambda v: on_policy.value_loss(v, old, target, 0.2))(value)
    np.testing.assert_allclose(grad, [0.0, 2.0 / 3, 0.0], atol=1e-6)


def test_standardized_advantages():
    x = on_policy.standardize(jnp.array([1.0, 2.0, 3.0, 6.0]))
    np.testing.assert_allclose(x, np.array([-2, -1, 0, 3]) / np.sqrt(14 / 4), rtol=1e-6)
    np.testing.assert_array_equal(on_policy.standardize(jnp.full(3, 5.0)), 0)


def test_annealing_is_a_function_of_the_horizon():
    """The step size of iteration u is lr (1 - u/U): Adam's first step has exactly that size."""
    settings = ONE_PASS | {"learning_rate": 0.1, "adam_epsilon": 1e-12, "gradient_clip": "none"}
    agent, ctx = setup("CartPole-v1", horizon=4, **settings)
    state, batch = first_rollout(agent, ctx)
    learn = jax.jit(agent.learn)
    for done, factor in ((0, 1.0), (1, 0.75), (3, 0.25)):
        counters = Counters.zero().replace(iterations=jnp.int32(done))
        new, _ = learn(state.replace(counters=counters), batch, ctx)
        bias = new.params["params"]["value"]["bias"] - state.params["params"]["value"]["bias"]
        np.testing.assert_allclose(jnp.abs(bias), 0.1 * factor, rtol=1e-4)
    constant, ctx = setup("CartPole-v1", horizon=4, **settings, anneal_learning_rate=False)
    late = state.replace(counters=Counters.zero().replace(iterations=jnp.int32(3)))
    new, _ = jax.jit(constant.learn)(late, batch, ctx)
    bias = new.params["params"]["value"]["bias"] - state.params["params"]["value"]["bias"]
    np.testing.assert_allclose(jnp.abs(bias), 0.1, rtol=1e-4)


def test_shapes_for_any_number_of_environments():
    for n in (1, 3):
        agent, ctx = setup("CartPole-v1", **TINY | {"num_envs": n, "minibatches": 2})
        state = jax.eval_shape(agent.init, jax.random.key(0), ctx)
        _, batch = jax.eval_shape(agent.collect, state, ctx)
        assert batch.steps.reward.shape == (8, n)
        assert agent.steps_per_iteration == 8 * n


def test_rollouts_follow_the_environment():
    """Each observation is the step's result or, after an end, a new start marked is_first."""
    agent, ctx = setup("CartPole-v1", **TINY | {"num_steps": 60})
    state, batch = first_rollout(agent, ctx)
    steps = batch.steps
    ended = np.asarray(steps.terminated | steps.truncated)
    assert ended.any()
    np.testing.assert_array_equal(steps.is_first[0], True)
    np.testing.assert_array_equal(steps.is_first[1:], ended[:-1])
    np.testing.assert_array_equal(state.is_first, ended[-1])
    np.testing.assert_array_equal(steps.episodes.finished, ended)
    assert np.abs(np.asarray(steps.obs)[np.asarray(steps.is_first)]).max() <= 0.05


def test_seeds_under_vmap_equal_single_runs():
    agent, ctx = setup("CartPole-v1", **TINY, normalize_observations=True)

    def run(key):
        state = agent.init(key, ctx)
        return jax.lax.fori_loop(0, 3, lambda _, s: agent.step(s, ctx)[0], state)

    keys = jax.random.split(jax.random.key(0), 3)
    together, single = jax.jit(jax.vmap(run))(keys), jax.jit(run)
    for i, key in enumerate(keys):
        alone, row = single(key), jax.tree.map(lambda x, i=i: x[i], together)
        assert_close(row.params, alone.params, rtol=1e-3, atol=1e-5)
        assert_close(row.obs, alone.obs, rtol=1e-3, atol=1e-5)


def test_warm_start_takes_weights_and_statistics_only():
    agent, ctx = setup("CartPole-v1", **TINY, normalize_observations=True)
    trained, _ = jax.jit(agent.step)(start(agent, ctx), ctx)
    cold = start(agent, ctx, seed=5)
    warm = jax.jit(agent.init)(jax.random.key(5), ctx, agent.policy(trained))
    assert float(jnp.abs(trained.obs_moments.mean).max()) > 0
    assert_close(warm.params, trained.params, rtol=0, atol=0)
    assert_close(warm.obs_moments, trained.obs_moments, rtol=0, atol=0)
    assert_close(warm.opt_state, cold.opt_state, rtol=0, atol=0)
    assert_close(warm.obs, cold.obs, rtol=0, atol=0)
    assert int(warm.counters.iterations) == 0


def test_traced_hyperparameters_never_recompile():
    agent, ctx = setup("CartPole-v1", **TINY)
    traces = []

    def step(state, ctx):
        traces.append(1)
        return agent.step(state, ctx)

    compiled = jax.jit(step)
    state = start(agent, ctx)
    report = {}
    changes = [
        {}, {"learning_rate": 1e-3}, {"gamma": 0.9, "gae_lambda": 0.5}, {"clip_epsilon": 0.1},
    ]  # fmt: skip
    for change in changes:
        hp = Config.from_mapping(TINY | change).hyper()
        values = {name: jnp.asarray(value) for name, value in hp.items()}
        state, _ = compiled(state, ctx._replace(hp=ctx.hp.replace(**values)))
        state, report = compiled(state, ctx._replace(horizon=jnp.int32(len(traces) + 7)))
    assert len(traces) == 1
    done = state.counters
    assert (int(done.iterations), int(done.env_steps)) == (8, 8 * agent.steps_per_iteration)
    assert set(report) >= {"train/return", "loss/policy", "loss/value", "policy/entropy"}


@pytest.mark.parametrize("drift", ["clip", "kl", "kl_fixed", "dpo", "mdpo", "mdpo_tsallis"])
def test_no_traced_hyperparameter_is_baked_into_the_program(drift):
    """Two configurations that differ in all of them trace to the same program."""
    on = {"normalize_observations": True, "normalize_rewards": True, "drift": drift}
    one = Config.from_mapping(TINY | on)
    other = Config.from_mapping({name: value / 2 for name, value in one.hyper().items()}, one)
    assert one.static() == other.static()
    env = registry.make_env("Probe-BestAction")
    programs = set()
    for config in (one, other):
        agent, ctx = make(env, config), context(config, env)
        state = jax.eval_shape(agent.init, jax.random.key(0), ctx)
        programs.add(str(jax.make_jaxpr(agent.step)(state, ctx)))
    assert len(programs) == 1


def test_acting_is_what_the_policy_says():
    agent, ctx = setup("Pendulum-v1", **TINY)
    policy, carry = agent.policy(start(agent, ctx)), agent.carry((5,))
    act = jax.jit(agent.act, static_argnames="mode")
    obs, first = jnp.ones((5, 3)), jnp.ones(5, bool)
    for mode in ("greedy", "sample", "explore"):
        action, after = act(policy, carry, obs, first, jax.random.key(1), mode=mode)
        assert action.shape == (5, 1)
        assert after == ()
        assert (len(np.unique(np.asarray(action))) == 1) == (mode == "greedy")
        assert np.abs(action).max() <= 2.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minibatches": 5}, "does not divide the batch of 512 .* try 4"),
        ({"network": "gru", "num_envs": 6, "minibatches": 4}, "does not divide .* 6 .* try 3"),
        (
            {"num_envs": 4, "num_steps": 2, "minibatches": 8},
            "over a minibatch of 1 sample, .* or set agent.advantage_normalization 'none'",
        ),
        (
            {"num_envs": 1, "num_steps": 1, "minibatches": 1, "advantage_normalization": "batch"},
            "over a batch of 1 sample",
        ),
        (
            {"network": "gru", "num_envs": 4, "num_steps": 1, "minibatches": 4},
            "over a minibatch of 1 sample",
        ),
        ({"drift": "dpi"}, "agent.drift cannot be 'dpi': did you mean 'dpo'"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Config.from_mapping(settings)


def test_a_minibatch_of_one_sample_is_taken_where_nothing_is_standardised():
    one = {"num_envs": 4, "num_steps": 2, "minibatches": 8}
    for over in ("none", "batch"):
        assert Config.from_mapping(one | {"advantage_normalization": over}).minibatches == 8


def test_recurrent_minibatches_are_whole_environments():
    agent, _ = setup("CartPole-v1", **TINY | {"network": "gru", "minibatches": 2})
    rows = minibatch_indices(parts_of(agent), jax.random.key(0))
    assert rows.shape == (2, 2)
    assert sorted(np.ravel(rows)) == [0, 1, 2, 3]
