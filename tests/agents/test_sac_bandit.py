"""SAC's actor under given values: it must become exp(Q/alpha)/Z, and alpha find its entropy."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from scipy.special import softmax
from soft_tools import OBS, core_of, given

from rlsuite.agents.cores import sac as soft
from rlsuite.agents.cores.off_policy import Minibatch
from rlsuite.agents.cores.sac import Core, Learner
from rlsuite.contracts.types import Context

N, STEPS = 256, 600
ONE = spaces.Box(-1.0, 1.0, (1,), np.float32)
OBSERVATIONS = jnp.zeros((N, OBS))
KEY = jax.random.key(0)


def bandit(q: Any, action_space: Any, **settings: Any) -> tuple[Core, Learner, Context]:
    """The core, its learner after two stages of actor steps on values that stay, the context."""
    core, ctx = core_of(action_space=action_space, hidden=(8,), **settings)
    critics, discrete = given(q), isinstance(action_space, spaces.Discrete)
    expect = partial(soft.average if discrete else soft.draw, core.heads.actor, critics)
    core = core._replace(heads=dataclasses.replace(core.heads, critics=critics, expect=expect))
    nothing = jnp.zeros(N)
    batch = Minibatch(OBSERVATIONS, nothing, nothing, nothing, OBSERVATIONS)

    def stage(learner: Learner, xs: Any) -> tuple[Learner, None]:
        key, rate = xs
        hp = ctx.hp.replace(learning_rate=rate, temperature_learning_rate=rate)
        step = partial(soft.actor_phase, core, batch=batch, ctx=ctx._replace(hp=hp))
        return step(learner, key=key)[0], None

    rates = jnp.where(jnp.arange(STEPS) < STEPS // 2, 2e-2, 1e-3)
    run = jax.jit(lambda xs: jax.lax.scan(stage, soft.init(core, KEY, ctx), xs)[0])
    return core, run((jax.random.split(KEY, STEPS), rates)), ctx


def hill(action: jax.Array) -> jax.Array:
    """Q = -1.25 (a - .3)^2."""
    return -1.25 * jnp.square(action[..., 0] - 0.3)


def test_continuous_policy_is_the_exponential_of_its_values():
    """alpha = .1: nearly N(.3, .2^2); its moments on a grid."""
    core, learner, _ = bandit(hill, ONE, temperature="fixed", alpha=0.1)
    dist = core.heads.actor.apply(learner.policy.actor, jnp.zeros((100_000, OBS)))
    action = np.asarray(jnp.tanh(dist.sample(KEY)))
    grid = np.linspace(-1, 1, 2001)
    weight = softmax(-1.25 * (grid - 0.3) ** 2 / 0.1)
    mean = (weight * grid).sum()
    assert abs(action.mean() - mean) < 0.02
    assert abs(action.std() / np.sqrt((weight * (grid - mean) ** 2).sum()) - 1) < 0.05


def test_discrete_policy_and_value():
    q, alpha = np.array([1.0, 2.0, 0.5], np.float32), 0.5
    core, learner, ctx = bandit(jnp.asarray(q), spaces.Discrete(3), temperature="fixed", alpha=0.5)
    logits = core.heads.actor.apply(learner.policy.actor, OBSERVATIONS[:1]).logits
    np.testing.assert_allclose(softmax(logits[0]), softmax(q / alpha), atol=1e-3)
    value = soft.soft_value(core, learner, ((), ()), OBSERVATIONS[:1], KEY, ctx)
    np.testing.assert_allclose(value, alpha * np.log(np.exp(q / alpha).sum()), rtol=1e-4)


def test_a_learned_temperature_reaches_its_entropy():
    """The target is -1; a normal of that entropy has sigma .089 and alpha = 2.5 sigma^2 = .020."""
    core, learner, _ = bandit(hill, ONE, alpha=0.1, temperature_loss="log_alpha")
    dist = core.heads.actor.apply(learner.policy.actor, jnp.zeros((20_000, OBS)))
    assert abs(-float(dist.log_prob(dist.sample(KEY)).mean()) + 1) < 0.1
    assert abs(float(jnp.exp(learner.policy.log_alpha)) / 0.020 - 1) < 0.2
