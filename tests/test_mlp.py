"""Networks of off-policy agents: how they start, that ensembles are independent, bounds."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import assert_close

from rlsuite.bench.children.run_updates import layers_of
from rlsuite.nn import mlp
from rlsuite.nn.distributions import TanhGaussian

KEY = jax.random.key(0)
STEP = 3e-3  # of finite differences
SHAPE = mlp.Shape(hidden=(64, 32))


def layers(params: Any) -> list[dict[str, np.ndarray]]:
    """Kernel and bias of each dense layer, in order."""
    tree = params["params"]
    names = sorted((n for n in tree if n.startswith("Linear")), key=lambda n: int(n[7:]))
    return [jax.tree.map(np.asarray, tree[name]["Dense_0"]) for name in names]


def critic_layers(init: Any) -> list[dict[str, np.ndarray]]:
    shape = mlp.Shape(hidden=(64, 32), init=init)
    return layers(mlp.critic(shape, (100,), 10).init(jax.random.key(0)))


def test_torch_weights_and_biases_fill_their_bounds():
    for layer in critic_layers("torch"):
        bound = 1 / math.sqrt(layer["kernel"].shape[0])
        drawn = np.concatenate([layer["kernel"].ravel(), layer["bias"]])
        assert np.abs(drawn).max() <= bound
        # A uniform variable's deviation is a third of its bound, root-mean-square.
        np.testing.assert_allclose(drawn.std(), bound / math.sqrt(3), rtol=0.2)
    assert np.abs(critic_layers("torch")[0]["bias"]).max() > 0


@pytest.mark.parametrize(
    ("init", "deviation"), [("lecun_normal", 1.0), ("lecun_uniform", 1.0), ("orthogonal", None)]
)
def test_other_weights_have_their_scale_and_no_bias(init, deviation):
    first, second, _ = critic_layers(init)
    assert not first["bias"].any()
    if deviation is None:
        product = second["kernel"].T @ second["kernel"]
        np.testing.assert_allclose(product, 2 * np.eye(32), atol=1e-4)
    else:
        np.testing.assert_allclose(first["kernel"].std() * math.sqrt(110), deviation, rtol=0.05)


def test_layer_norm_makes_hidden_layers_deaf_to_scale():
    net = mlp.MLP((16,), 1, "relu", "lecun_normal", layer_norm=True)
    params: Any = net.init(jax.random.key(0), jnp.zeros(3))
    x = jnp.array([100.0, -200.0, 300.0])
    once, scaled = cast(Any, net.apply(params, x)), cast(Any, net.apply(params, 7 * x))
    np.testing.assert_allclose(once, scaled, rtol=1e-3)
    assert "LayerNorm_0" in params["params"]
    assert "LayerNorm_0" not in SHAPE.mlp(1).init(jax.random.key(0), jnp.zeros(3))["params"]


@pytest.mark.parametrize("place", ["before", "after"])
def test_layer_norm_stands_where_it_is_said_to(place):
    """By hand on one hidden layer: after the activation a row has mean 0 and deviation 1."""
    shape = mlp.Shape((16,), layer_norm=True, norm_place=place)
    params: Any = shape.mlp(1).init(jax.random.key(0), jnp.zeros(3))
    x = np.array([0.3, -2.0, 1.0], np.float32)
    hidden, out = layers(params)
    h = x @ hidden["kernel"] + hidden["bias"]
    if place == "after":
        h = np.maximum(h, 0)
    h = (h - h.mean()) / np.sqrt(h.var() + 1e-5)
    if place == "before":
        h = np.maximum(h, 0)
    y = cast(Any, shape.mlp(1).apply(params, jnp.asarray(x)))
    np.testing.assert_allclose(y, h @ out["kernel"] + out["bias"], rtol=1e-4)


@pytest.mark.parametrize("init", ["torch", "orthogonal"])
def test_a_hidden_bias_and_an_output_bound_overrule_the_kind_of_start(init):
    usual = mlp.Shape((64, 32), init=init)
    shape = dataclasses.replace(usual, hidden_bias=0.1, out_bound=3e-3)
    first, second, last = layers(shape.mlp(5).init(jax.random.key(0), jnp.zeros(50)))
    plain = layers(usual.mlp(5).init(jax.random.key(0), jnp.zeros(50)))
    for layer, other in zip((first, second), plain, strict=False):
        np.testing.assert_array_equal(layer["bias"], np.float32(0.1))
        np.testing.assert_array_equal(layer["kernel"], other["kernel"])
    assert 2.5e-3 < np.abs(last["kernel"]).max() <= 3e-3
    assert 0 < np.abs(last["bias"]).max() <= 3e-3


def test_an_ensembles_members_are_independent():
    net = mlp.critic(SHAPE, (4,), 2)
    both = mlp.ensemble(net, 2)
    params = both.init(jax.random.key(0))
    obs, action = jnp.ones((5, 4)), jnp.ones((5, 2))
    q = both.apply(params, obs, action)
    assert q.shape == (2, 5)
    assert np.abs(q[0] - q[1]).min() > 1e-4
    for i in range(2):
        np.testing.assert_array_equal(q[i], net.apply(params[i], obs, action))
    grads = jax.grad(lambda p: both.apply(p, obs, action)[0].sum())(params)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(grads[0]))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(grads[1]))


def test_critics_of_states_and_of_all_actions():
    obs = jnp.ones((5, 2, 3))
    value, every = mlp.critic(SHAPE, (2, 3), 0), mlp.critic(SHAPE, (2, 3), 0, out=4)
    assert value.apply(value.init(jax.random.key(0)), obs).shape == (5,)
    assert every.apply(every.init(jax.random.key(0)), obs).shape == (5, 4)


def test_a_deterministic_actor_stays_in_its_bounds():
    actor = mlp.deterministic_actor(SHAPE, (3,), 2)
    action = actor.apply(actor.init(jax.random.key(0)), 1e3 * jnp.ones((4, 3)))
    assert action.shape == (4, 2)
    assert np.abs(action).max() <= 1


@pytest.mark.parametrize(
    ("kind", "bounds", "low", "high"),
    [
        ("tanh", (-5.0, 2.0), -5.0, 2.0),
        ("clip", (-20.0, 2.0), -20.0, 2.0),
        ("softplus", (math.log(1e-3), 0.0), math.log(1e-3), math.inf),
    ],
)
def test_a_gaussian_actors_deviation_keeps_its_bounds(kind, bounds, low, high):
    actor = mlp.gaussian_actor(SHAPE, (3,), 2, kind, bounds)
    params = actor.init(jax.random.key(0))
    for scale in (0.0, 1.0, 1e4):
        dist = actor.apply(params, scale * jax.random.normal(jax.random.key(1), (50, 3)))
        log_std = np.asarray(cast(Any, dist).log_std)
        assert (log_std >= low - 1e-5).all()
        assert (log_std <= high + 1e-5).all()
        action = dist.to_env(dist.sample(jax.random.key(2)))
        assert np.abs(action).max() <= 1


def test_log_probability_of_a_squashed_normal():
    """mu=0, sigma=1, u=0.5: ln N = -1.0439385, ln det = -0.2402290, ln pi = -0.8037095."""
    dist = TanhGaussian(jnp.zeros(1), jnp.zeros(1), (-1.0,), (1.0,))
    u = jnp.array([0.5])
    normal = -0.5 * (0.25 + math.log(2 * math.pi))
    np.testing.assert_allclose(normal, -1.0439385, atol=1e-6)
    np.testing.assert_allclose(dist.log_prob(u), -0.8037095, atol=2e-6)


def test_polyak_moves_by_tau():
    moved = mlp.polyak({"a": jnp.array([1.0, 2.0])}, {"a": jnp.array([3.0, 2.0])}, 0.25)
    np.testing.assert_allclose(moved["a"], [1.5, 2.0])


@pytest.mark.parametrize("place", ["before", "after"])
def test_tangents_are_finite_differences_and_those_with_flaxs_layers(place):
    shape = mlp.Shape(hidden=(40, 36), activation="swish", layer_norm=True, norm_place=place)
    net, obs = mlp.ensemble(mlp.critic(shape, (3,), 2), 2), jax.random.normal(KEY, (5, 3))
    action = jnp.tanh(obs[:, :2])
    params = net.init(KEY)
    along = jax.tree.map(lambda p: jnp.cos(7 * p), (params, action))
    f = lambda p, a: net.apply(p, obs, a)  # noqa: E731

    def tangent():
        return jax.jit(lambda at, along: jax.jvp(f, at, along)[1])((params, action), along)

    found = tangent()
    with layers_of("flax"):
        np.testing.assert_allclose(found, tangent(), rtol=1e-3, atol=1e-4)

    def away(step):
        return f(*jax.tree.map(lambda x, d: x + step * d, (params, action), along))

    slopes = (away(STEP) - away(-STEP)) / (2 * STEP)
    np.testing.assert_allclose(found, slopes, rtol=2e-2, atol=2e-2)


def test_hessian_vector_products_through_networks_in_every_order():
    shape = mlp.Shape(hidden=(8, 8), activation="tanh", layer_norm=True)
    net, obs = mlp.deterministic_actor(shape, (3,), 2), jax.random.normal(KEY, (4, 5, 3))
    params = net.init(KEY)
    vector = jax.tree.map(lambda p: jnp.cos(7 * p), params)

    def both(obs):
        loss = lambda p: jnp.sin(net.apply(p, obs)).sum()  # noqa: E731
        slope = lambda p: jax.jvp(loss, (p,), (vector,))[1]  # noqa: E731
        inner = lambda p: optax.tree.vdot(jax.grad(loss)(p), vector)  # noqa: E731
        forward = jax.jvp(jax.grad(loss), (params,), (vector,))[1]
        return forward, jax.grad(slope)(params), jax.grad(inner)(params)

    forward, mixed, reverse = jax.jit(jax.vmap(both))(obs)
    assert_close(forward, reverse, rtol=1e-3, atol=1e-3)
    assert_close(mixed, reverse, rtol=1e-3, atol=1e-3)
