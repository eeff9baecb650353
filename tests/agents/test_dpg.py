"""The deterministic core: worked numbers, TD3 that is DDPG, what an actor is pulled toward."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from off_policy_tools import assert_equal, parts_of, setup, start, train

from rlsuite.agents.cores import dpg
from rlsuite.agents.cores.dpg import Behaviour, Core
from rlsuite.agents.cores.off_policy import Minibatch
from rlsuite.contracts import metrics, registry
from rlsuite.contracts.types import Context, Hyper
from rlsuite.nn.mlp import Net

HP = {
    "learning_rate": 0.1, "critic_learning_rate": 0.1, "adam_epsilon": 1e-8, "tau": 0.25,
    "exploration_noise": 0.1, "policy_noise": 0.0, "noise_clip": 0.5, "alpha": 2.5,
}  # fmt: skip


def context(**changes: float) -> Context:
    return Context(Hyper({k: jnp.float32(v) for k, v in (HP | changes).items()}), (), jnp.int32(1))


def linear(actor: float, critics: tuple[float, ...], **settings: Any) -> Core:
    """mu(s) = w s and Q_i(s, a) = c_i (s + a), each with one weight."""
    return Core(
        actor=Net(lambda key: jnp.float32(actor), lambda w, obs: w * obs),
        critics=Net(
            lambda key: tuple(jnp.float32(c) for c in critics),
            lambda cs, obs, action: jnp.stack([c * (obs + action)[..., 0] for c in cs]),
        ),
        **{"policy_delay": 1, "smoothing": True, "behaviour": Behaviour(), **settings},
    )


KEYS = (jax.random.key(1), jax.random.key(2))
# Two rows: one whose world goes on, one that has ended.
ROWS = Minibatch(
    obs=jnp.array([[1.0], [2.0]]),
    action=jnp.array([[0.5], [-0.5]]),
    reward=jnp.array([1.0, 3.0]),
    discount=jnp.array([0.9, 0.0]),
    next_obs=jnp.array([[0.5], [4.0]]),
)


def test_target_without_noise_is_the_hand_formula():
    """y = (1 + 0.9 min(2, 3) (0.5 + 0.2 x 0.5), 3) = (2.08, 3)."""
    core, ctx = linear(0.2, (2.0, 3.0)), context()
    learner = dpg.init(core, jax.random.key(0), ctx)
    y, action = dpg.target(core, learner, ROWS, KEYS, ctx)
    np.testing.assert_allclose(y, [2.08, 3.0], rtol=1e-6)
    np.testing.assert_allclose(action, [[0.1], [0.8]], rtol=1e-6)


def test_target_noise_is_clipped_and_so_is_the_action():
    core, ctx = linear(0.2, (2.0, 3.0)), context(policy_noise=100.0)
    learner = dpg.init(core, jax.random.key(0), ctx)
    many = jax.tree.map(lambda x: jnp.repeat(x, 200, 0), ROWS)
    _, action = dpg.target(core, learner, many, KEYS, ctx)
    first, second = np.round(np.asarray(action, np.float64)[:, 0].reshape(2, 200), 2)
    # Noise this strong is beyond its bound but for a draw in two hundred.
    assert np.isin(first, [-0.4, 0.6]).mean() > 0.97
    assert np.isin(second, [0.3, 1.0]).mean() > 0.97
    assert (first.min(), first.max(), second.min(), second.max()) == (-0.4, 0.6, 0.3, 1.0)


def test_one_update_in_worked_numbers():
    """Q1 = 2 (s + a) = (3, 3), Q2 = (4.5, 4.5), y = (2.08, 3): loss 0.4232 + 4.0532.

    All gradients are positive but the actor's (-dQ1/da s < 0); Adam's first step is the rate.
    """
    core, ctx = linear(0.2, (2.0, 3.0)), context()
    learner = dpg.init(core, jax.random.key(0), ctx)
    new, report = jax.jit(partial(dpg.update, core))(learner, ROWS, jax.random.key(1), ctx)
    loss = (0.92**2 + 0.0) / 2 + (2.42**2 + 1.5**2) / 2
    np.testing.assert_allclose(report["loss/critic"].sum, loss, rtol=1e-5)
    np.testing.assert_allclose(report["value/q"].sum / report["value/q"].count, 3.75, rtol=1e-6)
    np.testing.assert_allclose(new.critics, [1.9, 2.9], rtol=1e-5)
    # The actor climbs the critic that has just moved: -mean 1.9 (1.2 s).
    np.testing.assert_allclose(report["loss/policy"].sum, -1.9 * 1.2 * 1.5, rtol=1e-5)
    np.testing.assert_allclose(new.actor, 0.3, rtol=1e-5)
    np.testing.assert_allclose(new.actor_target, 0.2 + 0.25 * 0.1, rtol=1e-5)
    np.testing.assert_allclose(new.critics_target, [1.975, 2.975], rtol=1e-5)


@pytest.mark.parametrize("delay", [1, 2, 3])
def test_the_actor_and_all_targets_wait(delay):
    core, ctx = linear(0.2, (2.0, 3.0), policy_delay=delay), context()
    learner = dpg.init(core, jax.random.key(0), ctx)
    update = jax.jit(partial(dpg.update, core))
    for count in range(1, 7):
        new, report = update(learner, ROWS, jax.random.key(count), ctx)
        moves = count % delay == 0
        assert (new.actor != learner.actor) == moves
        assert (new.actor_target != learner.actor_target) == moves
        assert (new.critics_target[1] != learner.critics_target[1]) == moves
        assert (float(report["loss/policy"].count) > 0) == moves
        assert new.critics[0] != learner.critics[0]
        learner = new


def test_td3_without_its_three_ideas_is_ddpg_bit_for_bit():
    """No noise, no clip, Q2 a copy of Q1, no delay; 25 updates on a filled replay."""
    sizes = {"updates": 5, "policy_delay": 1, "learning_starts": 200}
    one, ctx1 = setup("Pendulum-v1", "ddpg", **sizes)
    two, ctx2 = setup("Pendulum-v1", "td3", policy_noise=0.0, noise_clip=0.0, **sizes)
    a, b = start(one, ctx1), start(two, ctx2)
    copied = b.learner.replace(
        actor=a.learner.actor,
        actor_target=a.learner.actor_target,
        critics=a.learner.critics * 2,
        critics_target=a.learner.critics_target * 2,
    )
    b = b.replace(learner=jax.tree.map(jnp.copy, copied))
    assert_equal(a.replay, b.replay)
    step1, step2 = jax.jit(one.step), jax.jit(two.step)
    for _ in range(5):
        (a, _), (b, _) = step1(a, ctx1), step2(b, ctx2)
    assert int(a.learner.updates) == 25
    for name in ("actor", "actor_target", "actor_opt"):
        assert_equal(getattr(a.learner, name), getattr(b.learner, name))
    for name in ("critics", "critics_target"):
        assert_equal(getattr(a.learner, name) * 2, getattr(b.learner, name))
    assert_equal(a.replay, b.replay)


class Data(NamedTuple):
    """Actions of the data and a pull's own counter."""

    count: Any


def cloning(state: Any, action: Any, x: Any, key: Any, ctx: Any) -> Any:
    """TD3+BC with a small alpha."""
    q = x.q1(x.batch.obs, action)
    return dpg.normalized(q, 0.0) + jnp.square(action - x.batch.action).mean(), {}


def test_a_cloning_pull_moves_the_actor_to_the_datas_actions():
    env = registry.make_env("Probe-ObservationAction-Continuous")
    agent, ctx = setup(env)
    core = (
        parts_of(agent).algorithm.update.args[0]._replace(behaviour=Behaviour(actor_loss=cloning))
    )
    obs = jnp.linspace(-1, 1, 32)[:, None]
    data = Minibatch(obs, 0.2 + 0.5 * obs, jnp.zeros(32), jnp.zeros(32), obs)
    learner = dpg.init(core, jax.random.key(0), ctx)

    def body(learner: Any, key: Any) -> Any:
        return dpg.update(core, learner, data, key, ctx)[0], None

    keys = jax.random.split(jax.random.key(1), 800)
    learner = jax.jit(lambda s: jax.lax.scan(body, s, keys)[0])(learner)
    np.testing.assert_allclose(core.actor.apply(learner.actor, obs), data.action, atol=0.03)


def test_a_critic_term_lowers_targets_by_what_is_kept():
    def charge(state: Any, action: Any, batch: Minibatch, key: Any, ctx: Any) -> Any:
        return 0.5 * jnp.square(action - batch.recorded).sum(-1)

    core, ctx = linear(0.2, (2.0, 3.0), behaviour=Behaviour(critic_term=charge)), context()
    learner = dpg.init(core, jax.random.key(0), ctx)
    rows = ROWS._replace(recorded=jnp.array([[1.1], [0.8]]))
    y, _ = dpg.target(core, learner, rows, KEYS, ctx)
    np.testing.assert_allclose(y, [2.08 - 0.9 * 0.5, 3.0], rtol=1e-6)


def test_a_pull_learns_on_the_critics_just_updated_and_the_targets_action():
    seen: dict[str, Any] = {}

    def learn(state: Data, x: dpg.Scene, key: Any, ctx: Any) -> Any:
        value = x.q(x.batch.obs, x.batch.action), x.q_target(x.batch.next_obs, x.next_action)
        seen.update(value=value, action=x.next_action)
        return Data(state.count + 1), {"seen": metrics.mean(x.next_action)}

    slot = Behaviour(init=lambda key, ctx: Data(jnp.int32(0)), update=learn)
    core, ctx = linear(0.2, (2.0, 3.0), behaviour=slot, policy_delay=2), context()
    learner = dpg.init(core, jax.random.key(0), ctx)
    learner, _ = dpg.update(core, learner, ROWS, jax.random.key(1), ctx)
    q, q_target = seen["value"]
    np.testing.assert_allclose(q, [[2.85, 2.85], [4.35, 4.35]], rtol=1e-5)
    np.testing.assert_allclose(q_target, [[1.2, 9.6], [1.8, 14.4]], rtol=1e-5)
    learner, report = dpg.update(core, learner, ROWS, jax.random.key(2), ctx)
    assert int(learner.pull.count) == 2
    mean: Any = report["seen"]
    assert float(mean.sum) == float(seen["action"].sum())


def test_normalized_q_does_not_feel_its_scale():
    q = jnp.array([1.0, -3.0, 4.0])
    np.testing.assert_allclose(dpg.normalized(q, 2.5), -2.5 * 2 / 3 / (8 / 3), rtol=1e-6)
    np.testing.assert_allclose(dpg.normalized(9 * q, 2.5), dpg.normalized(q, 2.5), rtol=1e-6)
    grad = jax.grad(dpg.normalized)(q, 2.5)
    np.testing.assert_allclose(grad, -2.5 / 8 * np.ones(3), rtol=1e-6)


def test_acting_explores_within_bounds_and_is_greedy_when_asked():
    agent, ctx = setup("Pendulum-v1", exploration_noise=0.5)
    policy = agent.policy(start(agent, ctx))
    obs = jnp.ones((500, 3))
    act = partial(agent.act, policy, (), obs, jnp.ones(500, bool), jax.random.key(0))
    greedy, explored = np.asarray(act("greedy")[0]), np.asarray(act("explore")[0])
    assert np.ptp(greedy) == 0
    assert np.abs(explored).max() == 2.0
    inside = explored[np.abs(explored) < 2]
    assert 0.6 < inside.std() < 1.0


@pytest.mark.parametrize("agent_name", ["td3", pytest.param("ddpg", marks=pytest.mark.slow)])
def test_the_best_action_depends_on_the_observation(agent_name):
    """Targets are ±0.5; of six seeds the largest error was 0.04."""
    env = registry.make_env("Probe-ObservationAction-Continuous")
    sizes = {"num_envs": 4, "updates": 4, "learning_starts": 256, "exploration_noise": 0.3}
    agent, ctx = setup(env, agent_name, activation="tanh", batch_size=64, **sizes)
    states = train(agent, ctx, 3, 400)
    obs = jnp.array([[1.0], [-1.0]])

    def greedy(state: Any) -> Any:
        policy = agent.policy(state)
        return agent.act(policy, (), obs, jnp.ones(2, bool), jax.random.key(0), "greedy")[0]

    best = np.broadcast_to(np.asarray(env.action(obs)), (3, 2, 1))
    np.testing.assert_allclose(jax.vmap(greedy)(states), best, atol=0.15)


def test_learning_is_differentiable_in_its_hyperparameters():
    """The derivative of the last loss in the critics' step size is that of finite differences."""
    agent, ctx = setup(
        "Pendulum-v1", updates=3, policy_delay=2, adam_epsilon=1e-2, activation="tanh"
    )
    state, batch = jax.jit(agent.collect)(start(agent, ctx), ctx)

    def objective(hp: Any) -> Any:
        _, report = agent.learn(state, batch, ctx._replace(hp=hp))
        loss: Any = report["loss/critic"]
        return loss.sum / loss.count

    grads = jax.jit(jax.grad(objective))(ctx.hp)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(grads))
    at, step = ctx.hp.critic_learning_rate, 3e-5
    value = jax.jit(lambda rate: objective(ctx.hp.replace(critic_learning_rate=rate)))
    difference = (value(at + step) - value(at - step)) / (2 * step)
    assert abs(grads.critic_learning_rate) > 1e-3
    np.testing.assert_allclose(grads.critic_learning_rate, difference, rtol=0.05)
