"""What the compiler gets wrong unless it is told not to."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

from rlsuite.engine.launch.process_env import CPU_FLAGS, worker_environment

# A sum over mapped x unmapped, fused with a difference: wrong from the second row on.
SUM = """
import jax, jax.numpy as jnp, numpy as np
keys = jax.random.split(jax.random.key(0), 3)
shared = jax.random.normal(keys[0], (300, 5))
mapped = jax.random.normal(keys[1], (4, 300, 5))
other = jax.random.normal(keys[2], (4, 300, 64))
found = jax.jit(lambda a, b, c: (a * b).sum(-1)[..., None] - c)(shared, mapped, other)
shared, mapped, other = (np.asarray(x) for x in (shared, mapped, other))
print(np.abs(np.asarray(found) - ((shared * mapped).sum(-1)[..., None] - other)).max())
"""


def error(env: dict[str, str]) -> float:
    """Of that sum, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", SUM], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_workers_compute_sums_rightly() -> None:
    assert error(worker_environment("cpu")) < 1e-5


def test_the_flag_is_still_needed() -> None:
    """When this fails jax was mended: drop the flag."""
    if metadata.version("jaxlib") != "0.10.2":
        pytest.skip("known of jaxlib 0.10.2")
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": CPU_FLAGS.split()[0]}
    assert error(env) > np.sqrt(5)
