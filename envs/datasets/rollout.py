"""One policy acting in N environments, chunk by chunk, its state kept on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Bool, Int, PyTree

from rlsuite import library
from rlsuite.acting import vector
from rlsuite.contracts import box, keys, registry
from rlsuite.contracts.types import Agent
from rlsuite.engine.run import tree
from rlsuite.io import files


class Loop(NamedTuple):
    """What the next step needs."""

    env: PyTree
    obs: Array
    first: Bool[Array, " n"]
    carry: PyTree
    step: Int[Array, ""]


def load_policy(path: Path, env: Any) -> tuple[Agent, Any]:
    """The agent and the policy of a cell or a saved file, for an environment.

    Raises:
      UsageError: the file is damaged, or its policy of other sizes.
    """
    cell = files.read_meta(path)["cell"]
    row = registry.agent(cell["agent"])
    agent = row.load_make()(env, row.load_config().from_mapping(cell["config"]))
    return agent, library.load(path, agent)


class Stream:
    """A policy in its environments.

    Args:
      env: built.
      what: the `Collection`.
      path: of the policy; None acts uniformly at random.
      number: of this stream; its own random numbers.
    """

    def __init__(self, env: Any, what: Any, path: Path | None, number: int) -> None:
        self.env, self.mode = env, what.mode
        self.envs = vector.make(env, what.num_envs)
        self.agent, self.policy = load_policy(path, env) if path else (None, ())
        root = jax.random.fold_in(keys.root(what.seed), number)
        self.key = keys.stream(root, keys.Purpose.COLLECT)
        self.params = jax.tree.map(jnp.asarray, env.default_params)
        self.loop = jax.jit(self._reset)(keys.stream(root, keys.Purpose.RESET), self.params)
        self.rows: dict[str, np.ndarray] = {}
        self._play = jax.jit(self._chunk, static_argnums=3)

    def advance(self, path: Path, steps: int) -> None:
        """Take `steps` steps of each environment and write them, with the state, to a file."""
        self.loop, rows = self._play(self.policy, self.loop, self.params, steps)
        self.rows = {name: np.asarray(column) for name, column in rows.items()}
        files.write_arrays(path, self.rows | tree.to_arrays(self.loop, "state"), {"steps": steps})

    def restore(self, path: Path) -> None:
        """Take up what `advance` wrote."""
        arrays, _ = files.read_arrays(path)
        self.loop = tree.from_arrays(self.loop, arrays, "state", str(path))
        self.rows = {k: v for k, v in arrays.items() if not k.startswith("state")}

    def _reset(self, key: Any, params: Any) -> Loop:
        state, obs = self.envs.reset(key, params)
        n = self.envs.num_envs
        carry = self.agent.carry((n,)) if self.agent else ()
        return Loop(state, obs, jnp.ones(n, bool), carry, jnp.int32(0))

    def _act(self, policy: Any, loop: Loop, key: Any) -> tuple[Array, Any]:
        if self.agent is not None:
            return self.agent.act(policy, loop.carry, loop.obs, loop.first, key, self.mode)
        space, n = self.env.action_space, self.envs.num_envs
        if isinstance(space, spaces.Discrete):
            return box.from_index(
                jax.random.randint(key, (n,), 0, int(space.n)), int(space.start)
            ), ()
        low, high = jnp.asarray(space.low), jnp.asarray(space.high)
        return jax.random.uniform(key, (n, *(space.shape or ())), minval=low, maxval=high), ()

    def _chunk(
        self, policy: Any, loop: Loop, params: Any, steps: int
    ) -> tuple[Loop, dict[str, Array]]:
        def body(loop: Loop, _: None) -> tuple[Loop, dict[str, Array]]:
            act_key, env_key = jax.random.split(jax.random.fold_in(self.key, loop.step))
            action, carry = self._act(policy, loop, act_key)
            state, out = self.envs.step(env_key, loop.env, action, params)
            row = {
                "obs": loop.obs, "action": action, "reward": out.reward,
                "terminated": out.terminated, "truncated": out.truncated & ~out.terminated,
                "final_obs": out.final_obs,
            }  # fmt: skip
            return Loop(state, out.obs, out.episodes.finished, carry, loop.step + 1), row

        return jax.lax.scan(body, loop, None, steps)
