"""The ring against a numpy model; n-step sums against a walk; nothing copies it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rlsuite.data import replay


class Row(NamedTuple):
    """What n-step sums read, and a name for each row."""

    reward: Any
    terminated: Any
    truncated: Any
    name: Any


def rows(names: np.ndarray) -> dict[str, jnp.ndarray]:
    return {"x": jnp.asarray(names, jnp.float32)[:, None] * jnp.ones(3), "i": jnp.asarray(names)}


def filled(ring: replay.Replay) -> list[int]:
    """Row names, oldest first."""
    start = int(ring.head) if int(ring.size) == ring.capacity else 0
    places = (start + np.arange(int(ring.size))) % ring.capacity
    assert np.array_equal(np.asarray(ring.data["x"])[places, 0], np.asarray(ring.data["i"])[places])
    return np.asarray(ring.data["i"])[places].tolist()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("capacity", "n"), [(7, 3), (6, 3), (5, 5), (8, 1)])
def test_adding_is_that_of_a_bounded_list(capacity, n, masked):
    rng = np.random.default_rng(0)
    ring = replay.init({"x": np.zeros(3, np.float32), "i": np.int32(0)}, capacity)
    add, model = jax.jit(replay.add), []
    for start in range(0, 30 * n, n):
        names = np.arange(start, start + n, dtype=np.int32) + 1
        keep = rng.random(n) < 0.6 if masked else np.ones(n, bool)
        ring = add(ring, rows(names), jnp.asarray(keep) if masked else None)
        model = [*model, *names[keep].tolist()][-capacity:]
        assert filled(ring) == model
        assert 0 <= int(ring.head) < capacity
    assert len(model) == capacity


def test_what_is_masked_out_leaves_no_trace():
    ring = replay.add(replay.init(rows(np.arange(1))["i"][0], 4), jnp.arange(3), jnp.zeros(3, bool))
    assert int(ring.size) == int(ring.head) == 0
    np.testing.assert_array_equal(ring.data, 0)


def test_rows_keep_the_rings_dtypes():
    ring = replay.init({"b": np.bool_(0), "u": np.uint8(0), "f": np.float32(0)}, 4)
    new = {"b": jnp.array([1, 0]), "u": jnp.array([255, 7]), "f": jnp.array([1, 2])}
    ring = replay.add(ring, new)
    assert [leaf.dtype for leaf in jax.tree.leaves(ring.data)] == [bool, np.float32, np.uint8]
    assert np.asarray(ring.data["u"]).tolist() == [255, 7, 0, 0]
    assert replay.row_bytes({"b": np.bool_(0), "u": np.uint8(0), "f": np.float32(0)}) == 6


@pytest.mark.parametrize("added", [5, 13])
def test_draws_are_uniform_over_what_is_filled(added):
    ring = replay.init({"x": np.zeros(3, np.float32), "i": np.int32(0)}, 8)
    for name in range(1, added + 1):
        ring = replay.add(ring, rows(np.array([name])))
    seen = np.asarray(
        jax.jit(replay.sample, static_argnums=2)(ring, jax.random.key(0), 20_000)["i"]
    )
    counts = np.bincount(seen)[max(1, added - 7) :]
    assert counts.sum() == 20_000
    assert len(counts) == min(8, added)
    assert stats.chisquare(counts).pvalue > 1e-3


def world(rng: np.random.Generator, steps: int, n: int) -> Row:
    """Transitions [steps, n]; episodes end in either way."""
    terminated = rng.random((steps, n)) < 0.15
    return Row(
        rng.normal(size=(steps, n)).astype(np.float32),
        terminated,
        (rng.random((steps, n)) < 0.15) & ~terminated,
        np.arange(steps * n, dtype=np.int32).reshape(steps, n),
    )


def walked(w: Row, t: int, e: int, n: int, gamma: float) -> tuple[float, float, int]:
    """The same by following one environment's own list of steps."""
    total, discount, k = 0.0, 1.0, t
    for k in range(t, min(t + n, len(w.reward))):
        total += discount * float(w.reward[k, e])
        discount *= gamma
        if w.terminated[k, e] or w.truncated[k, e]:
            break
    return total, 0.0 if w.terminated[k, e] else discount, int(w.name[k, e])


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize(("envs", "steps"), [(1, 9), (3, 7), (3, 8), (3, 19)])
def test_n_step_sums_are_those_of_a_walk(envs, steps, n):
    """Rings of 8 steps an environment: not filled, just filled, wrapped around, twice so."""
    w = world(np.random.default_rng(steps), steps, envs)
    ring = replay.init(Row(np.float32(0), np.bool_(0), np.bool_(0), np.int32(0)), 8 * envs)
    add = jax.jit(replay.add)
    for t in range(steps):
        ring = add(ring, Row(*(jnp.asarray(column[t]) for column in w)))
    places = jnp.arange(ring.size)
    total, discount, last = jax.jit(replay.n_step, static_argnums=(2, 3))(
        ring, places, n, envs, 0.9
    )
    data: Any = ring.data
    for place, name in enumerate(np.asarray(data.name)[: int(ring.size)]):
        expected = walked(w, name // envs, name % envs, n, 0.9)
        found = total[place], discount[place], data.name[last[place]]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_loop_that_adds_and_draws_copies_nothing():
    """The program's working memory is a small part of the ring's."""
    row = {"x": np.zeros(32, np.float32), "i": np.int32(0)}
    ring = jax.eval_shape(lambda: replay.init(row, 100_000))

    def body(_: Any, loop: Any) -> Any:
        ring, total = loop
        key = jax.random.fold_in(jax.random.key(0), ring.head)
        new = {"x": jnp.full((4, 32), total), "i": jnp.arange(4)}
        ring = replay.add(ring, new, total < jnp.arange(4))
        return ring, total + replay.sample(ring, key, 16)["x"].sum()

    def run(ring: replay.Replay, count: Any) -> Any:
        return jax.lax.fori_loop(0, count, body, (ring, jnp.float32(0)))

    compiled = jax.jit(run, donate_argnums=0).lower(ring, jnp.int32(9)).compile()
    memory: Any = compiled.memory_analysis()
    assert memory.alias_size_in_bytes >= 100_000 * 132
    assert memory.temp_size_in_bytes < 100_000
