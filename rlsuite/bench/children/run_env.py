"""Random actions in a scan over the vector layer. `python -m ... WORK-AS-JSON`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import jax
from gymnasium import spaces
from jaxtyping import Array, PRNGKeyArray

from rlsuite.acting import vector
from rlsuite.bench.children.serve import serve
from rlsuite.contracts import keys, registry
from rlsuite.engine.store import provenance


def random_actions(space: Any, key: PRNGKeyArray, n: int) -> Array:
    """Uniform actions for n copies; a box without bounds gets unit noise.

    Args:
      space: the environment's.
      key: used up.
      n: copies.

    Returns:
      [n, *space.shape], or indices int32[n] from 0.
    """
    if isinstance(space, spaces.Discrete):
        return jax.random.randint(key, (n,), 0, int(space.n))
    if not space.is_bounded():
        return jax.random.normal(key, (n, *space.shape))
    return jax.random.uniform(key, (n, *space.shape), minval=space.low, maxval=space.high)


def main(argv: list[str]) -> None:
    """Compile, then serve `run`: CPU seconds, and steps taken."""
    work = json.loads(argv[0])
    env = registry.make_env(work["env"])
    envs = vector.make(env, work["num_envs"])

    def step(state: Any, key: PRNGKeyArray) -> tuple[Any, Array]:
        act_key, env_key = jax.random.split(key)
        actions = random_actions(env.action_space, act_key, work["num_envs"])
        state, out = envs.step(env_key, state, actions, env.default_params)
        return state, out.reward.sum()

    @jax.jit
    def rollout(key: PRNGKeyArray) -> tuple[Array, Any]:
        state, _ = envs.reset(key, env.default_params)
        state, rewards = jax.lax.scan(step, state, jax.random.split(key, work["num_steps"]))
        # The state too, or what does not reach the reward would not be computed.
        return rewards.sum(), state

    key = keys.root(work["seed"])
    start = time.perf_counter()
    jax.block_until_ready(rollout(key))

    def run() -> tuple[float, int]:
        began = time.process_time()
        jax.block_until_ready(rollout(key))
        return time.process_time() - began, work["num_steps"] * work["num_envs"]

    serve(
        {"run": run},
        compile_seconds=time.perf_counter() - start,
        versions=provenance.collect(),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
