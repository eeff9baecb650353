"""One update of ODICE against hand-written NumPy: forward, backward, projection, Adam, cloning."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from cloning_tools import batch_of, pieces, setup

LAM, ETA, TAU = 0.7, 0.8, 0.05
RATE, POLICY_RATE, L2, EPS, BOUND = 0.02, 0.03, 0.1, 0.05, 1.5


def layers(params: Any) -> list[np.ndarray]:
    """[W1, b1, W2, b2] in double precision."""
    dense = [params["params"][f"Linear_{n}"]["Dense_0"] for n in range(2)]
    return [np.asarray(d[k], np.float64) for d in dense for k in ("kernel", "bias")]


def forward(p: list[np.ndarray], x: np.ndarray) -> tuple[np.ndarray, Any]:
    z = x @ p[0] + p[1]
    h = np.maximum(z, 0)
    return h @ p[2] + p[3], (x, z, h)


def pull(p: list[np.ndarray], seen: Any, g: np.ndarray) -> list[np.ndarray]:
    """The gradient of sum(g * output)."""
    x, z, h = seen
    below = (g @ p[2].T) * (z > 0)
    return [x.T @ below, below.sum(0), h.T @ g, g.sum(0)]


def joined(parts: list[list[np.ndarray]]) -> np.ndarray:
    return np.concatenate([leaf.ravel() for part in parts for leaf in part])


def adam(p: np.ndarray, g: np.ndarray, rate: float) -> np.ndarray:
    """The first step: both moments are their corrected first values."""
    return p - rate * g / (np.sqrt(g**2) + EPS)


def values(heads: list[Any], targets: list[Any], batch: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """(new parameters, y_F of each head, c)."""
    s, n, r, d = (np.asarray(x, np.float64) for x in
                  (batch.obs, batch.next_obs, batch.reward, batch.discount))  # fmt: skip
    low = np.min([forward(t, s)[0][:, 0] for t in targets], 0)
    low_next = np.min([forward(t, n)[0][:, 0] for t in targets], 0)
    size = 2 * len(r)
    parts: dict[str, list[Any]] = {"v": [], "f": [], "b": []}
    residuals = []
    for p in heads:
        (v, at), (v_next, after) = forward(p, s), forward(p, n)
        y = r + d * low_next - v[:, 0]
        y_back = r + d * v_next[:, 0] - low
        slope, slope_back = np.maximum(0, 1 + y / 2), np.maximum(0, 1 + y_back / 2)
        parts["v"].append(pull(p, at, np.full((len(r), 1), (1 - LAM) / size)))
        parts["f"].append(pull(p, at, -LAM * slope[:, None] / size))
        parts["b"].append(pull(p, after, LAM * ETA * (d * slope_back)[:, None] / size))
        residuals.append(y)
    g_v, g_f, g_b = (joined(parts[k]) for k in "vfb")
    c = g_f @ g_b / max(g_f @ g_f, 1e-10)
    return adam(joined(heads), g_v + g_f + g_b - c * g_f, RATE), np.array(residuals), c


def cloned(p: list[np.ndarray], log_std: np.ndarray, batch: Any, y: np.ndarray) -> np.ndarray:
    """The policy after its step: layers, then ln sigma."""
    s, a = np.asarray(batch.obs, np.float64), np.asarray(batch.action, np.float64)
    w = np.minimum(np.maximum(0, y), BOUND).mean(0)[:, None]
    mean, seen = forward(p, s)
    z = (a - mean) / np.exp(log_std)
    grads = pull(p, seen, -w * z / np.exp(log_std) / len(a))
    of_std = (w * (1 - z**2)).mean(0)
    old = np.concatenate([joined([p]), log_std])
    return adam(old, np.concatenate([joined([grads]), of_std]) + L2 * old, POLICY_RATE)


def test_one_update_is_numpys():
    agent, ctx = setup(
        "odice", hidden=(6,), critic_hidden=(5,), critic_layer_norm=False, odice_lambda=LAM,
        eta=ETA, tau=TAU, value_learning_rate=RATE, learning_rate=POLICY_RATE,
        weight_decay=L2, adam_epsilon=EPS, max_weight=BOUND,
    )  # fmt: skip
    algorithm, learner = pieces(agent, ctx)
    shifted = jax.tree.map(lambda x: 1.1 * x + 0.03, learner.value)
    params = {**learner.actor.params, "log_std": jnp.array([0.3])}
    learner = learner.replace(value_target=shifted, actor=learner.actor.replace(params=params))
    batch = batch_of(12)
    batch = batch._replace(reward=2 * batch.reward)
    assert (batch.discount == 0).any()
    new, report = jax.jit(algorithm.update)(learner, batch, jax.random.key(0), ctx)

    heads, targets = [layers(p) for p in learner.value], [layers(p) for p in shifted]
    expected, y, c = values(heads, targets, batch)
    np.testing.assert_allclose(joined([layers(p) for p in new.value]), expected, atol=2e-6)
    ema = joined(targets) + TAU * (expected - joined(targets))
    np.testing.assert_allclose(joined([layers(p) for p in new.value_target]), ema, atol=2e-6)
    np.testing.assert_allclose(float(report["value/projection"].sum), c, rtol=1e-3)
    # The case is not a special one: weights of 0, between, and at the bound.
    assert (y <= 0).any()
    assert ((y > 0) & (y < BOUND)).any()
    assert (y > BOUND).any()
    policy = cloned(layers(params["net"]), np.array([0.3]), batch, y)
    got = new.actor.params
    ours = np.concatenate([joined([layers(got["net"])]), np.asarray(got["log_std"], np.float64)])
    np.testing.assert_allclose(ours, policy, atol=2e-6)
    assert np.abs(expected - joined(heads)).max() > 1e-3
