"""Densities, entropies and divergences against hand-computed values and quadrature."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlsuite.nn.distributions import Categorical, Gaussian, TanhGaussian, log_det_tanh, tsallis_log


def normal(loc: float, std: float, kind: Any = Gaussian) -> Any:
    """A one-dimensional normal on the box [-2, 4]."""
    return kind(jnp.array([loc]), jnp.array([math.log(std)]), (-2.0,), (4.0,))


def test_tanh_normal_worked_numbers():
    u = jnp.array([0.5])
    assert float(normal(0.0, 1.0).log_prob(u)) == pytest.approx(-1.0439385, rel=1e-6)
    assert float(log_det_tanh(u)[0]) == pytest.approx(-0.2402290, rel=1e-6)
    squashed = normal(0.0, 1.0, TanhGaussian)
    assert float(squashed.log_prob(u)) == pytest.approx(-0.8037095, rel=1e-6)


def test_log_det_tanh_is_finite_far_out():
    u = jnp.array([-50.0, 0.0, 50.0])
    np.testing.assert_allclose(log_det_tanh(u), [2 * math.log(2) - 100, 0, 2 * math.log(2) - 100])
    assert np.isfinite(jax.vmap(jax.grad(lambda x: log_det_tanh(x)))(u)).all()


@pytest.mark.parametrize("n", [2, 3, 18])
def test_uniform_categorical_has_entropy_ln_n(n):
    assert float(Categorical(jnp.full(n, 3.7)).entropy()) == pytest.approx(math.log(n), rel=1e-6)


def test_categorical_by_hand():
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.2, 0.2, 0.6])
    a, b = Categorical(jnp.log(jnp.asarray(p)) + 5), Categorical(jnp.log(jnp.asarray(q)))
    np.testing.assert_allclose(a.log_prob(jnp.array(1)), np.log(0.25), rtol=1e-6)
    np.testing.assert_allclose(a.entropy(), -(p * np.log(p)).sum(), rtol=1e-6)
    np.testing.assert_allclose(a.kl(b), (p * np.log(p / q)).sum(), rtol=1e-6)
    np.testing.assert_allclose(a.kl(a), 0, atol=1e-7)
    assert int(a.mode()) == 0


def test_gaussian_kl_worked_numbers():
    old, new = normal(0.3, 0.5), normal(0.3, 1.0)
    assert float(new.kl(old)) == pytest.approx(0.806853, rel=1e-6)
    assert float(old.kl(new)) == pytest.approx(0.318147, rel=1e-5)
    squashed = normal(0.3, 1.0, TanhGaussian).kl(normal(0.3, 0.5, TanhGaussian))
    assert float(squashed) == pytest.approx(0.806853, rel=1e-6)


def test_gaussian_kl_and_entropy_by_quadrature():
    a, b = normal(0.2, 0.7), normal(-0.5, 1.3)
    x = jnp.linspace(-8, 8, 20_001)[:, None]
    dx = 16 / 20_000
    log_a, log_b = a.log_prob(x), b.log_prob(x)
    density = jnp.exp(log_a)
    np.testing.assert_allclose((density * (log_a - log_b)).sum() * dx, a.kl(b), rtol=1e-4)
    np.testing.assert_allclose(-(density * log_a).sum() * dx, a.entropy(), rtol=1e-4)


def test_tanh_density_integrates_to_one_over_tanh_actions():
    dist = normal(0.4, 0.8, TanhGaussian)
    y = jnp.linspace(-1, 1, 40_002)[1:-1]
    density = jnp.exp(dist.log_prob(jnp.arctanh(y)[:, None]))
    assert float(density.sum() * 2 / 40_001) == pytest.approx(1.0, rel=1e-3)


def test_actions_sent_to_the_box():
    u = jnp.array([[-100.0], [0.0], [100.0]])
    clipped = normal(0.0, 1.0).to_env(u)
    squashed = normal(0.0, 1.0, TanhGaussian).to_env(u)
    np.testing.assert_allclose(clipped[:, 0], [-2, 0, 4])
    np.testing.assert_allclose(squashed[:, 0], [-2, 1, 4])


@pytest.mark.parametrize("kind", [Gaussian, TanhGaussian])
def test_samples_have_the_stated_moments(kind):
    n = 40_000
    dist = kind(jnp.full((n, 2), 0.5), jnp.full((n, 2), math.log(0.3)), (0.0, 0.0), (1.0, 1.0))
    sample = np.asarray(dist.sample(jax.random.key(0)))
    # Five standard errors.
    np.testing.assert_allclose(sample.mean(0), 0.5, atol=5 * 0.3 / n**0.5)
    np.testing.assert_allclose(sample.std(0), 0.3, atol=5 * 0.3 / (2 * n) ** 0.5)


def test_categorical_samples_follow_the_logits():
    n, p = 40_000, np.array([0.6, 0.3, 0.1])
    logits = jnp.broadcast_to(jnp.log(jnp.asarray(p)), (n, 3))
    counts = np.bincount(Categorical(logits).sample(jax.random.key(0)), minlength=3)
    np.testing.assert_allclose(counts / n, p, atol=5 * 0.5 / n**0.5)


@pytest.mark.parametrize("kind", [Gaussian, TanhGaussian])
def test_a_stacked_rollout_of_distributions_flattens(kind):
    """The bounds are static: only leaves with the batch in front are indexed."""
    dist = kind(jnp.zeros((5, 4, 2)), jnp.zeros((5, 4, 2)), (-1.0, -2.0), (1.0, 2.0))
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[jnp.array([3, 19])], dist)
    np.testing.assert_allclose(flat.to_env(jnp.full((2, 2), 99.0)), [[1, 2], [1, 2]])
    assert [leaf.shape for leaf in jax.tree.leaves(dist)] == [(5, 4, 2)] * 2


@pytest.mark.parametrize(
    ("q", "of_fifth", "of_four_fifths"),
    [(1.0, -1.609438, -0.223144), (1.5, -1.105573, -0.211146), (2.0, -0.8, -0.2)],
)
def test_tsallis_logarithm_worked_numbers(q, of_fifth, of_four_fifths):
    got = tsallis_log(jnp.log(jnp.array([0.2, 0.8])), q)
    np.testing.assert_allclose(got, [of_fifth, of_four_fifths], atol=1e-6)


@pytest.mark.parametrize("q", [1.0, 1.0 + 1e-6, 1.3, 2.0])
def test_tsallis_divergences_against_their_definition(q):
    """Bregman's: psi(p) - psi(k) - psi'(k) (p - k) with psi(p) = p ln_q p, by quadrature."""

    def bregman(p: Any, k: Any) -> Any:
        b = max(q - 1, 1e-9)
        psi_p, psi_k = ((x * (x**b - 1) / b) for x in (p, k))
        return psi_p - psi_k - ((1 + b) * k**b - 1) / b * (p - k)

    x = np.linspace(-12, 12, 200_001)
    density = [np.exp(-0.5 * ((x - m) / s) ** 2) / s / math.sqrt(2 * math.pi) for m, s in
               ((0.4, 0.7), (-0.2, 1.1))]  # fmt: skip
    expected = bregman(*density).sum() * (x[1] - x[0])
    for kind in (Gaussian, TanhGaussian):
        got = normal(0.4, 0.7, kind).tsallis(normal(-0.2, 1.1, kind), q)
        np.testing.assert_allclose(got, expected, rtol=1e-4)
    p, k = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.1, 0.3])
    got = Categorical(jnp.log(jnp.asarray(p))).tsallis(Categorical(jnp.log(jnp.asarray(k))), q)
    np.testing.assert_allclose(got, bregman(p, k).sum(), rtol=1e-4)


def test_tsallis_stays_finite_where_the_old_policy_is_certain():
    sure, unsure = Categorical(jnp.array([0.0, -200.0])), Categorical(jnp.array([-3.0, 3.0]))
    for q in (1.5, 2.0):
        slope = jax.grad(lambda x, q=q: Categorical(x).tsallis(sure, q))(unsure.logits)
        assert np.isfinite(slope).all()
        assert float(unsure.tsallis(sure, q)) > 0.5
