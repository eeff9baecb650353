"""Pictures of states, drawn without a screen.

Shadows and reflections are left out: drawn in software they take 0.07 of 0.08 seconds a picture.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from rlsuite.contracts.errors import UsageError
from rlsuite.envs.mujoco.engine import STATE, Engine
from rlsuite.envs.mujoco.library import mj

WIDTH, HEIGHT = 320, 240
BACKENDS = ("egl", "osmesa", "glfw")
# Tasks that stay where they are: the camera does too.
RESTING = ("Reacher", "Pusher", "InvertedPendulum", "InvertedDoublePendulum")


def drawer(env_id: str, engine: Engine) -> Callable[[Any, np.ndarray], np.ndarray]:
    """How to draw a task's states.

    Returns:
      (state, obs) -> uint8[240, 320, 3]; the state's leaves are numpy arrays.

    Raises:
      UsageError: nothing on this machine draws.
    """
    model, data = engine.model, mj.MjData(engine.model)
    try:
        context = _context()
    except RuntimeError as e:
        raise UsageError(f"{env_id} cannot be drawn: {e}") from None
    scene, picture = mj.MjvScene(model, 1000), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for flag in (mj.mjtRndFlag.mjRND_SHADOW, mj.mjtRndFlag.mjRND_REFLECTION):
        scene.flags[flag] = 0
    camera, look = _camera(env_id, model), mj.MjvOption()
    canvas = mj.MjrContext(model, mj.mjtFontScale.mjFONTSCALE_100.value)
    mj.mjr_setBuffer(mj.mjtFramebuffer.mjFB_OFFSCREEN.value, canvas)
    area = mj.MjrRect(0, 0, WIDTH, HEIGHT)

    def draw(state: Any, obs: np.ndarray) -> np.ndarray:
        context.make_current()
        physics = np.ascontiguousarray(state.physics).view(np.float64)[: engine.width]
        mj.mj_setState(model, data, physics, STATE)
        mj.mj_forward(model, data)
        mj.mjv_updateScene(model, data, look, None, camera, mj.mjtCatBit.mjCAT_ALL.value, scene)
        mj.mjr_render(area, scene, canvas)
        mj.mjr_readPixels(picture, None, area, canvas)
        return picture[::-1].copy()

    return draw


def _camera(env_id: str, model: Any) -> Any:
    camera = mj.MjvCamera()
    mj.mjv_defaultFreeCamera(model, camera)
    if not any(f":{name}-" in env_id for name in RESTING):
        camera.type, camera.trackbodyid = mj.mjtCamera.mjCAMERA_TRACKING.value, 1
        camera.distance, camera.elevation = 4.0, -20.0
    return camera


@functools.cache
def _context() -> Any:
    """The first way of drawing that works here, or the one that MUJOCO_GL names.

    One a process: what is drawn with is freed in whatever context is current, and would be taken
    from another's.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    failed = []
    for name in (wanted,) if wanted in BACKENDS else BACKENDS:
        if name == "glfw" and not os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"}:
            continue
        try:
            context = importlib.import_module(f"mujoco.{name}").GLContext(WIDTH, HEIGHT)
            context.make_current()
        except (ImportError, AttributeError, OSError, RuntimeError) as e:
            failed.append(f"{name}: {str(e).strip().partition(chr(10))[0]}")
        else:
            return context
        # mujoco.egl and mujoco.osmesa leave their mark, which would keep the next from trying.
        os.environ.pop("PYOPENGL_PLATFORM", None)
    raise RuntimeError(
        f"no way of drawing without a screen works ({'; '.join(failed) or wanted}): install libEGL "
        "or libOSMesa, and leave MUJOCO_GL unset or name one of them"
    )
