"""The dense layer and its gradients, against flax's."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import assert_close

from rlsuite import dense


def plain(x, kernel, bias):
    return x @ kernel + bias


def ours(fence: bool):
    return lambda x, kernel, bias: dense.affine(x, kernel, bias, fence)


def arrays(batch: tuple[int, ...], inputs: int, outputs: int):
    keys = jax.random.split(jax.random.key(0), 3)
    shapes = ((*batch, inputs), (inputs, outputs), (outputs,))
    return [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)]


def value_and_gradients(layer, values):
    return jax.jit(jax.value_and_grad(lambda *a: jnp.sin(layer(*a)).sum(), (0, 1, 2)))(*values)


@pytest.mark.parametrize("fence", [False, True])
@pytest.mark.parametrize("batch", [(), (7,), (3, 4)])
@pytest.mark.parametrize("outputs", [1, 8, dense.THIN, dense.THIN + 1])
def test_value_and_gradients_are_those_of_the_plain_product(batch, outputs, fence):
    values = arrays(batch, 5, outputs)
    mine, other = (value_and_gradients(f, values) for f in (ours(fence), plain))
    assert_close(mine, other, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("outputs", [1, dense.THIN + 1])
def test_the_same_beyond_the_cache(outputs, monkeypatch):
    monkeypatch.setattr(dense, "LARGE", 12)
    values = arrays((4,), 3, outputs)
    mine, other = (value_and_gradients(f, values) for f in (ours(True), plain))
    assert_close(mine, other, rtol=1e-5, atol=2e-6)


def test_a_fence_changes_no_bit():
    values = arrays((32,), dense.WIDE, 16)
    fenced, bare = (value_and_gradients(ours(f), values) for f in (True, False))
    assert_close(fenced, bare, rtol=0, atol=0)


def test_a_fence_survives_the_compiler():
    """Were its division simplified away, XLA would compute x once more for the product."""
    values = arrays((32,), dense.WIDE, 16)

    def compiled(fence):
        layer = ours(fence)
        f = jax.jit(jax.grad(lambda x, *p: layer(jax.nn.relu(x), *p).sum(), (1, 2)))
        text = f.lower(*values).compile().as_text() or ""
        return re.search(rf"f32\[32,{dense.WIDE}\]\S* divide\(", text)

    assert compiled(True)
    assert not compiled(False)


@pytest.mark.parametrize("large", [dense.LARGE, 12])
@pytest.mark.parametrize("batch", [(), (3, 4)])
@pytest.mark.parametrize("outputs", [1, dense.THIN + 1])
def test_tangents_are_those_of_the_plain_product(batch, outputs, large, monkeypatch):
    monkeypatch.setattr(dense, "LARGE", large)
    values = arrays(batch, dense.WIDE, outputs)
    along = [jnp.cos(3 * v) for v in values]

    def tangents(layer):
        def push(moving):
            rest = values[len(moving) :]
            return jax.jvp(lambda *v: layer(*v, *rest), values[: len(moving)], moving)

        return jax.jit(lambda along: [push(along), push(along[:1])])(along)

    assert_close(tangents(ours(True)), tangents(plain), rtol=1e-5, atol=1e-5)


def test_jacobians_are_the_same_in_both_modes():
    x, kernel, bias = arrays((4,), 3, 2)
    layer = lambda k, b: jnp.sin(ours(True)(x, k, b))  # noqa: E731
    forward, reverse = (f(layer, (0, 1))(kernel, bias) for f in (jax.jacfwd, jax.jacrev))
    assert_close(forward, reverse, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("outputs", [2, 60])
def test_hessian_vector_products_under_vmap_and_jit(outputs):
    """Forward over reverse and reverse over forward, of many x and vectors at once."""
    x, kernel, bias = arrays((6,), 5, outputs)
    many, vectors = jnp.stack([x, 2 * x]), jnp.stack([jnp.cos(kernel), kernel])

    def products(layer):
        def both(x, v):
            loss = lambda k: jnp.sin(layer(x, k, bias)).sum()  # noqa: E731
            slope = lambda k: jax.jvp(loss, (k,), (v,))[1]  # noqa: E731
            return jax.jvp(jax.grad(loss), (kernel,), (v,))[1], jax.grad(slope)(kernel)

        return jax.jit(jax.vmap(both))(many, vectors)

    assert_close(products(ours(True)), products(plain), rtol=2e-4, atol=1e-3)


def test_what_needs_no_gradient_is_not_multiplied():
    values = arrays((6,), 5, 60)

    def count(*wanted):
        f = jax.grad(lambda *v: jnp.sin(ours(False)(*v)).sum(), wanted)
        return str(jax.make_jaxpr(f)(*values)).count("dot_general")

    # Forward; with the kernel's gradient a product for each kind of machine.
    assert (count(0), count(1), count(0, 1)) == (2, 3, 4)


@pytest.mark.parametrize("outputs", [2, 60])
def test_reverse_over_reverse_and_vmap(outputs):
    x, kernel, bias = arrays((6,), 5, outputs)

    def second(layer):
        inner = jax.grad(lambda k, x: jnp.sin(layer(x, k, bias)).sum())
        outer = jax.grad(lambda x: (inner(kernel, x) ** 2).sum())
        return jax.vmap(outer)(jnp.stack([x, 2 * x]))

    np.testing.assert_allclose(second(ours(True)), second(plain), rtol=2e-4, atol=1e-3)


def test_parameters_are_those_of_flax():
    class Two(nn.Module):
        layer: type

        @nn.compact
        def __call__(self, x):
            kinds = {
                "kernel_init": nn.initializers.lecun_normal(),
                "bias_init": nn.initializers.ones,
            }
            return self.layer(3, **kinds)(self.layer(4, **kinds)(x))

    flax_dense = type("Dense", (nn.Dense,), {})
    x = jnp.ones((2, 5))
    mine, theirs = (Two(k).init(jax.random.key(1), x) for k in (dense.Dense, flax_dense))
    assert_close(mine, theirs, rtol=0, atol=0)
