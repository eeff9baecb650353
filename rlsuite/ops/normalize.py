"""Running statistics of observations and of discounted returns, kept as agent state.

Statistics are frozen while a rollout is collected: the rollout acts on, and learning sees,
observations normalised with the same numbers, so the first minibatch has ratio exactly 1. They are
merged afterwards by Chan's parallel formula. Evaluation uses them as they are.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Num

# Beyond this a float32 count stops resolving single batches; capping it turns the statistics into
# a moving average over the last ten million samples instead of freezing them silently.
COUNT_CAP = 1e7


class Moments(struct.PyTreeNode):
    """Mean and population variance of `count` samples seen so far."""

    mean: Float[Array, "*shape"]
    var: Float[Array, "*shape"]
    count: Float[Array, ""]


def init(shape: tuple[int, ...]) -> Moments:
    """No samples seen: normalising is the identity."""
    return Moments(jnp.zeros(shape), jnp.ones(shape), jnp.float32(1e-4))


def update(moments: Moments, batch: Num[Array, "*batch"]) -> Moments:
    """Merge a batch whose trailing axes match the statistics (Chan et al., 1979).

    With d = mean_b - mean and n' = n + n_b: mean' = mean + d n_b/n',
    var' = (var n + var_b n_b + d^2 n n_b/n') / n'.
    """
    axes = tuple(range(batch.ndim - moments.mean.ndim))
    n_b = jnp.float32(batch.size // max(moments.mean.size, 1))
    mean_b, var_b = batch.mean(axes), batch.var(axes)
    n, total = moments.count, moments.count + n_b
    delta = mean_b - moments.mean
    mean = moments.mean + delta * n_b / total
    var = (moments.var * n + var_b * n_b + delta**2 * n * n_b / total) / total
    return Moments(mean, var, jnp.minimum(total, COUNT_CAP))


def normalize(
    moments: Moments, x: Num[Array, "*batch"], clip: float | Float[Array, ""]
) -> Float[Array, "*batch"]:
    """(x - mean) / sqrt(var + 1e-8), clipped to ±clip. Statistics are constants to gradients.

    Args:
      moments: of the observations seen before.
      x: its trailing axes are those of the statistics.
      clip: in standard deviations.
    """
    moments = jax.lax.stop_gradient(moments)
    scaled = (x - moments.mean) * jax.lax.rsqrt(moments.var + 1e-8)
    return jnp.clip(scaled, -clip, clip)


def discounted_sums(
    running: Float[Array, " n"],
    reward: Float[Array, "t n"],
    done: Bool[Array, "t n"],
    discount: float | Float[Array, ""],
) -> tuple[Float[Array, " n"], Float[Array, "t n"]]:
    """The reward normaliser's G: G <- discount G + r, recorded, then 0 where the episode ended.

    As in OpenAI baselines' VecNormalize. (Multiplying by 1 - done before adding the same step's
    reward, as several ports do, forgets the last step and leaks the old reward into the next
    episode.)

    Args:
      running: G before the first of these steps.
      reward: as the environment gave it.
      done: the episode ended in this step, for either reason.
      discount: gamma.

    Returns:
      (G after the last step, G[t, n] recorded before each reset).
    """

    def body(
        g: Float[Array, " n"], x: tuple[Float[Array, " n"], Bool[Array, " n"]]
    ) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        r_t, done_t = x
        g = discount * g + r_t
        return jnp.where(done_t, 0.0, g), g

    return jax.lax.scan(body, running, (reward, done))


def scale_reward(
    moments: Moments, reward: Float[Array, "*batch"], clip: float | Float[Array, ""]
) -> Float[Array, "*batch"]:
    """r / sqrt(Var[G] + 1e-8), clipped to ±clip; no mean is subtracted.

    Args:
      moments: of `discounted_sums`, scalars.
      reward: as the environment gave it.
      clip: of the scaled reward.
    """
    return jnp.clip(reward * jax.lax.rsqrt(moments.var + 1e-8), -clip, clip)
