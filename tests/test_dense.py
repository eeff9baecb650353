"""The product of a dense layer and its gradients, against the plain product."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlsuite import dense


def loss(product, x, kernel):
    return jnp.sin(product(x, kernel)).sum()


def ours(x, kernel):
    return dense.dot_general(x, kernel, None)


def arrays(batch: tuple[int, ...], outputs: int):
    x = jax.random.normal(jax.random.key(0), (*batch, 5))
    return x, jax.random.normal(jax.random.key(1), (5, outputs))


@pytest.mark.parametrize("batch", [(), (7,), (3, 4)])
@pytest.mark.parametrize("outputs", [1, dense.THIN, dense.THIN + 1])
def test_value_and_gradients_are_the_plain_product(batch, outputs):
    for mine, plain in zip(
        jax.value_and_grad(lambda *a: loss(ours, *a), (0, 1))(*arrays(batch, outputs)),
        jax.value_and_grad(lambda *a: loss(jnp.matmul, *a), (0, 1))(*arrays(batch, outputs)),
        strict=True,
    ):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), mine, plain
        )


@pytest.mark.parametrize("outputs", [2, 16])
def test_reverse_over_reverse_and_vmap(outputs):
    x, kernel = arrays((6,), outputs)

    def second(product):
        inner = jax.grad(lambda k, x: loss(product, x, k))
        outer = jax.grad(lambda x: (inner(kernel, x) ** 2).sum())
        return jax.vmap(outer)(jnp.stack([x, 2 * x]))

    np.testing.assert_allclose(second(ours), second(jnp.matmul), rtol=2e-4, atol=1e-4)
