"""A trailing axis of one is refused where a slot is called, while it is traced: it would be
broadcast, and [b] less [b, 1] is [b, b]. Both shapes are named."""

from __future__ import annotations

from functools import partial
from typing import Any

import cloning_tools
import jax
import jax.numpy as jnp
import pulled_tools
import pytest
from off_policy_tools import Clock, parts_of

from rlsuite.agents.cores import cloning, off_policy, on_policy
from rlsuite.agents.cores import sac as soft
from rlsuite.agents.cores.dpg import Behaviour
from rlsuite.agents.offline.odice import agent as odice
from rlsuite.agents.offline.odice.agent import DIVERGENCES
from rlsuite.agents.offline.rebrac.agent import squares
from rlsuite.nn.distributions import Categorical
from rlsuite.ops import drift, returns
from rlsuite.ops.drift import Drift, DriftInput, Progress

B, B1, TN, TN1 = jnp.zeros(4), jnp.zeros((4, 1)), jnp.zeros((3, 4)), jnp.zeros((3, 4, 1))
KEY, CLOCK = jax.random.key(0), Clock()
pytestmark = pytest.mark.usefixtures("without_the_tests_own_checks")


def seen(log_ratio: Any, advantage: Any) -> DriftInput:
    """What a drift looks at."""
    dist, unit = Categorical(jnp.zeros((4, 2))), jnp.float32(1)
    return DriftInput(log_ratio, advantage, dist, dist, jnp.zeros(4, int), Progress(unit, unit))


def wide(name: str) -> Drift:
    """A drift whose penalty has an axis too many."""
    return Drift(name, lambda rule, x, ctx: x.advantage[:, None])


LOSSES = {
    "critic": (lambda y: off_policy.critic_loss(jnp.zeros((2, 4)), y), B, B1),
    "actor's charge": (lambda x: soft.actor_loss(B, x), B, B1),
    "value's charge": (lambda x: soft.charged_value(B, x), B, B1),
    "value's target": (lambda y: on_policy.value_loss(B, B, y, 0.2), B, B1),
    "old value": (lambda v: on_policy.value_loss(B, v, B, None), B, B1),
    "advantage": (lambda a: drift.surrogate(drift.none(), (), seen(B, a), None), B, B1),
    "squares": (lambda a: squares(jnp.zeros((4, 2)), a), jnp.zeros((4, 2)), B1),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_refuse_what_would_be_broadcast(name):
    loss, right, wrong = LOSSES[name]
    jax.eval_shape(loss, right)
    with pytest.raises(AssertionError, match=r"\(4, 1\)"):
        jax.eval_shape(loss, wrong)


def test_both_shapes_are_named():
    with pytest.raises(AssertionError, match=r"\(4, 1\).*expected \(4\)|\(4,\).*\(4, 1\)"):
        off_policy.critic_loss(jnp.zeros((2, 4)), B1)
    with pytest.raises(AssertionError, match=r"\(4,\), \(4, 1\)"):
        soft.charged_value(B, B1)


def test_a_drifts_penalty_has_a_row_per_sample():
    with pytest.raises(AssertionError, match=r"\(4,\).*\(4, 1\)"):
        jax.eval_shape(lambda x: drift.surrogate(wide("wide"), (), seen(x, x), None), B)


@pytest.mark.parametrize("wrong", range(5))
def test_advantages_refuse_rewards_values_and_masks_of_another_shape(wrong):
    right: Any = [TN, TN, TN, TN, TN.astype(bool)]
    jax.eval_shape(partial(returns.gae, lambda_=0.9), *right)
    right[wrong] = right[wrong][..., None]
    with pytest.raises(AssertionError, match=r"\(3, 4, 1\)"):
        jax.eval_shape(partial(returns.gae, lambda_=0.9), *right)


@pytest.mark.parametrize("wrong", range(4))
def test_next_values_refuse_another_shape(wrong):
    right = [TN, B, TN, TN.astype(bool)]
    jax.eval_shape(returns.next_values, *right)
    right[wrong] = right[wrong][..., None]
    with pytest.raises(AssertionError, match=r", 1\)"):
        jax.eval_shape(returns.next_values, *right)


def pieces(name: str) -> tuple[Any, Any, Any, Any]:
    """A small agent's algorithm, its learner's shapes, a minibatch and the context."""
    agent, ctx = cloning_tools.setup(name, CLOCK)
    learner = jax.eval_shape(agent.init, jax.random.key(0), ctx).learner
    batch = pulled_tools.batch_of(jnp.zeros((16, 1)), jnp.zeros((16, 2)))
    return parts_of(agent).algorithm, learner, batch, ctx


def test_a_behaviour_term_in_the_target_has_a_row_per_transition():
    def charge(state: Any, action: Any, batch: Any, key: Any, ctx: Any) -> Any:
        return jnp.ones((len(action), 1))

    algorithm, learner, batch, ctx = pieces("td3-bc")
    core = algorithm.update.args[0]._replace(behaviour=Behaviour(critic_term=charge))
    with pytest.raises(AssertionError, match=r"\(16,\).*\(16, 1\)"):
        jax.eval_shape(partial(algorithm.update.func, core), learner, batch, KEY, ctx)


@pytest.mark.parametrize("name", ["td3-bc", "rebrac", "a2pr", "iql", "odice", "bc", "cql"])
def test_every_update_refuses_a_minibatch_with_an_axis_too_many(name):
    algorithm, learner, batch, ctx = pieces(name)
    for field in ("reward", "discount", "action"):
        if field != "action" and name == "bc":
            continue
        wrong = batch._replace(**{field: getattr(batch, field)[..., None]})
        with pytest.raises((AssertionError, TypeError), match=r", 1\)"):
            jax.eval_shape(algorithm.update, learner, wrong, KEY, ctx)


@pytest.mark.parametrize("kind", ["semi", "true", "orthogonal"])
def test_odices_gradients_refuse_a_column_of_rewards(kind):
    batch = pulled_tools.batch_of(jnp.zeros((4, 1)), jnp.zeros((4, 2)))

    def value(params: Any, obs: Any) -> Any:
        return jnp.stack([params * obs[:, 0]])

    f, one = DIVERGENCES["pearson"], jnp.float32(1)
    given = {"semi": (one, one), "true": (one,), "orthogonal": (one, one)}[kind]
    rest = (0.6, 1.0) if kind == "orthogonal" else (0.6,)
    call = getattr(odice, kind)
    call(f, value, *given, batch, *rest)
    with pytest.raises(AssertionError, match=r"\(4, 1\)"):
        call(f, value, *given, batch._replace(reward=B1), *rest)


def test_a_weight_of_cloning_has_rows_last():
    algorithm, learner, batch, ctx = pieces("bc")
    static, net = algorithm.update.args[:2]

    def step(actor: Any, weight: Any) -> Any:
        return cloning.step(static, net, actor, batch, weight, jnp.int32(0), ctx)

    for weight in (jnp.ones(16), jnp.ones((2, 16))):
        jax.eval_shape(step, learner.actor, weight)
    with pytest.raises(AssertionError, match=r"\(16, 1\)"):
        jax.eval_shape(step, learner.actor, jnp.ones((16, 1)))
