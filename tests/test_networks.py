"""Networks: initial weights, leading axes, separate critics, and the recurrent reset."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from rlsuite.nn import mlp, networks
from rlsuite.nn.distributions import Categorical, Gaussian, TanhGaussian
from rlsuite.nn.networks import Spec

VECTOR = spaces.Box(-1.0, 1.0, (6,), np.float32)
IMAGE = spaces.Box(0.0, 1.0, (10, 10, 4), np.float32)
DISCRETE, BOX = spaces.Discrete(3), spaces.Box(-2.0, 2.0, (2,), np.float32)
GRU = Spec(kind="gru", hidden=(8,), rnn_size=5)
KEY = jax.random.key(0)


def make(spec, observation_space, action_space):
    """A network whose functions are compiled whole: quicker here than op by op."""
    network = networks.make(spec, observation_space, action_space)
    compiled = {name: jax.jit(getattr(network, name)) for name in ("init", "apply", "unroll")}
    return dataclasses.replace(network, **compiled)


def kernels(params):
    """Every kernel by its path."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


@functools.cache
def gru():
    """One recurrent network for several tests."""
    return make(GRU, VECTOR, DISCRETE)


def rollout(network, t=7, n=3, space=VECTOR):
    """Parameters, observations [t, n, ...] and episode starts [t, n]."""
    obs = jax.random.normal(jax.random.key(1), (t, n, *space.shape))
    first = jax.random.bernoulli(jax.random.key(2), 0.3, (t, n))
    return network.init(KEY), obs, first


def stepwise(network, params, carry, obs, first):
    """`apply` step after step, what acting does."""
    outs = []
    for obs_t, first_t in zip(obs, first, strict=True):
        out, carry = network.apply(params, carry, obs_t, first_t)
        outs.append(out)
    return jax.tree.map(lambda *x: jnp.stack(x), *outs)


def dist_of(kind: Any, out: Any) -> Any:
    """The policy of an output, which must be of this kind."""
    assert isinstance(out.dist, kind)
    return out.dist


def assert_close(a, b, **tolerance):
    tolerance = {"rtol": 1e-5, "atol": 1e-6, **tolerance}
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


def test_orthogonal_gains_and_zero_biases():
    network = make(Spec(hidden=(16, 16)), VECTOR, DISCRETE)
    for path, leaf in kernels(network.init(KEY)).items():
        if path.endswith("['bias']"):
            np.testing.assert_array_equal(leaf, 0)
            continue
        gain = 0.01 if "head" in path else 1.0 if "['value']" in path else np.sqrt(2)
        singular = np.linalg.svd(leaf, compute_uv=False)
        np.testing.assert_allclose(singular, gain, rtol=1e-5, err_msg=path)


@pytest.mark.parametrize("init", ["lecun_normal", "lecun_uniform"])
def test_lecun_variance(init):
    space = spaces.Box(-1.0, 1.0, (100,), np.float32)
    network = make(Spec(hidden=(400,), init=init), space, DISCRETE)
    kernel = kernels(network.init(KEY))["['params']['actor']['Dense_0']['kernel']"]
    # 40,000 weights of variance 1/100: five standard errors are below 4 %.
    assert float(kernel.var()) * 100 == pytest.approx(1.0, rel=0.04)
    assert (float(jnp.abs(kernel).max()) <= np.sqrt(3 / 100)) == (init == "lecun_uniform")


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_feed_forward_takes_any_leading_axes(kind):
    network = make(Spec(kind=kind, hidden=(8,)), IMAGE, DISCRETE)
    params, obs, first = rollout(network, t=2, space=IMAGE)
    whole = network.unroll(params, (), obs, first)
    assert whole.value.shape == (2, 3)
    assert dist_of(Categorical, whole).logits.shape == (2, 3, 3)
    assert_close(whole, stepwise(network, params, (), obs, first))
    single, carry = network.apply(params, (), obs[0, 0], first[0, 0])
    assert carry == ()
    assert_close(single.value, whole.value[0, 0])


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_actor_and_critic_share_nothing(kind):
    network = make(Spec(kind=kind, hidden=(8,), critic_hidden=(4, 4)), IMAGE, BOX)
    params, obs, first = rollout(network, t=1, space=IMAGE)

    def policy(p):
        return dist_of(Gaussian, network.unroll(p, (), obs, first))

    of_value = jax.grad(lambda p: network.unroll(p, (), obs, first).value.sum())(params)
    of_policy = jax.grad(lambda p: policy(p).loc.sum())(params)
    value_paths = {path for path, g in kernels(of_value).items() if jnp.abs(g).sum() > 0}
    policy_paths = {path for path, g in kernels(of_policy).items() if jnp.abs(g).sum() > 0}
    assert value_paths
    assert policy_paths
    assert not value_paths & policy_paths
    assert kernels(params)["['params']['critic']['Dense_1']['kernel']"].shape == (4, 4)


@pytest.mark.parametrize(
    ("distribution", "kind"), [("gaussian", Gaussian), ("tanh_gaussian", TanhGaussian)]
)
def test_continuous_head(distribution, kind):
    network = make(Spec(hidden=(8,), distribution=distribution), VECTOR, BOX)
    params, obs, first = rollout(network)
    dist = dist_of(kind, network.unroll(params, (), obs, first))
    assert dist.loc.shape == dist.log_std.shape == (7, 3, 2)
    np.testing.assert_array_equal(dist.log_std, 0)
    np.testing.assert_allclose(dist.to_env(jnp.full((7, 3, 2), 99.0)), 2.0)


def test_discrete_head_starts_close_to_uniform():
    network = make(Spec(), VECTOR, DISCRETE)
    params, obs, first = rollout(network)
    dist = dist_of(Categorical, network.unroll(params, (), obs, first))
    np.testing.assert_allclose(jax.nn.softmax(dist.logits), 1 / 3, atol=0.02)


def test_gru_unroll_is_repeated_apply():
    network = gru()
    params, obs, first = rollout(network)
    h = jax.random.normal(jax.random.key(3), (3, 5))
    whole = network.unroll(params, h, obs, first)
    assert_close(whole, stepwise(network, params, h, obs, first))


def test_gru_remembers_without_first_steps():
    network = gru()
    params, obs, _ = rollout(network)
    never = jnp.zeros((7, 3), bool)
    changed = obs.at[0].add(1.0)
    a = network.unroll(params, network.carry((3,)), obs, never).value
    b = network.unroll(params, network.carry((3,)), changed, never).value
    assert (np.abs(a[-1] - b[-1]) > 1e-6).all()


def test_gru_with_first_everywhere_is_memoryless():
    network = gru()
    params, obs, _ = rollout(network)
    always = jnp.ones((7, 3), bool)
    unrolled = network.unroll(params, jnp.full((3, 5), 9.0), obs, always)
    alone, _ = network.apply(params, network.carry((7, 3)), obs, jnp.zeros((7, 3), bool))
    assert_close(unrolled, alone)


def test_gru_hidden_state_is_zeroed_before_the_cell():
    """A first step sees nothing of what came before, and its own observation counts at once."""
    network = gru()
    params, obs, _ = rollout(network)
    first = jnp.zeros((7, 3), bool).at[4, 1].set(True)
    h = jax.random.normal(jax.random.key(3), (3, 5))
    whole = network.unroll(params, h, obs, first)
    tail = network.unroll(params, network.carry((3,)), obs[4:], jnp.zeros((3, 3), bool))
    assert_close(whole.value[4:, 1], tail.value[:, 1])
    assert (np.abs(whole.value[4:, 0] - tail.value[:, 0]) > 1e-6).all()


def test_gru_carry_comes_from_the_step_that_reset():
    network = gru()
    params, obs, _ = rollout(network)
    used = jax.random.normal(jax.random.key(3), (3, 5))
    yes, no = jnp.ones(3, bool), jnp.zeros(3, bool)
    _, after_reset = network.apply(params, used, obs[0], yes)
    _, from_zero = network.apply(params, network.carry((3,)), obs[0], no)
    assert_close(after_reset, from_zero)


def test_the_convolution_is_a_convolution():
    module: Any = networks.Conv("orthogonal")
    x = jax.random.normal(jax.random.key(0), (5, 10, 10, 4))
    params: Any = module.init(jax.random.key(1), x)
    dense = params["params"]["Dense_0"]
    kernel = dense["kernel"].reshape(3, 3, 4, 16)
    out = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    expected = jax.nn.relu(out + dense["bias"]).reshape(5, 8 * 8 * 16)
    np.testing.assert_allclose(module.apply(params, x), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(module.apply(params, x[0]), expected[0], rtol=1e-5, atol=1e-5)


PICTURE = spaces.Box(0, 255, (4, 4, 3), np.uint8)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "gru"])
def test_images_are_divided_by_255_and_other_numbers_are_not(kind):
    net = make(Spec(kind=kind, hidden=(8,)), PICTURE, spaces.Discrete(3))
    params = net.init(jax.random.key(0))
    obs = jax.random.randint(jax.random.key(1), (5, 4, 4, 3), 0, 256).astype(jnp.uint8)
    first = jnp.ones(5, bool)

    def value(seen):
        return net.apply(params, net.carry((5,)), seen, first)[0].value

    np.testing.assert_array_equal(value(obs), value(obs.astype(jnp.float32) / 255))
    # Of MinAtar's planes, standardised pictures and the like the numbers count.
    planes = obs > 100
    np.testing.assert_array_equal(value(planes), value(planes.astype(jnp.float32)))
    floats = obs.astype(jnp.float32)
    assert not np.allclose(value(floats), value(obs))


def test_off_policy_networks_see_images_as_actor_critics_do():
    obs = jnp.full((2, 4, 4, 3), 51, jnp.uint8)
    np.testing.assert_allclose(mlp.flat(obs, 3), np.full((2, 48), 51 / 255), rtol=1e-6)
    # A board of one axis, such as the memory of a game, is no picture.
    np.testing.assert_array_equal(mlp.flat(obs[:, 0, 0], 1), np.full((2, 3), 51, np.float32))


@pytest.mark.parametrize("kind", ["mlp", "cnn", "gru"])
def test_tangents_are_finite_differences(kind):
    space = IMAGE if kind == "cnn" else VECTOR
    network = make(dataclasses.replace(GRU, kind=kind, activation="swish"), space, DISCRETE)
    params, obs, first = rollout(network, t=3, n=2, space=space)
    # Short enough that a thousand weights do not bend the difference.
    along = jax.tree.map(lambda p: jnp.cos(7 * p) / p.size**0.5, params)
    carry = network.carry((2,))

    def f(p):
        out = network.unroll(p, carry, obs, first)
        return dist_of(Categorical, out).logits, out.value

    found = jax.jvp(f, (params,), (along,))[1]

    def away(step):
        return f(jax.tree.map(lambda p, d: p + step * d, params, along))

    step = 3e-4
    slopes = jax.tree.map(lambda a, b: (a - b) / (2 * step), away(step), away(-step))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-2, atol=3e-2), found, slopes)
