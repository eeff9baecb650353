"""Episodes as films: one of each kind of picture, GIF and MP4, and what cannot be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageSequence

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import Agent, Context
from rlsuite.engine.run.program import with_params
from rlsuite.envs import drawing
from rlsuite.envs.render import Drawn, record


def constant_agent(env_id: str, **options: Any) -> Agent:
    """An agent that always takes the same action, without parameters."""
    env = registry.make_env(env_id, **options)
    action = jnp.zeros(env.action_space.shape, env.action_space.dtype)

    def act(policy: Any, carry: Any, obs: Any, first: Any, key: Any, mode: str) -> Any:
        return jnp.broadcast_to(action, (*first.shape, *action.shape)), carry

    def unused(state: Any, ctx: Context, warm: Any = None) -> Any:
        raise AssertionError("drawing neither collects nor learns")

    return Agent(
        "constant", env, cast(Any, None), 1, unused, unused, lambda s, b, c: unused(s, c),
        lambda state: (), act, lambda batch: (),
    )  # fmt: skip


def filmed(env_id: str, path: Path, **options: Any) -> tuple[Drawn, list[np.ndarray]]:
    drawn = record(constant_agent(env_id), (), env_id, jax.random.key(0), path, fps=50, **options)
    with Image.open(path) as film:
        return drawn, [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(film)]


@pytest.mark.parametrize("env_id", ["CartPole-v1", "gym:CartPole-v1"])
def test_classic_control_and_gymnasium_are_drawn(env_id: str, tmp_path: Path) -> None:
    drawn, frames = filmed(env_id, tmp_path / "film.gif")
    assert drawn.returns == drawn.lengths == [drawn.frames - 1]
    # White paper, a dark cart, and the pole moves.
    assert (frames[0] > 240).mean() > 0.9
    assert (frames[0] < 60).any()
    assert (frames[0] != frames[-1]).any()


def test_gymnasiums_renderer_is_put_into_the_state_to_be_shown() -> None:
    env = registry.make_env("Pendulum-v1")
    draw = drawing.drawer(env)
    state, obs = env.reset(jax.random.key(0), env.default_params)
    up, down = (
        draw(state.replace(theta=np.float32(a), last_u=np.float32(0)), np.asarray(obs))
        for a in (0, np.pi)
    )
    red = [(p[..., 0] > 180) & (p[..., 1] < 120) for p in (up, down)]
    height = up.shape[0]
    assert red[0][: height // 2].sum() > 5 * red[0][height // 2 :].sum()
    assert red[1][height // 2 :].sum() > 5 * red[1][: height // 2].sum()


def test_grids_are_coloured_by_channel_and_enlarged() -> None:
    grid = np.zeros((10, 5, 2))
    grid[0, 0, 0] = grid[9, 4, 1] = 1
    image = drawing.colour(grid)
    assert image.shape == (320, 160, 3)
    np.testing.assert_array_equal(image[0, 0], drawing.PALETTE[0])
    np.testing.assert_array_equal(image[31, 31], drawing.PALETTE[0])
    np.testing.assert_array_equal(image[-1, -1], drawing.PALETTE[1])
    np.testing.assert_array_equal(image[160, 80], drawing.BACKGROUND)


def test_a_grid_world_is_filmed_step_by_step(tmp_path: Path) -> None:
    drawn, frames = filmed("Catch-bsuite", tmp_path / "film.gif")
    assert (drawn.lengths, drawn.frames) == ([9], 10)
    assert abs(drawn.returns[0]) == 1
    # The ball falls a row a step until it reaches the paddle's.
    lit = [np.flatnonzero(np.any(f.min(-1) > 200, axis=1)).min() // 32 for f in frames]
    assert lit == list(range(10))


def test_a_maze_is_drawn_with_agent_and_goal() -> None:
    env = registry.make_env("FourRooms-misc")
    state, obs = env.reset(jax.random.key(0), env.default_params)
    image = drawing.drawer(env)(jax.tree.map(np.asarray, state), np.asarray(obs))
    cells = image[::24, ::24]
    assert cells.shape == (13, 13, 3)
    np.testing.assert_array_equal(cells[0, 0], drawing.PALETTE[0])
    np.testing.assert_array_equal(cells[4, 1], drawing.PALETTE[1])
    np.testing.assert_array_equal(cells[8, 9], drawing.PALETTE[4])


def test_a_long_episode_is_played_to_its_end_but_not_drawn_to_it(tmp_path: Path) -> None:
    agent = constant_agent("MetaMaze-misc")
    drawn = record(agent, (), "MetaMaze-misc", jax.random.key(0), tmp_path / "f.gif", seconds=0.2)
    assert drawn.lengths == [200]
    assert drawn.frames == 5


def decoded(path: Path) -> tuple[float, list[np.ndarray]]:
    """Frames a second and all frames of an MP4."""
    import av

    with av.open(str(path)) as film:
        rate = film.streams.video[0].average_rate
        return float(rate or 0), [f.to_ndarray(format="rgb24") for f in film.decode(video=0)]


def test_an_mp4_shows_what_the_gif_shows(tmp_path: Path) -> None:
    agent, key = constant_agent("Catch-bsuite"), jax.random.key(0)
    drawn = record(agent, (), "Catch-bsuite", key, tmp_path / "film.mp4")
    rate, frames = decoded(tmp_path / "film.mp4")
    as_gif, shown = filmed("Catch-bsuite", tmp_path / "film.gif")
    assert drawn == as_gif
    assert (rate, len(frames)) == (25, 10)
    for mp4, gif in zip(frames, shown, strict=True):
        assert np.abs(mp4.astype(int) - gif).mean() < 4


def test_an_mp4_of_odd_sides_is_whole(tmp_path: Path) -> None:
    """gym:CartPole-v1 is 600 × 400, smaller 320 × 213; H.264 wants even sides."""
    record(constant_agent("gym:CartPole-v1"), (), "gym:CartPole-v1", jax.random.key(0),
           path := tmp_path / "film.mp4")  # fmt: skip
    _, frames = decoded(path)
    assert frames[0].shape == (214, 320, 3)


def test_several_episodes_stand_one_after_the_other(tmp_path: Path) -> None:
    one, alone = filmed("Catch-bsuite", tmp_path / "one.gif")
    three, frames = filmed("Catch-bsuite", tmp_path / "three.gif", episodes=3)
    assert three.returns[0] == one.returns[0]
    assert (len(three.returns), three.lengths) == (3, [9, 9, 9])
    assert three.frames == len(frames) == 30
    # Other starts, not the first episode again.
    assert len({frames[start].tobytes() for start in (0, 10, 20)}) > 1
    for first, same in zip(alone, frames, strict=False):
        np.testing.assert_array_equal(first, same)
    short, _ = filmed("MetaMaze-misc", tmp_path / "short.gif", episodes=2, seconds=0.1)
    assert (short.lengths, short.frames) == ([200, 200], 10)


def test_the_film_is_of_the_environments_parameters(tmp_path: Path) -> None:
    params = registry.make_env("CartPole-v1").default_params
    weak = with_params(params, {"force_mag": 1.0})
    usual, _ = filmed("CartPole-v1", tmp_path / "usual.gif")
    drawn, _ = filmed("CartPole-v1", tmp_path / "weak.gif", params=weak)
    assert drawn.lengths[0] > usual.lengths[0]


def test_the_same_key_films_the_same_episode(tmp_path: Path) -> None:
    files = [tmp_path / "a.gif", tmp_path / "b.gif"]
    for path in files:
        filmed("gym:CartPole-v1", path)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("env_id", "name", "message"),
    [
        ("Reacher-misc", "film.gif", "Reacher-misc cannot be drawn"),
        ("Catch-bsuite", "film.avi", r"film\.avi film\.gif or film\.mp4"),
        ("Catch-bsuite", "a file/film.gif", "cannot write"),
        ("Catch-bsuite", "a folder.gif", "it is a folder"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(
    env_id: str, name: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "a folder.gif").mkdir()
    with pytest.raises(UsageError, match=message) as caught:
        filmed(env_id, tmp_path / name)
    assert "\n" not in str(caught.value)
    # Nothing half made is left behind.
    assert not (tmp_path / "film.gif").exists()


def test_without_the_package_for_mp4_the_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"rlsuite\[video\], or call it film\.gif") as caught:
        filmed("Catch-bsuite", tmp_path / "film.mp4")
    assert "\n" not in str(caught.value)
