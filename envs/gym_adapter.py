"""Any Gymnasium environment with Box or Discrete spaces, stepped on the host (`gym:ID`).

Slower than a simulator in jax, and not resumable: the simulator's state stays on the host, where no
checkpoint reaches it. What travels in the state is a token that orders the calls and betrays a
state that is not the simulator's latest.
"""

from __future__ import annotations

import weakref
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from rlsuite.acting import check
from rlsuite.acting.vector import Episodes, VectorEnv, VectorState, VectorStep
from rlsuite.contracts.types import EnvParams, EnvState, TimeStep
from rlsuite.envs import gym_rows, host


class GymEnv:
    """A Gymnasium environment as the suite sees it: spaces, and its own vector form.

    It has no parameters, and cannot be stepped as a pure function: `vectorize` is the only way in.
    """

    resumable = False

    def __init__(self, env_id: str, **options: Any) -> None:
        self.id = env_id
        self.options = options
        env = self.build()
        self.observation_space = gym_rows.encoded(env.observation_space, env_id)
        self.action_space = gym_rows.playable(env.action_space, env_id)
        self.time_limit: int | None = None if env.spec is None else env.spec.max_episode_steps
        self.default_params: EnvParams = ()
        gym_rows.close(env)

    def build(self, **options: Any) -> gymnasium.Env:
        """One new instance on the host."""
        return gym_rows.build(self.id, **{**self.options, **options})

    def reset(self, key: PRNGKeyArray, params: EnvParams) -> tuple[EnvState, Array]:
        """A host simulator has no pure reset; see `vectorize`."""
        raise NotImplementedError(f"{self.id} lives on the host: use rlsuite.acting.vector.make")

    def step(
        self, key: PRNGKeyArray, state: EnvState, action: Array, params: EnvParams
    ) -> tuple[EnvState, TimeStep]:
        """A host simulator has no pure step; see `vectorize`."""
        raise NotImplementedError(f"{self.id} lives on the host: use rlsuite.acting.vector.make")

    def vectorize(self, num_envs: int) -> VectorEnv:
        """`num_envs` instances of their own: no two calls share a simulator.

        Resets draw their seeds from the key; the automatic ones continue each instance's own
        generator, as Gymnasium does.
        """
        simulator = HostVector(self, num_envs)
        token = jax.ShapeDtypeStruct((2,), jnp.uint32)
        space = self.observation_space
        obs_type = jax.ShapeDtypeStruct((num_envs, *space.shape), jnp.dtype(space.dtype))
        reward_type = jax.ShapeDtypeStruct((num_envs,), jnp.float32)
        flag_type = jax.ShapeDtypeStruct((num_envs,), jnp.bool_)
        step_types = (token, obs_type, obs_type, reward_type, flag_type, flag_type)

        def reset(key: PRNGKeyArray, params: EnvParams) -> tuple[VectorState, Array]:
            seeds = jax.random.bits(key, (num_envs,), jnp.uint32)
            first, obs = host.call(simulator.reset, (token, obs_type), seeds)
            zeros = jnp.zeros(num_envs)
            return VectorState(first, zeros, zeros.astype(jnp.int32), None), obs

        def step(
            key: PRNGKeyArray, state: VectorState, actions: Array, params: EnvParams
        ) -> tuple[VectorState, VectorStep]:
            actions = check.actions(self, num_envs, actions)
            out = host.call(simulator.step, step_types, state.env, actions)
            return account(state, *out)

        def refresh(key: PRNGKeyArray, state: VectorState, params: EnvParams) -> VectorState:
            return state

        return VectorEnv(num_envs, "full", reset, step, refresh)


def account(
    state: VectorState,
    token: Array,
    obs: Array,
    final_obs: Array,
    reward: Array,
    terminated: Array,
    truncated: Array,
) -> tuple[VectorState, VectorStep]:
    """Episode statistics around what the host returned.

    Args:
      state: before the step.
      token: of the simulators after it.
      obs: [n, ...], where an episode ended that of the reset.
      final_obs: [n, ...], what the step led to.
      reward: [n], undiscounted.
      terminated: [n].
      truncated: [n].
    """
    done = terminated | truncated
    returns, lengths = state.episode_return + reward, state.episode_length + 1
    new = state.replace(
        env=token,
        episode_return=jnp.where(done, 0.0, returns),
        episode_length=jnp.where(done, 0, lengths),
    )
    episodes = Episodes(done, returns, lengths)
    return new, VectorStep(obs, final_obs, reward, terminated, truncated, episodes, {})


def _close_all(copies: list[gymnasium.Env]) -> None:
    for copy in copies:
        gym_rows.close(copy)


class HostVector:
    """The simulators behind one vector environment: numpy in, numpy out, called from XLA.

    A token is (resets so far, steps since); only the latest is accepted.
    """

    def __init__(self, env: GymEnv, num_envs: int) -> None:
        self._env = env
        self._num_envs = num_envs
        self._copies: list[gymnasium.Env] = []
        self._token = np.zeros(2, np.uint32)
        weakref.finalize(self, _close_all, self._copies)

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Start over from these seeds; the simulators are made at the first call."""
        if not self._copies:
            self._copies.extend(self._env.build() for _ in range(self._num_envs))
        obs = self._rows()
        for i, copy in enumerate(self._copies):
            obs[i] = gym_rows.begin(copy, self._env.id, int(seeds[i]))
        self._token = np.array([self._token[0] + 1, 0], np.uint32)
        return self._token, obs

    def step(self, token: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, ...]:
        """One step of every instance; those whose episode ended are reset.

        Returns:
          token, obs, final_obs, reward, terminated, truncated: those of `VectorStep`.

        Raises:
          RuntimeError: the state is not the one the simulator is in.
        """
        if not self._copies or not np.array_equal(token, self._token):
            raise RuntimeError(
                f"{self._env.id} is on the host and cannot go back: this state is not its latest "
                "(restored from a checkpoint, stepped twice, or another run was started since)"
            )
        obs, final = self._rows(), self._rows()
        reward = np.zeros(self._num_envs, np.float32)
        terminated, truncated = np.zeros((2, self._num_envs), bool)
        for i, copy in enumerate(self._copies):
            out = gym_rows.advance(copy, self._env.id, actions[i])
            final[i], reward[i], terminated[i], truncated[i] = out
            ended = terminated[i] or truncated[i]
            obs[i] = gym_rows.begin(copy, self._env.id) if ended else final[i]
        self._token = self._token + np.array([0, 1], np.uint32)
        return self._token, obs, final, reward, terminated, truncated

    def _rows(self) -> np.ndarray:
        space = self._env.observation_space
        return np.zeros((self._num_envs, *space.shape), space.dtype)


def make(env_id: str, **options: Any) -> GymEnv:
    """A Gymnasium environment by `gym:ID`."""
    return GymEnv(env_id, **options)
