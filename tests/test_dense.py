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
