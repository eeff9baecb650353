"""Pictures of single states: what an environment looks like, where that is known.

gymnax's own pictures are matplotlib figures, a tenth of a second each. Here classic control is
drawn by Gymnasium's renderers, put into the state to be shown, and everything that is a grid by a
table of colours; an environment with a `drawer()` of its own draws itself.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import Environment, EnvState

Image = np.ndarray
Draw = Callable[[EnvState, np.ndarray], Image]

# The state variables Gymnasium's environment keeps in `.state`, by gymnax's names.
CLASSIC_CONTROL = {
    "CartPole-v1": ("x", "x_dot", "theta", "theta_dot"),
    "Pendulum-v1": ("theta", "theta_dot"),
    "Acrobot-v1": ("joint_angle1", "joint_angle2", "velocity_1", "velocity_2"),
    "MountainCar-v0": ("position", "velocity"),
    "MountainCarContinuous-v0": ("position", "velocity"),
}
# One colour a channel, later channels over earlier ones; chosen to differ in lightness too.
PALETTE = np.array(
    [
        (240, 240, 240), (230, 90, 60), (90, 150, 230), (250, 200, 60), (90, 190, 110),
        (190, 110, 210), (250, 150, 190), (80, 200, 210), (170, 170, 90), (150, 110, 80),
    ],
    np.uint8,
)  # fmt: skip
BACKGROUND = np.array((24, 24, 32), np.uint8)
LONGER_SIDE = 320


def drawer(env: Environment) -> Draw:
    """How to draw the states of an environment.

    Returns:
      (state, obs) -> uint8[h, w, 3], both as numpy arrays.

    Raises:
      UsageError: no picture is known for it, or the package that draws is missing.
    """
    if hasattr(env, "drawer"):
        return env.drawer()  # pyright: ignore[reportAttributeAccessIssue]
    if env.id in CLASSIC_CONTROL:
        return _classic_control(env.id)
    if env.id in ("FourRooms-misc", "MetaMaze-misc"):
        return _maze(np.asarray(env.simulator.occupied_map))  # pyright: ignore
    shape = env.observation_space.shape
    if len(shape) in (2, 3) and min(shape[:2]) > 1:
        return lambda state, obs: colour(obs.reshape(*shape[:2], -1))
    raise UsageError(
        f"{env.id} cannot be drawn: classic control, mazes, observations that are grids (MinAtar, "
        "Catch, DeepSea, Pong), mujoco: and gym: environments can"
    )


def colour(channels: np.ndarray) -> Image:
    """A grid's channels [h, w, c] as a picture, enlarged without smoothing."""
    image = np.broadcast_to(BACKGROUND, (*channels.shape[:2], 3)).copy()
    for c in range(channels.shape[-1]):
        image[channels[..., c] > 0] = PALETTE[c % len(PALETTE)]
    scale = max(1, LONGER_SIDE // max(image.shape[:2]))
    return image.repeat(scale, 0).repeat(scale, 1)


def gymnasium_renderer(build: Callable[..., Any]) -> Any:
    """A Gymnasium environment that draws into arrays.

    Args:
      build: makes the environment, given `render_mode`.

    Raises:
      UsageError: it cannot, or the package that draws is missing.
    """
    _quiet_pygame()
    env = build(render_mode=None)
    modes = env.metadata.get("render_modes") or []
    with contextlib.suppress(Exception):
        env.close()
    if "rgb_array" not in modes:
        raise UsageError(f"{env.spec.id} cannot be drawn: it has no render mode rgb_array")
    return build(render_mode="rgb_array")


def _quiet_pygame() -> None:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # Without these, SDL complains of the sound card and the screen that a server does not have.
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    if not os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"}:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def picture(env: Any) -> Image:
    """What a Gymnasium environment shows now.

    Raises:
      UsageError: the package that draws is missing.
    """
    from gymnasium.error import DependencyNotInstalled

    try:
        # A copy: renderers may draw into one buffer.
        return np.array(env.render(), np.uint8)
    except DependencyNotInstalled as e:
        line = " ".join(str(e).split())
        raise UsageError(f"drawing needs a package that is missing: {line}") from None


def _classic_control(env_id: str) -> Draw:
    import gymnasium

    env = gymnasium_renderer(lambda **kw: gymnasium.make(env_id, **kw))
    env.reset(seed=0)
    inner, names = env.unwrapped, CLASSIC_CONTROL[env_id]

    def draw(state: EnvState, obs: np.ndarray) -> Image:
        inner.state = np.array([getattr(state, name) for name in names], np.float64)
        inner.last_u = float(getattr(state, "last_u", 0.0))
        return picture(inner)

    return draw


def _maze(walls: np.ndarray) -> Draw:
    def draw(state: EnvState, obs: np.ndarray) -> Image:
        channels = np.zeros((*walls.shape, 5))
        channels[..., 0] = walls
        channels[(*state.pos, 1)] = channels[(*state.goal, 4)] = 1
        return colour(channels)

    return draw
