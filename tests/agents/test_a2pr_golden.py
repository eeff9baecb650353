"""One update of A2PR against the same update written by hand in NumPy."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_nets import Layers, adam, assert_layers, backward, forward, layers_of
from off_policy_tools import parts_of
from pulled_tools import batch_of, setup

from rlsuite.agents.cores import dpg
from rlsuite.agents.offline import a2pr

RATE, EPS, TAU = 0.02, 1e-2, 0.25
ALPHA, MASK, WEIGHT, KL = 2.5, 0.7, 1.5, 0.5
STATIC: dict[str, Any] = {
    "hidden": (8,), "critic_hidden": (8,), "vae_hidden": (8,), "policy_delay": 1, "updates": 1,
    "learning_rate": RATE, "critic_learning_rate": RATE, "value_learning_rate": RATE,
    "vae_learning_rate": RATE, "adam_epsilon": EPS, "tau": TAU, "policy_noise": 0.0,
    "alpha": ALPHA, "mask": MASK, "vae_weight": WEIGHT, "kl_weight": KL,
}  # fmt: skip
B, A, Z = 32, 2, 4


class Rows(NamedTuple):
    """The minibatch; noise of the VAE's step and of the actor's."""

    s: Any
    a: Any
    r: Any
    discount: Any
    next_s: Any
    noise: tuple[Any, Any]


class Passed(NamedTuple):
    """A forward pass of the VAE and what its gradient needs."""

    action: Any
    mean: Any
    log_std: Any
    inside: Any
    noise: Any
    seen: tuple[Any, Any]


def rows(seed: int = 0) -> Any:
    """Random transitions, every fourth of them terminal."""
    rng = np.random.default_rng(seed)
    batch = batch_of(2 * rng.normal(size=(B, 1)), rng.uniform(-1, 1, (B, A)))
    return batch._replace(
        reward=jnp.asarray(rng.normal(size=B), jnp.float32),
        discount=jnp.where(jnp.arange(B) % 4 == 0, 0.0, 0.9),
        next_obs=jnp.asarray(2 * rng.normal(size=(B, 1)), jnp.float32),
    )


def vae(encoder: Layers, decoder: Layers, s: Any, a: Any, noise: Any) -> Passed:
    """Encode and decode."""
    h, below = forward(encoder, s, a)
    mean, raw = h[:, :Z], h[:, Z:]
    log_std = np.clip(raw, -4, 15)
    u, above = forward(decoder, s, mean + np.exp(log_std) * noise)
    return Passed(np.tanh(u), mean, log_std, raw == log_std, noise, (below, above))


def vae_back(encoder: Layers, decoder: Layers, x: Passed, above: Any, kl: float) -> Any:
    """(gradients of encoder and decoder, of the encoded action) from that of the action made and
    from the weight of the divergence."""
    of_decoder, inward = backward(decoder, x.seen[1], above * (1 - x.action**2))
    of_z = inward[:, 1:]
    of_mean = of_z + kl * x.mean / (B * Z)
    of_log = of_z * np.exp(x.log_std) * x.noise + kl * (np.exp(2 * x.log_std) - 1) / (B * Z)
    both = np.concatenate([of_mean, of_log * x.inside], 1)
    of_encoder, inward = backward(encoder, x.seen[0], both)
    return of_encoder, of_decoder, inward[:, 1:]


def least(critics: list[Layers], s: Any, a: Any) -> Any:
    """The smaller of two critics."""
    return np.minimum(*(forward(c, s, a)[0][:, 0] for c in critics))


def down(layers: Layers, y: Any, *inputs: Any) -> Layers:
    """A step down mean (f(x) - y)^2."""
    out, seen = forward(layers, *inputs)
    return adam(layers, backward(layers, seen, 2 * (out - y[:, None]) / B)[0], RATE, EPS)


def actor_gradient(
    actor: Layers, q1: Layers, made_by: tuple[Layers, Layers], v: Any, x: Rows, detach: bool
) -> tuple[Layers, dict[str, float]]:
    """Of -lambda mean Q1 + mask mean(m' (p - target)^2), and the shares of the masks."""
    u, seen = forward(actor, x.s)
    p = np.tanh(u)
    q, path = forward(q1, x.s, p)
    gain = -ALPHA / np.abs(q).mean() / B * np.ones_like(q)
    above = backward(q1, path, gain)[1][:, 1:]
    made = vae(*made_by, x.s, p, x.noise[1])
    q_made, q_data = forward(q1, x.s, made.action)[0][:, 0], forward(q1, x.s, x.a)[0][:, 0]
    chosen, gate = q_made >= q_data, (q_made >= v) | (q_data > v)
    target = np.where(chosen[:, None], made.action, x.a)
    pull = 2 * MASK * gate[:, None] * (p - target) / (B * A)
    above = above + pull
    if not detach:
        above = above + vae_back(*made_by, made, -pull * chosen[:, None], 0.0)[2]
    shares = {"share/vae": chosen.mean(), "share/gate": gate.mean()}
    return backward(actor, seen, above * (1 - p**2))[0], shares


@pytest.mark.parametrize("detach", [False, True])
def test_one_update_by_hand(detach):
    agent, ctx = setup(a2pr, batch_size=B, detach_target=detach, **STATIC)
    core = parts_of(agent).algorithm.update.args[0]
    learner, batch = jax.jit(partial(dpg.init, core))(jax.random.key(0), ctx), rows()
    learner = learner.replace(pull=learner.pull.replace(value=crossing(learner, batch)))
    key = jax.random.key(1)
    new, report = jax.jit(partial(dpg.update, core))(learner, batch, key, ctx)

    # The update's key is split for target noise, target term, the pull's step and the actor's.
    noise: Any = [np.asarray(jax.random.normal(k, (B, Z))) for k in jax.random.split(key, 4)[2:]]
    told: Any = (batch.obs, batch.action, batch.reward, batch.discount, batch.next_obs)
    x = Rows(*(np.asarray(y, np.float64) for y in told), noise=(noise[0], noise[1]))
    critics, actor = [layers_of(c) for c in learner.critics], layers_of(learner.actor)
    next_a = np.tanh(forward(actor, x.next_s)[0])
    y = x.r + x.discount * least(critics, x.next_s, next_a)
    moved = [down(c, y, x.s, x.a) for c in critics]
    y_v = np.minimum(y, x.r + x.discount * least(moved, x.next_s, next_a))
    value = layers_of(learner.pull.value)
    v = forward(value, x.s)[0][:, 0]
    trained, good = vae_step(learner.pull.vae, moved[0], v, x)
    grads, shares = actor_gradient(actor, moved[0], trained, v, x, detach)

    near = partial(assert_layers, atol=2e-3 * RATE)
    for params, expected in zip(new.critics, moved, strict=True):
        near(params, expected)
    near(new.pull.value, down(value, y_v, x.s))
    np.testing.assert_allclose(new.pull.v, v, rtol=1e-4, atol=1e-5)
    for name, expected in zip(("encoder", "decoder"), trained, strict=True):
        near(new.pull.vae[name], expected)
    near(new.actor, adam(actor, grads, RATE, EPS))
    for target, before, after in zip(new.critics_target, critics, moved, strict=True):
        near(target, between(before, after))
    # A mask that is the same on all rows would leave a branch untested.
    for name, share in {**shares, "share/good": good.mean()}.items():
        assert 0.1 < share < 0.9, name
        np.testing.assert_allclose(report[name].sum / report[name].count, share, rtol=1e-5)


def crossing(learner: Any, batch: Any) -> Any:
    """A steep V, level with Q1 in the middle: above it on some rows and below it on others."""
    value = jax.tree.map(lambda w: 4 * w, learner.pull.value)
    q, _ = forward(layers_of(learner.critics[0]), batch.obs, batch.action)
    v, _ = forward(layers_of(value), batch.obs)
    value["params"]["Linear_1"]["Dense_0"]["bias"] += np.float32(np.median(q - v))
    return value


def between(before: Layers, after: Layers) -> Layers:
    """A part TAU of the way."""
    mix = lambda x, y: (1 - TAU) * x + TAU * y  # noqa: E731
    pairs = zip(before, after, strict=True)
    return [(mix(k, new_k), mix(b, new_b)) for (k, b), (new_k, new_b) in pairs]


def vae_step(params: Any, q1: Layers, v: Any, x: Rows) -> tuple[tuple[Layers, Layers], Any]:
    """(encoder and decoder after a step on rows better than v, which those are)."""
    encoder, decoder = layers_of(params["encoder"]), layers_of(params["decoder"])
    good = forward(q1, x.s, x.a)[0][:, 0] > v
    made = vae(encoder, decoder, x.s, x.a, x.noise[0])
    above = 2 * WEIGHT * good[:, None] * (made.action - x.a) / (B * A)
    of_encoder, of_decoder, _ = vae_back(encoder, decoder, made, above, KL)
    return (adam(encoder, of_encoder, RATE, EPS), adam(decoder, of_decoder, RATE, EPS)), good
