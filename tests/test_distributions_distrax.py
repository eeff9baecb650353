"""The suite's distributions against distrax's, at ordinary and at extreme parameters.

distrax is in the dev extra: tests alone import it. To the suite it would add half a second or
more of import, after jax and flax (`time python -c "import rlsuite.nn.distributions, distrax"`,
with and without it), and a nightly build of TensorFlow Probability. That one warns of what jax
deprecates, which is no fault of the suite's.
"""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlsuite.nn.distributions import Categorical, Gaussian, TanhGaussian

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    distrax: Any = pytest.importorskip("distrax", reason="distrax is in the dev extra")

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
ROWS, DIM = 1024, 3
# Largest logit; and, of normals, (largest mean, least and largest logarithm of the deviation).
LOGITS = {"ordinary": 2.0, "flat": 1e-6, "certain": 100.0, "extreme": 1e6}
NORMALS = {
    "ordinary": (2.0, -1.0, 1.0),
    "narrow": (1.0, -20.0, -15.0),
    "wide": (1.0, 10.0, 15.0),
    "far": (1e4, -2.0, 2.0),
    "mixed": (10.0, -10.0, 10.0),
}


def draw(seed: int, *shape: int, low: float = -1.0, high: float = 1.0) -> Any:
    """Uniform numbers, equal on every machine."""
    drawn = np.random.default_rng(seed).uniform(low, high, shape)
    return jnp.asarray(drawn, jnp.float32)


def categorical(size: str, seed: int, n: int = 5) -> tuple[Categorical, Any]:
    """Ours and distrax's, of the same logits."""
    logits = LOGITS[size] * draw(seed, ROWS, n)
    return Categorical(logits), distrax.Categorical(logits=logits)


def normal(size: str, seed: int) -> tuple[Gaussian, Any]:
    """Ours and distrax's, of the same means and deviations."""
    far, least, most = NORMALS[size]
    loc, log_std = far * draw(seed, ROWS, DIM), draw(seed + 100, ROWS, DIM, low=least, high=most)
    ours = Gaussian(loc, log_std, (-1.0,) * DIM, (1.0,) * DIM)
    return ours, distrax.MultivariateNormalDiag(loc, jnp.exp(log_std))


def squashed(size: str, seed: int) -> tuple[TanhGaussian, Any]:
    """As `normal`, squashed by tanh; distrax's is of the squashed action."""
    ours, base = normal(size, seed)
    wrapped = distrax.Transformed(base, distrax.Block(distrax.Tanh(), 1))
    return TanhGaussian(ours.loc, ours.log_std, ours.low, ours.high), wrapped


def close(got: Any, wanted: Any, rtol: float = 2e-5, atol: float = 2e-5) -> None:
    """Equal to the rounding of 32 bits; all of it finite."""
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol)


@pytest.mark.parametrize("size", LOGITS)
def test_a_categorical_is_distraxs(size: str) -> None:
    (ours, theirs), (other, their_other) = categorical(size, 0), categorical(size, 1)
    for action in range(5):
        actions = jnp.full(ROWS, action)
        close(ours.log_prob(actions), theirs.log_prob(actions))
    close(ours.entropy(), theirs.entropy())
    close(ours.kl(other), theirs.kl_divergence(their_other))
    # distrax looks at probabilities, of which several round to the largest where all are near.
    np.testing.assert_allclose(theirs.prob(ours.mode()), theirs.probs.max(-1), rtol=1e-6)
    key = jax.random.key(7)
    np.testing.assert_array_equal(ours.sample(key), theirs.sample(seed=key))


@pytest.mark.parametrize("size", NORMALS)
def test_a_normal_is_distraxs(size: str) -> None:
    (ours, theirs), (other, their_other) = normal(size, 0), normal(size, 1)
    key = jax.random.key(7)
    sample = ours.sample(key)
    close(sample, theirs.sample(seed=key))
    scale = jnp.exp(ours.log_std)
    # Up to twenty deviations away; at the samples themselves what rounds is the sample.
    for apart in (0.0, 1.0, -20.0):
        action = ours.loc + apart * scale
        close(ours.log_prob(action), theirs.log_prob(action))
    close(ours.entropy(), theirs.entropy())
    close(ours.kl(other), theirs.kl_divergence(their_other))
    np.testing.assert_array_equal(ours.mode(), theirs.mode())


@pytest.mark.parametrize("size", NORMALS)
def test_a_squashed_normal_is_distraxs(size: str) -> None:
    (ours, theirs), (other, their_other) = squashed(size, 0), squashed(size, 1)
    key = jax.random.key(7)
    raw = ours.sample(key)
    close(jnp.tanh(raw), theirs.sample(seed=key))
    # From the raw action, as ours: a squashed one of 1 cannot be taken back.
    for action in (raw, raw + 5 * jnp.exp(ours.log_std)):
        expected = theirs.distribution.log_prob(action)
        close(ours.log_prob(action), expected - theirs.bijector.forward_log_det_jacobian(action))
    close(ours.kl(other), theirs.kl_divergence(their_other))
    # distrax has no entropy of it; ours is the normal's and the Jacobian at the mean.
    at_mean = theirs.bijector.forward_log_det_jacobian(ours.loc)
    close(ours.entropy(), theirs.distribution.entropy() + at_mean)
