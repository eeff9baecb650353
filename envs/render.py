"""An episode as an animated GIF."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from PIL import Image

from rlsuite import registry
from rlsuite.engine import files
from rlsuite.envs import gym_rows
from rlsuite.envs.drawing import LONGER_SIDE, drawer, gymnasium_renderer, picture
from rlsuite.envs.gym_adapter import GymEnv
from rlsuite.errors import UsageError
from rlsuite.evaluate import DEFAULT_STEP_LIMIT
from rlsuite.types import Agent, Environment, Mode, PolicyParams


@runtime_checkable
class Stage(Protocol):
    """One instance under way, with a picture of what it is in."""

    def reset(self, key: PRNGKeyArray) -> np.ndarray:
        """Start an episode; its first observation."""
        ...

    def step(self, key: PRNGKeyArray, action: Array) -> tuple[np.ndarray, float, bool]:
        """(observation, reward, whether the episode is over)."""
        ...

    def picture(self) -> np.ndarray:
        """uint8[h, w, 3] of the present state."""
        ...

    def close(self) -> None:
        """The film is over."""
        ...


class PureStage:
    """An environment of pure functions, drawn from its state."""

    def __init__(self, env: Environment) -> None:
        self._draw = drawer(env)
        self._params = env.default_params
        self._reset, self._step = jax.jit(env.reset), jax.jit(env.step)

    def reset(self, key: PRNGKeyArray) -> np.ndarray:
        """See `Stage`."""
        self._state, obs = self._reset(key, self._params)
        self._obs = np.asarray(obs)
        return self._obs

    def step(self, key: PRNGKeyArray, action: Array) -> tuple[np.ndarray, float, bool]:
        """See `Stage`."""
        self._state, out = self._step(key, self._state, action, self._params)
        self._obs = np.asarray(out.obs)
        return self._obs, float(out.reward), bool(out.terminated | out.truncated)

    def picture(self) -> np.ndarray:
        """See `Stage`."""
        return self._draw(jax.tree.map(np.asarray, self._state), self._obs)

    def close(self) -> None:
        """Nothing is held."""


class GymStage:
    """A Gymnasium environment, drawn by itself."""

    def __init__(self, env: GymEnv) -> None:
        self._env, self._id = gymnasium_renderer(env.build), env.id

    def reset(self, key: PRNGKeyArray) -> np.ndarray:
        """See `Stage`."""
        return gym_rows.begin(self._env, self._id, int(jax.random.bits(key, dtype=jnp.uint32)))

    def step(self, key: PRNGKeyArray, action: Array) -> tuple[np.ndarray, float, bool]:
        """See `Stage`."""
        obs, reward, *ended = gym_rows.advance(self._env, self._id, np.asarray(action))
        return obs, reward, any(ended)

    def picture(self) -> np.ndarray:
        """See `Stage`."""
        return picture(self._env)

    def close(self) -> None:
        """Windows and renderers are the simulator's."""
        gym_rows.close(self._env)


def record(
    agent: Agent,
    policy: PolicyParams,
    env_id: str,
    key: PRNGKeyArray,
    path: str | Path,
    *,
    seconds: float = 30.0,
    fps: int = 25,
    mode: Mode | None = None,
) -> dict[str, float]:
    """Play one episode and draw every step of it.

    Args:
      agent: whose `act` is used.
      policy: from `agent.policy(state)`.
      env_id: the environment; the agent's own (with its options) if it is of that id.
      key: of a stream of its own.
      path: of the GIF.
      seconds: the longest film; a longer episode is played to its end, its rest not drawn.
      fps: steps shown in a second, rounded to what a GIF can say (hundredths of a second a frame).
      mode: greedy or sample; default: how the agent's own paper evaluates.

    Returns:
      return and length of the episode, and the number of frames.

    Raises:
      UsageError: the environment cannot be drawn, or the path not written.
    """
    env = agent.env if agent.env.id == env_id else registry.make_env(env_id)
    stage = GymStage(env) if isinstance(env, GymEnv) else PureStage(env)
    target = _writable(Path(path))
    frames: list[Image.Image] = []

    def show() -> None:
        if len(frames) < max(1, seconds * fps):
            frames.append(_shrink(stage.picture()))

    chosen: Mode = mode or agent.evaluation_mode
    limit = env.time_limit or DEFAULT_STEP_LIMIT
    try:
        total, length = _play(stage, agent, policy, key, chosen, limit, show)
    finally:
        stage.close()
    # A GIF counts in hundredths of a second, and players distrust less than two.
    duration = 10 * max(2, round(100 / fps))
    more = {"append_images": frames[1:], "duration": duration, "loop": 0}
    with files.aside(target) as place:
        frames[0].save(place, format="GIF", save_all=True, **more)
    return {"return": total, "length": length, "frames": len(frames)}


def _play(
    stage: Stage,
    agent: Agent,
    policy: PolicyParams,
    key: PRNGKeyArray,
    mode: Mode,
    limit: int,
    show: Callable[[], None],
) -> tuple[float, int]:
    act = jax.jit(agent.act, static_argnames="mode")
    reset_key, loop_key = jax.random.split(key)
    obs, carry, total = stage.reset(reset_key), agent.carry((1,)), 0.0
    show()
    for t in range(limit):
        act_key, env_key = jax.random.split(jax.random.fold_in(loop_key, t))
        first = jnp.full(1, t == 0)
        action, carry = act(policy, carry, jnp.asarray(obs)[None], first, act_key, mode=mode)
        obs, reward, over = stage.step(env_key, action[0])
        total += reward
        show()
        if over:
            return total, t + 1
    return total, limit


def _shrink(frame: np.ndarray) -> Image.Image:
    image = Image.fromarray(frame)
    factor = LONGER_SIDE / max(image.size)
    if factor < 1:
        size = (round(image.width * factor), round(image.height * factor))
        image = image.resize(size, Image.Resampling.BILINEAR)
    # A palette now: a byte a pixel while the episode lasts.
    return image.quantize(64, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _writable(path: Path) -> Path:
    if path.suffix.lower() != ".gif":
        raise UsageError(f"a video is written as GIF: call it {path.with_suffix('.gif').name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UsageError(f"cannot write {path}: {e.strerror}") from None
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: permission denied")
    files.remove_strays(path.parent, of=path.name)
    return path
