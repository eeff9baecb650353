"""LayerNorm and its gradients, against flax's."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from tiny import assert_close

from rlsuite.nn.layer_norm import LayerNorm


def parameters(size):
    keys = jax.random.split(jax.random.key(3), 2)
    scale, bias = (jax.random.normal(k, (size,)) for k in keys)
    return {"params": {"scale": 1 + scale, "bias": bias}}


@pytest.mark.parametrize("batch", [(), (7,), (3, 4)])
def test_value_and_gradients_are_flaxs(batch):
    x = 2 + 3 * jax.random.normal(jax.random.key(0), (*batch, 16))

    def run(module):
        loss = lambda p, x: jnp.sin(module.apply(p, x)).sum()  # noqa: E731
        return jax.jit(jax.value_and_grad(loss, (0, 1)))(parameters(16), x)

    assert_close(run(LayerNorm()), run(nn.LayerNorm(epsilon=1e-5)), rtol=2e-5, atol=2e-5)


def test_reverse_over_reverse_is_flaxs():
    x = jax.random.normal(jax.random.key(0), (4, 6))

    def second(module):
        inner = jax.grad(lambda x: jnp.sin(module.apply(parameters(6), x)).sum())
        return jax.jit(jax.grad(lambda x: (inner(x) ** 2).sum()))(x)

    assert_close(second(LayerNorm()), second(nn.LayerNorm(epsilon=1e-5)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("batch", [(), (3, 4)])
def test_tangents_are_flaxs(batch):
    x = 2 + 3 * jax.random.normal(jax.random.key(0), (*batch, 6))

    def run(module):
        f = lambda p, x: module.apply(p, x)  # noqa: E731
        along = jax.tree.map(jnp.cos, (parameters(6), x))
        whole = jax.jit(lambda *v: jax.jvp(f, (parameters(6), x), v))(*along)
        one = jax.jvp(lambda x: f(parameters(6), x), (x,), along[1:])
        return whole, one, jax.jacfwd(f)(parameters(6), x)

    assert_close(run(LayerNorm()), run(nn.LayerNorm(epsilon=1e-5)), rtol=2e-5, atol=2e-5)


def test_hessian_vector_products_are_flaxs_under_vmap_and_jit():
    x = jax.random.normal(jax.random.key(0), (2, 4, 6))

    def products(module):
        def both(x, v):
            loss = lambda x: jnp.sin(module.apply(parameters(6), x)).sum()  # noqa: E731
            slope = lambda x: jax.jvp(loss, (x,), (v,))[1]  # noqa: E731
            return jax.jvp(jax.grad(loss), (x,), (v,))[1], jax.grad(slope)(x)

        return jax.jit(jax.vmap(both))(x, jnp.cos(x))

    mine, theirs = products(LayerNorm()), products(nn.LayerNorm(epsilon=1e-5))
    assert_close(mine, theirs, rtol=1e-3, atol=1e-3)


def test_parameters_are_those_of_flax():
    x = jnp.ones((2, 5))
    mine, theirs = (m.init(jax.random.key(1), x) for m in (LayerNorm(), nn.LayerNorm()))
    assert_close(mine, theirs, rtol=0, atol=0)


def test_a_constant_row_is_the_bias_alone():
    p = parameters(8)
    out = LayerNorm().apply(p, jnp.full((2, 8), 5.0))
    assert_close(out, jnp.tile(p["params"]["bias"], (2, 1)), rtol=0, atol=1e-2)
