"""Every stream is its own function of (root seed, purpose, counter)."""

from __future__ import annotations

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from rlsuite.contracts.keys import Namespace, Purpose, root, stream


def test_no_two_streams_meet():
    keys = [
        jax.random.key_data(stream(root(seed, space), purpose, counter))
        for seed in range(4)
        for space in Namespace
        for purpose in Purpose
        for counter in range(6)
    ]
    assert len(np.unique(np.stack(keys), axis=0)) == len(keys)


def test_purposes_keep_their_numbers():
    """They are part of every saved result."""
    assert {p.name: int(p) for p in Purpose} == {
        "INIT": 0, "RESET": 1, "COLLECT": 2, "LEARN": 3, "EVALUATE": 4, "DATA": 5, "RULE": 6,
        "DATASET": 7,
    }  # fmt: skip
    assert {n.name: int(n) for n in Namespace} == {"REPORT": 0, "TUNE": 1}


def test_traced_seeds_and_counters_give_the_same_streams():
    def key(seed, counter):
        return jax.random.key_data(stream(root(seed), Purpose.COLLECT, counter))

    traced = jax.jit(jax.vmap(key))(jnp.arange(3), jnp.arange(3) + 7)
    np.testing.assert_array_equal(traced, np.stack([key(i, i + 7) for i in range(3)]))


def test_a_filled_replay_and_a_dataset_are_drawn_from_streams_of_their_own():
    """An agent that has both would otherwise draw the same numbers twice."""
    agents = sorted((Path(__file__).parents[1] / "agents").rglob("*.py"))
    text = "".join(path.read_text(encoding="utf-8") for path in agents)
    asked = re.findall(r"stream\(\s*[\w.]+,\s*Purpose\.(\w+)", text)
    assert len(asked) > 8
    assert asked.count("DATA") == asked.count("DATASET") == 1
