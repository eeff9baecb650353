"""Pictures of MuJoCo's states, where this machine can draw at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.envs.drawing import drawer
from rlsuite.envs.mujoco import draw
from rlsuite.envs.probes import make as make_probe

IDS = ("mujoco:Hopper-v5", "mujoco:Reacher-v4")


def can_draw() -> str:
    """Why not, or nothing."""
    try:
        draw._context()
    except RuntimeError as e:
        return str(e)
    return ""


def test_states_look_like_themselves() -> None:
    if why := can_draw():
        pytest.skip(why)
    seen = []
    for env_id in IDS:
        env = registry.make_env(env_id)
        paint = drawer(env)
        for seed in (0, 1):
            state, obs = jax.jit(env.reset)(jax.random.key(seed), ())
            state = jax.tree.map(np.asarray, state)
            picture = paint(state, np.asarray(obs))
            assert picture.shape == (240, 320, 3)
            assert picture.dtype == np.uint8
            assert picture.std() > 10
            np.testing.assert_array_equal(picture, paint(state, np.asarray(obs)))
            seen.append(picture)
    assert len({picture.tobytes() for picture in seen}) == len(seen)


def test_what_cannot_be_drawn_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("no way of drawing")

    monkeypatch.setattr(draw, "_context", fail)
    with pytest.raises(UsageError, match="mujoco:Hopper-v5 cannot be drawn: no way of drawing"):
        drawer(registry.make_env("mujoco:Hopper-v5"))
    with pytest.raises(UsageError, match=r"cannot be drawn: .*mujoco: and gym:"):
        drawer(make_probe("Probe-Memory"))


def test_without_any_backend_the_line_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['mujoco.egl'] = sys.modules['mujoco.osmesa'] = None\n"
        "from rlsuite.envs.mujoco import draw\n"
        "try: draw._context()\n"
        "except RuntimeError as e: print(e)"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert "install libEGL or libOSMesa" in out.stdout
    assert out.stdout.count("\n") == 1


@pytest.mark.slow
def test_the_command_line_films_an_episode(tmp_path: Path) -> None:
    if why := can_draw():
        pytest.skip(why)
    run, film = tmp_path / "run", tmp_path / "film.gif"
    train = f"train ppo --env mujoco:Hopper-v5 --seeds 1 --total-steps 1024 --out {run}"
    show = f"evaluate {run} --best --episodes 1 --video {film}"
    for command in (train, show):
        code = "import sys; from rlsuite.cli.main import main; sys.exit(main(sys.argv[1:]))"
        subprocess.run([sys.executable, "-c", code, *command.split()], check=True)
    with Image.open(film) as image:
        assert getattr(image, "n_frames", 1) > 1
