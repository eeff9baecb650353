"""Episodes as a film: an animated GIF, or an MP4."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from PIL import Image

from rlsuite.acting.evaluate import DEFAULT_STEP_LIMIT
from rlsuite.contracts import registry
from rlsuite.contracts.types import Agent, Environment, EnvParams, Mode, PolicyParams
from rlsuite.envs import gym_rows
from rlsuite.envs.drawing import LONGER_SIDE, drawer, gymnasium_renderer, picture
from rlsuite.envs.gym_adapter import GymEnv
from rlsuite.io import files


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

    def __init__(self, env: Environment, params: EnvParams = None) -> None:
        self._draw = drawer(env)
        self._params = env.default_params if params is None else params
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


class Film(Protocol):
    """A film that is being written."""

    def add(self, frame: np.ndarray) -> None:
        """The next picture, uint8[h, w, 3]."""
        ...

    def finish(self) -> None:
        """The last was added."""
        ...


class GifFilm:
    """An animated GIF, written when it is complete."""

    def __init__(self, path: Path, fps: int) -> None:
        self._path = path
        # A GIF counts in hundredths of a second, and players distrust less than two.
        self._duration = 10 * max(2, round(100 / fps))
        self._frames: list[Image.Image] = []

    def add(self, frame: np.ndarray) -> None:
        """See `Film`."""
        # A palette now: a byte a pixel while the episode lasts.
        image = _shrink(frame).quantize(64, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        self._frames.append(image)

    def finish(self) -> None:
        """See `Film`."""
        more = {"append_images": self._frames[1:], "duration": self._duration, "loop": 0}
        self._frames[0].save(self._path, format="GIF", save_all=True, **more)


class Mp4Film:
    """An MP4 in H.264, as browsers and slides play it; picture by picture, none is kept."""

    def __init__(self, path: Path, fps: int) -> None:
        import av

        # The file has a temporary name, which says nothing of its format.
        self._file = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        self._stream = self._file.add_stream("libx264", rate=fps, options={"crf": "20"})
        self._stream.width = 0

    def add(self, frame: np.ndarray) -> None:
        """See `Film`."""
        import av

        image = np.asarray(_shrink(frame))
        # H.264 halves the colours' resolution: sides are even.
        odd = [(0, side % 2) for side in image.shape[:2]]
        image = np.pad(image, [*odd, (0, 0)], "edge")
        if not self._stream.width:
            self._stream.height, self._stream.width = image.shape[:2]
            self._stream.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(image, format="rgb24")
        self._file.mux(self._stream.encode(picture))

    def finish(self) -> None:
        """See `Film`."""
        self._file.mux(self._stream.encode())
        self._file.close()


FILMS: dict[str, Callable[[Path, int], Film]] = {".gif": GifFilm, ".mp4": Mp4Film}


class Drawn(NamedTuple):
    """What a film shows: of each episode return and length, and how many frames in all."""

    returns: list[float]
    lengths: list[int]
    frames: int


def record(
    agent: Agent,
    policy: PolicyParams,
    env_id: str,
    key: PRNGKeyArray,
    path: str | Path,
    *,
    episodes: int = 1,
    params: EnvParams = None,
    seconds: float = 30.0,
    fps: int = 25,
    mode: Mode | None = None,
) -> Drawn:
    """Play episodes and draw every step of them, one after the other in one film.

    Args:
      agent: whose `act` is used.
      policy: from `agent.policy(state)`.
      env_id: the environment; the agent's own (with its options) if it is of that id.
      key: of a stream of its own.
      path: of the film, .gif or .mp4.
      episodes: how many; the first is the same however many follow.
      params: of the environment; by default its own.
      seconds: of film for each episode; a longer one is played to its end, its rest not drawn.
      fps: steps shown in a second; in a GIF rounded to hundredths of a second a frame.
      mode: greedy or sample; default: how the agent's own paper evaluates.

    Raises:
      UsageError: the environment cannot be drawn, or the path not written.
    """
    env = agent.env if agent.env.id == env_id else registry.make_env(env_id)
    target = Path(path)
    files.check_video(target)
    stage = GymStage(env) if isinstance(env, GymEnv) else PureStage(env, params)
    target.parent.mkdir(parents=True, exist_ok=True)
    files.remove_strays(target.parent, of=target.name)
    limit = env.time_limit or DEFAULT_STEP_LIMIT
    play = _player(stage, agent, policy, mode or agent.evaluation_mode, limit)
    drawn = Drawn([], [], 0)
    with contextlib.closing(stage), files.aside(target) as place:
        film = FILMS[target.suffix.lower()](place, fps)
        for episode in range(episodes):
            shown = _AtMost(film, max(1, round(seconds * fps)))
            own = jax.random.fold_in(key, episode) if episode else key
            total, length = play(own, lambda shown=shown: shown.add(stage))
            drawn = Drawn(
                [*drawn.returns, total], [*drawn.lengths, length], drawn.frames + shown.count
            )
        film.finish()
    return drawn


class _AtMost:
    """The first frames of an episode."""

    def __init__(self, film: Film, most: int) -> None:
        self._film, self._most, self.count = film, most, 0

    def add(self, stage: Stage) -> None:
        if self.count < self._most:
            self._film.add(stage.picture())
            self.count += 1


def _player(
    stage: Stage, agent: Agent, policy: PolicyParams, mode: Mode, limit: int
) -> Callable[[PRNGKeyArray, Callable[[], None]], tuple[float, int]]:
    """What plays an episode: (its key, called after every step) -> (return, length)."""
    act = jax.jit(agent.act, static_argnames="mode")

    def play(key: PRNGKeyArray, show: Callable[[], None]) -> tuple[float, int]:
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

    return play


def _shrink(frame: np.ndarray) -> Image.Image:
    image = Image.fromarray(frame)
    factor = LONGER_SIDE / max(image.size)
    if factor >= 1:
        return image
    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Image.Resampling.BILINEAR)
