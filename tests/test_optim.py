"""Our Adam against optax's, clipping by hand, and one trace for many step sizes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rlsuite.ops import optim

PARAMS = {"w": jnp.array([1.0, -2.0, 3.0]), "b": jnp.array([[0.5]])}


def gradients(step):
    """Different at every step, of norm above and below the clip's bound."""
    return jax.tree.map(lambda p: jnp.sin(p * (step + 1)) * (1.0 + step), PARAMS)


def run(tx, steps=5):
    """Parameters after some steps."""
    params, state = PARAMS, tx.init(PARAMS)
    for step in range(steps):
        updates, state = tx.update(gradients(step), state, params)
        params = optax.apply_updates(params, updates)
    return params


def assert_close(a, b, rtol=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol), a, b)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, optax.identity()),
        ({"clip": "global_norm", "max_grad": 2.0}, optax.clip_by_global_norm(2.0)),
        ({"clip": "element", "max_grad": 0.7}, optax.clip(0.7)),
    ],
)
def test_adam_is_optax_adam_behind_its_clip(ours, theirs):
    expected = run(optax.chain(theirs, optax.adam(0.03, b1=0.8, b2=0.95, eps=1e-5)))
    assert_close(run(optim.adam(0.03, b1=0.8, b2=0.95, eps=1e-5, **ours)), expected)


def clipped(kind, bound, grads):
    """What the clip makes of gradients, read off Adam's first moment."""
    tx = optim.adam(1.0, b1=0.0, clip=kind, max_grad=bound)
    _, state = tx.update(grads, tx.init(grads))
    return optax.tree.get(state, "mu")


def test_clips_by_hand():
    grads = {"a": jnp.array([3.0, 0.0]), "b": jnp.array(-4.0)}
    by_norm = clipped("global_norm", 1.0, grads)
    np.testing.assert_allclose([by_norm["a"][0], by_norm["b"]], [0.6, -0.8], rtol=1e-6)
    by_element = clipped("element", 3.5, grads)
    np.testing.assert_allclose([by_element["a"][0], by_element["b"]], [3.0, -3.5])
    untouched = clipped("none", 0.1, grads)
    np.testing.assert_allclose([untouched["a"][0], untouched["b"]], [3.0, -4.0])


def test_a_zero_gradient_stays_zero():
    zeros = jax.tree.map(jnp.zeros_like, PARAMS)
    for leaf in jax.tree.leaves(clipped("global_norm", 0.5, zeros)):
        np.testing.assert_array_equal(leaf, 0)


def test_every_number_may_be_traced():
    traces = []

    @jax.jit
    def step(rate, b1, b2, eps, bound):
        traces.append(1)
        return run(optim.adam(rate, b1=b1, b2=b2, eps=eps, clip="global_norm", max_grad=bound), 2)

    for numbers in ((0.1, 0.9, 0.999, 1e-8, 0.5), (0.01, 0.5, 0.9, 1e-5, 5.0)):
        fixed = optim.adam(
            numbers[0], b1=numbers[1], b2=numbers[2], eps=numbers[3],
            clip="global_norm", max_grad=numbers[4],
        )  # fmt: skip
        # 1 - 0.999 keeps four digits and a half in float32, Python's double keeps all.
        assert_close(step(*map(jnp.float32, numbers)), run(fixed, 2), rtol=3e-5)
    assert len(traces) == 1
