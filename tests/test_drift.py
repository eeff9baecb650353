"""Drifts against their closed forms, in value and gradient, also at extreme ratios."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlsuite.contracts.types import Context, Hyper
from rlsuite.nn.distributions import Categorical, Gaussian
from rlsuite.ops import drift as drifts
from rlsuite.ops.drift import DriftInput, Progress

HP = Hyper(
    {"clip_epsilon": 0.2, "kl_coef": 1.0, "kl_target": 0.01, "dpo_alpha": 2.0, "dpo_beta": 0.6,
     "mirror_step": 1.0, "tsallis_q": 1.5}
)  # fmt: skip
CTX = Context(HP, None, jnp.int32(10))
ALL = [
    drifts.clip(), drifts.kl(), drifts.kl(adaptive=False), drifts.dpo(), drifts.none(),
    drifts.mdpo(), drifts.mdpo("constant"), drifts.mdpo(divergence="tsallis"),
]  # fmt: skip


def seen(log_ratio, advantage, new=None, old=None):
    """A drift's input; the distributions matter to the KL penalty only."""
    same = Categorical(jnp.zeros((*jnp.shape(log_ratio), 2)))
    progress = Progress(jnp.float32(0.0), jnp.float32(10.0))
    action = jnp.zeros(jnp.shape(log_ratio), jnp.int32)
    return DriftInput(log_ratio, advantage, new or same, old or same, action, progress)


def objective(drift, log_ratio, advantage):
    """r A - drift for arrays of samples."""
    rule = drift.init(jax.random.key(0), CTX)
    return drifts.surrogate(drift, rule, seen(log_ratio, advantage), CTX)


def slope(drift, log_ratio, advantage):
    """d(r A - drift)/dr, by the chain rule through the log-ratio."""
    grad = jax.grad(lambda x: objective(drift, x, advantage).sum())(log_ratio)
    return grad / jnp.exp(log_ratio)


GRID = [
    jnp.asarray(x.ravel(), jnp.float32)
    for x in np.meshgrid(np.log([0.05, 0.5, 0.79, 0.9, 1.1, 1.21, 2, 9]), [-3, -1, -0.1, 0.1, 2])
]


def test_clip_is_the_published_minimum_in_value_and_gradient():
    log_ratio, advantage = GRID

    def published(log_ratio):
        r = jnp.exp(log_ratio)
        return jnp.minimum(r * advantage, jnp.clip(r, 0.8, 1.2) * advantage)

    clip = drifts.clip()
    np.testing.assert_allclose(objective(clip, *GRID), published(log_ratio), rtol=1e-5)
    expected = jax.grad(lambda x: published(x).sum())(log_ratio) / jnp.exp(log_ratio)
    np.testing.assert_allclose(slope(clip, *GRID), expected, rtol=1e-4, atol=1e-5)


DPO = np.array(
    [  # A, r, drift, objective, its derivative
        (1, 0.5, 0, 0.5, 1),
        (1, 1.2, 0.00066401, 1.19933599, 0.99006629),
        (1, 2.0, 0.07576569, 1.92423431, 0.78644773),
        (2, 1.5, 0.07576569, 2.92423431, 1.57289547),
        (2, 2.0, 0.47681169, 3.52318831, 0.83994868),
        (-1, 0.8, 0.00974895, -0.80974895, -0.84188452),
        (-1, 0.5, 0.20145660, -0.70145660, 0.34310902),
        (-2, 0.8, 0.06742151, -1.66742151, -1.00320041),
        (-2, 0.5, 0.79799099, -1.79799099, 1.84556508),
        (-1, 1.5, 0, -1.5, -1),
    ]
)


def test_dpo_worked_numbers():
    advantage, ratio, penalty, value, derivative = map(jnp.float32, DPO.T)
    dpo, log_ratio = drifts.dpo(), jnp.log(ratio)
    got = dpo.penalty((), seen(log_ratio, advantage), CTX)
    np.testing.assert_allclose(got, penalty, atol=1e-6)
    np.testing.assert_allclose(objective(dpo, log_ratio, advantage), value, rtol=1e-6)
    np.testing.assert_allclose(slope(dpo, log_ratio, advantage), derivative, rtol=1e-5)


def test_dpo_closed_form_derivative_on_a_grid():
    log_ratio, advantage = GRID
    r = jnp.exp(log_ratio)
    up = advantage * jnp.where(r > 1, 1 - jnp.tanh((r - 1) * advantage / 2.0) ** 2, 1.0)
    v = log_ratio * advantage
    down = advantage * jnp.where(r < 1, 1 - jnp.tanh(v / 0.6) ** 2 / r, 1.0)
    expected = jnp.where(advantage >= 0, up, down)
    np.testing.assert_allclose(slope(drifts.dpo(), *GRID), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("advantage", "ratio"),
    [(-0.25, 0.25955), (-0.5, 0.40533), (-1.0, 0.55938), (-2.0, 0.69689), (-4.0, 0.80395)],
)
def test_dpo_rolls_back_where_published(advantage, ratio):
    around = jnp.log(jnp.array([ratio - 1e-3, ratio + 1e-3]))
    below, above = slope(drifts.dpo(), around, jnp.full(2, advantage))
    assert below > 0 > above


@pytest.mark.parametrize("drift", ALL, ids=lambda d: d.name)
@pytest.mark.parametrize("advantage", [-1e3, -1.0, 0.0, 1.0, 1e3])
def test_extreme_log_ratios_stay_finite(drift, advantage):
    log_ratio = jnp.array([-1e4, -200.0, -88.0, -20.0, 0.0, 20.0, 88.0, 200.0, 1e4])
    adv = jnp.full_like(log_ratio, advantage)
    assert np.isfinite(objective(drift, log_ratio, adv)).all()
    assert np.isfinite(jax.grad(lambda x: objective(drift, x, adv).sum())(log_ratio)).all()


@pytest.mark.parametrize("drift", ALL, ids=lambda d: d.name)
def test_at_ratio_one_every_drift_is_flat_and_zero(drift):
    """So the first gradient of every variant is A2C's."""
    advantage = jnp.array([-2.0, 0.0, 3.0])
    log_ratio = jnp.zeros(3)
    np.testing.assert_allclose(objective(drift, log_ratio, advantage), advantage)
    np.testing.assert_allclose(slope(drift, log_ratio, advantage), advantage)


def test_kl_penalty_is_the_closed_form_from_old_to_new():
    old = Gaussian(jnp.zeros((3, 1)), jnp.zeros((3, 1)), (-1.0,), (1.0,))
    new = old.replace(log_std=jnp.full((3, 1), np.log(2.0)))
    x = seen(jnp.zeros(3), jnp.ones(3), new, old)
    drift = drifts.kl()
    np.testing.assert_allclose(drift.penalty(jnp.float32(3.0), x, CTX), 3 * 0.318147, rtol=1e-5)
    fixed = drifts.kl(adaptive=False).penalty((), x, CTX._replace(hp=HP.replace(kl_coef=2.0)))
    np.testing.assert_allclose(fixed, 2 * 0.318147, rtol=1e-5)


@pytest.mark.parametrize(
    ("measured", "factor"),
    [(0.0151, 2.0), (0.0149, 1.0), (0.01, 1.0), (0.0067, 1.0), (0.0066, 0.5), (0.0, 0.5)],
)
def test_beta_doubles_and_halves(measured, factor):
    drift = drifts.kl()
    beta = drift.adapt(drift.init(jax.random.key(0), CTX), jnp.float32(measured), CTX)
    assert float(beta) == factor
    fixed = drifts.kl(adaptive=False)
    assert fixed.adapt((), jnp.float32(measured), CTX) == ()


def test_none_is_the_plain_surrogate():
    log_ratio, advantage = GRID
    expected = jnp.exp(log_ratio) * advantage
    np.testing.assert_array_equal(objective(drifts.none(), *GRID), expected)


def test_mdpo_is_the_closed_form_from_new_to_old():
    """The other direction than PPO's penalty: .806853 where that has .318147."""
    old = Gaussian(jnp.zeros((3, 1)), jnp.zeros((3, 1)), (-1.0,), (1.0,))
    new = old.replace(log_std=jnp.full((3, 1), np.log(2.0)))
    x = seen(jnp.zeros(3), jnp.ones(3), new, old)
    ctx = CTX._replace(hp=HP.replace(mirror_step=0.25, tsallis_q=1.0))
    fixed = drifts.mdpo("constant")
    np.testing.assert_allclose(fixed.penalty((), x, ctx), 4 * 0.806853, rtol=1e-5)
    tsallis = drifts.mdpo("constant", "tsallis")
    np.testing.assert_allclose(tsallis.penalty((), x, ctx), 4 * 0.806853, rtol=1e-5)
    # In the first of 10 iterations t is 1.1 times as large.
    np.testing.assert_allclose(drifts.mdpo().penalty((), x, ctx), 4 * 0.806853 / 1.1, rtol=1e-5)


def test_the_mirror_schedule_counts_as_the_released_code():
    """t_k = 1 - (k - 1)/K: from 1 + 1/K to 2/K, and never less."""
    steps = [
        float(drifts.mirror_schedule(Progress(jnp.float32(k / 8), jnp.float32(8))))
        for k in (0, 1, 4, 7, 8, 100)
    ]
    np.testing.assert_allclose(steps, [1.125, 1, 0.625, 0.25, 0.25, 0.25], rtol=1e-6)


@pytest.mark.parametrize("divergence", ["kl", "tsallis"])
def test_mdpo_is_flat_and_zero_at_the_old_policy_and_positive_elsewhere(divergence):
    drift, logits = drifts.mdpo("constant", divergence), jnp.array([[0.3, -1.0, 0.5]])

    def penalty(new):
        x = seen(jnp.zeros(1), jnp.ones(1), Categorical(new), Categorical(logits))
        return drift.penalty((), x, CTX).sum()

    np.testing.assert_allclose(penalty(logits), 0, atol=1e-6)
    np.testing.assert_allclose(jax.grad(penalty)(logits), 0, atol=1e-6)
    assert float(penalty(logits + jnp.array([0.5, 0.0, 0.0]))) > 1e-3
