"""Shuffled indices without a sort: a keyed bijection on {0..n-1}."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

ROUNDS = 4


def permutation(key: PRNGKeyArray, n: int) -> Int[Array, " n"]:
    """A pseudo-random permutation of {0..n-1}.

    XLA sorts slowly on CPU: `jax.random.permutation` took a quarter of PPO's time. For n a power
    of two this applies four rounds of x <- a x + b (a odd), x <- x ^ (x >> k/2), each a bijection
    on k bits with constants drawn from the key. Other sizes fall back to the sort. Good for
    minibatches; not a uniform draw over all n! permutations.
    """
    bits = n.bit_length() - 1
    if n != 1 << bits or bits < 2:
        return jax.random.permutation(key, n)
    constants = jax.random.bits(key, (ROUNDS, 2), jnp.uint32)
    mask = jnp.uint32(n - 1)
    x = jnp.arange(n, dtype=jnp.uint32)
    for a, b in constants:
        x = (x * (a | 1) + b) & mask
        x = x ^ (x >> max(bits // 2, 1))
    return x.astype(jnp.int32)
