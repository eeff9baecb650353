"""The three policy distributions of the suite, as pytrees.

Parameters are leaves with the batch in front; a box's bounds are static, so that a rollout of
distributions can be stacked, flattened and indexed like any other rollout.

distrax covers these and much more, at half a second or more of import time and a dependency on a
nightly build of TensorFlow Probability; what policy optimisation needs of it is this page.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rlsuite.contracts import box

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)

Scalar = float | Float[Array, ""]


class Categorical(struct.PyTreeNode):
    """Over {0..n-1}, from unnormalised `logits[*b, n]`; the environment counts from `start`."""

    logits: Float[Array, "*b n"]
    start: int = struct.field(pytree_node=False, default=0)

    def sample(self, key: PRNGKeyArray) -> Int[Array, "*b"]:
        """Draw one action for each row."""
        return jax.random.categorical(key, self.logits)

    def mode(self) -> Int[Array, "*b"]:
        """The likeliest action."""
        return self.logits.argmax(-1)

    def log_prob(self, action: Int[Array, "*b"]) -> Float[Array, "*b"]:
        """ln p(action)."""
        # A one-hot product: its gradient is a product too, where a gather's is a scatter.
        hot = jax.nn.one_hot(action, self.logits.shape[-1], dtype=self.logits.dtype)
        return (jax.nn.log_softmax(self.logits) * hot).sum(-1)

    def entropy(self) -> Float[Array, "*b"]:
        """H = -sum p ln p; ln n when uniform."""
        log_p = jax.nn.log_softmax(self.logits)
        return -(jnp.exp(log_p) * log_p).sum(-1)

    def kl(self, other: Categorical) -> Float[Array, "*b"]:
        """KL(self || other) = sum p (ln p - ln q)."""
        log_p, log_q = jax.nn.log_softmax(self.logits), jax.nn.log_softmax(other.logits)
        return (jnp.exp(log_p) * (log_p - log_q)).sum(-1)

    def tsallis(self, other: Categorical, q: Scalar) -> Float[Array, "*b"]:
        """The Bregman divergence of Tsallis' negative entropy; KL(self || other) at q = 1.

        With ln_q(x) = (x^(q-1) - 1)/(q-1) (see `tsallis_log`) the negative entropy is
        sum p ln_q p, and the divergence sum p (ln_q p - ln_q k) - k^(q-1) (p - k) >= 0.
        """
        log_p, log_k = jax.nn.log_softmax(self.logits), jax.nn.log_softmax(other.logits)
        p, k = jnp.exp(log_p), jnp.exp(log_k)
        apart = p * (tsallis_log(log_p, q) - tsallis_log(log_k, q))
        return (apart - jnp.exp((q - 1) * log_k) * (p - k)).sum(-1)

    def to_env(self, action: Int[Array, "*b"]) -> Int[Array, "*b"]:
        """What the environment is sent: indices from `start`."""
        return box.from_index(action, self.start)


class Gaussian(struct.PyTreeNode):
    """Diagonal normal; what the environment is sent is clipped to its box, log-probs are not.

    `shape` is the box's; None where it is that of a vector.
    """

    loc: Float[Array, "*b d"]
    log_std: Float[Array, "*b d"]
    low: tuple[float, ...] = struct.field(pytree_node=False)
    high: tuple[float, ...] = struct.field(pytree_node=False)
    shape: tuple[int, ...] | None = struct.field(pytree_node=False, default=None)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*b d"]:
        """Draw one unclipped action for each row."""
        noise = jax.random.normal(key, self.loc.shape)
        return self.loc + jnp.exp(self.log_std) * noise

    def mode(self) -> Float[Array, "*b d"]:
        """The mean."""
        return self.loc

    def log_prob(self, action: Float[Array, "*b d"]) -> Float[Array, "*b"]:
        """ln of the density at the unclipped action."""
        z = (action - self.loc) * jnp.exp(-self.log_std)
        return (-0.5 * z**2 - self.log_std - _LOG_SQRT_2PI).sum(-1)

    def entropy(self) -> Float[Array, "*b"]:
        """H = sum (ln sigma + ln sqrt(2 pi e))."""
        log_std = jnp.broadcast_to(self.log_std, self.loc.shape)
        return (log_std + _LOG_SQRT_2PI + 0.5).sum(-1)

    def kl(self, other: Gaussian) -> Float[Array, "*b"]:
        """KL(self || other) in closed form, summed over dimensions."""
        var_ratio = jnp.exp(2 * (self.log_std - other.log_std))
        scaled = ((self.loc - other.loc) * jnp.exp(-other.log_std)) ** 2
        return 0.5 * (var_ratio + scaled - 1 + 2 * (other.log_std - self.log_std)).sum(-1)

    def tsallis(self, other: Gaussian, q: Scalar) -> Float[Array, "*b"]:
        """As `Categorical.tsallis`, of each dimension's density, summed; closed form.

        With b = q - 1 a dimension gives (int p^q - int p k^b)/b + int k^q - int p k^b.
        """
        b = jnp.asarray(q - 1, self.loc.dtype)
        kl, b = self.kl(other), jnp.where(b == 0, 1.0, b)  # at b = 0 the KL is selected below
        inflated = b * jnp.exp(2 * (self.log_std - other.log_std))
        distance = ((self.loc - other.loc) * jnp.exp(-other.log_std)) ** 2 / (1 + inflated)
        log_cross = -b * (other.log_std + _LOG_SQRT_2PI + distance / 2) - jnp.log1p(inflated) / 2
        log_p = -b * (self.log_std + _LOG_SQRT_2PI) - jnp.log1p(b) / 2
        log_k = -b * (other.log_std + _LOG_SQRT_2PI) - jnp.log1p(b) / 2
        apart = (jnp.expm1(log_p) - jnp.expm1(log_cross)) / b
        divergence = (apart + jnp.exp(log_k) - jnp.exp(log_cross)).sum(-1)
        return jnp.where(q == 1, kl, divergence)

    def to_env(self, action: Float[Array, "*b d"]) -> Float[Array, "*b *a"]:
        """Clip to the box, in its shape."""
        inside = jnp.clip(action, jnp.asarray(self.low), jnp.asarray(self.high))
        return inside if self.shape is None else box.shaped(inside, self.shape)


class TanhGaussian(struct.PyTreeNode):
    """A normal squashed by tanh and scaled to the box. Actions here are the raw, pre-tanh u."""

    loc: Float[Array, "*b d"]
    log_std: Float[Array, "*b d"]
    low: tuple[float, ...] = struct.field(pytree_node=False)
    high: tuple[float, ...] = struct.field(pytree_node=False)
    shape: tuple[int, ...] | None = struct.field(pytree_node=False, default=None)

    def _base(self) -> Gaussian:
        return Gaussian(self.loc, self.log_std, self.low, self.high)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*b d"]:
        """Draw one raw action for each row."""
        return self._base().sample(key)

    def mode(self) -> Float[Array, "*b d"]:
        """The raw mean (its tanh is the median action)."""
        return self.loc

    def log_prob(self, action: Float[Array, "*b d"]) -> Float[Array, "*b"]:
        """ln N(u) - ln|d tanh/du|, the log-determinant as 2 (ln 2 - u - softplus(-2u))."""
        return self._base().log_prob(action) - log_det_tanh(action).sum(-1)

    def entropy(self) -> Float[Array, "*b"]:
        """The mode's estimate H[N] + ln|d tanh/du| at the mean: no closed form exists.

        brax adds the log-determinant at one sample; at the mean it needs no key.
        """
        return self._base().entropy() + log_det_tanh(self.loc).sum(-1)

    def kl(self, other: TanhGaussian) -> Float[Array, "*b"]:
        """KL of the underlying normals: tanh is a bijection and leaves it unchanged."""
        return self._base().kl(other._base())

    def tsallis(self, other: TanhGaussian, q: Scalar) -> Float[Array, "*b"]:
        """That of the underlying normals (unlike the KL, squashing would change it)."""
        return self._base().tsallis(other._base(), q)

    def to_env(self, action: Float[Array, "*b d"]) -> Float[Array, "*b *a"]:
        """tanh, then the box, in its shape."""
        low, high = jnp.asarray(self.low), jnp.asarray(self.high)
        inside = box.from_unit(jnp.tanh(action), low, high)
        return inside if self.shape is None else box.shaped(inside, self.shape)


def tsallis_log(log_x: Float[Array, "*b"], q: Scalar) -> Float[Array, "*b"]:
    """ln_q(x) = (x^(q-1) - 1)/(q-1) from ln x; ln x at q = 1 (MDPO's q', Tomar et al., 2022)."""
    b = jnp.asarray(q - 1, log_x.dtype)
    safe = jnp.where(b == 0, 1.0, b)
    return jnp.where(b == 0, log_x, jnp.expm1(safe * log_x) / safe)


def log_det_tanh(u: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """ln(1 - tanh(u)^2), stable for large |u|."""
    return 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))


Distribution = Categorical | Gaussian | TanhGaussian
