"""Gymnasium environments as people write them: one buffer, odd shapes, old interfaces, failures."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import rlsuite
from rlsuite.agents.cores.config import row_bytes
from rlsuite.cli.evaluate import check_policy
from rlsuite.cli.main import main
from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan.spec import Request, plan
from rlsuite.envs import gym_rows
from rlsuite.envs.datasets import checks, collect
from rlsuite.envs.datasets.collect import Collection
from rlsuite.envs.drawing import picture
from rlsuite.envs.gym_adapter import GymEnv, HostVector


class Clock(gymnasium.Env):
    """Counts its steps in one buffer that it hands out again and again, and ends after three."""

    observation_space: spaces.Space = spaces.Box(0, 100, (2,), np.float32)
    action_space: spaces.Space = spaces.Discrete(2)

    def __init__(self) -> None:
        self.buffer = np.zeros(2, np.float32)
        self.taken: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.buffer[:] = (0, 50)
        return self.buffer, {}

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict]:
        assert self.action_space.contains(action), action
        self.taken.append(action)
        self.buffer[0] += 1
        return self.buffer, 1.0, False, self.buffer[0] >= 3, {}


class Shared(Clock):
    """All instances write into one buffer."""

    everybodys = np.zeros(2, np.float32)

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.everybodys[:] = (0, self.np_random.integers(50))
        return self.everybodys, {}


class Writer(Clock):
    """Writes into the action, gives reward and flags as arrays of one, and cannot be closed."""

    observation_space = spaces.Box(0, 100, (2,), np.float64)
    # float32's 0.1 lies outside.
    action_space = spaces.Box(-0.1, 0.1, (2, 3), np.float64)

    def __init__(self) -> None:
        super().__init__()
        self.buffer, self.reward = np.zeros(2), np.zeros(1)

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict]:
        obs, _, _, truncated, info = super().step(action.copy())
        action[:] = np.nan
        self.reward[:] = obs[0]
        return obs, self.reward, np.bool_(False), np.array([truncated]), info

    def close(self) -> None:
        raise OSError("the simulator is gone already")


class Scalar(Clock):
    action_space = spaces.Box(-1, 1, (), np.float32)


class Shifted(Clock):
    action_space = spaces.Discrete(3, start=-2)


class HalfOpen(Clock):
    action_space = spaces.Box(np.array([0, -1], np.float32), np.array([np.inf, 3], np.float32))


class Open(Clock):
    action_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)


class Absurd(Clock):
    action_space = spaces.Box(-1e30, 1e30, (2,), np.float32)


class Uneven(Clock):
    action_space = spaces.Box(np.array([0, -1], np.float32), np.array([9, 3], np.float32))


class NeedsLevel(Clock):
    def __init__(self, level: int) -> None:
        super().__init__()
        self.level = level


class Fussy(Clock):
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__()
        assert render_mode == "rgb_array", "render_mode must be rgb_array"

    def render(self) -> Any:
        return np.broadcast_to(self.buffer[0], (2, 2, 3)).astype(np.uint8)


class FourValues(Clock):
    def step(self, action: Any) -> Any:
        return self.buffer, 1.0, False, {}


class NoInfo(Clock):
    def reset(self, **kwargs: Any) -> Any:
        return self.buffer


class NoSeed(Clock):
    def reset(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.buffer, {}


class OtherShape(Clock):
    def step(self, action: Any) -> Any:
        return np.zeros(3, np.float32), 1.0, False, False, {}


class Fractions(Clock):
    observation_space = spaces.Box(0, 255, (2, 2), np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        return np.full((2, 2), 0.5), {}


class TwoRewards(Clock):
    def step(self, action: Any) -> Any:
        return self.buffer, np.ones(2), False, False, {}


class Broken(Clock):
    def step(self, action: Any) -> Any:
        raise RuntimeError("the motor\nis on fire")


class Parts(Clock):
    observation_space = spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2)))


class Joints(Clock):
    action_space = spaces.MultiDiscrete([2, 3])


KINDS: dict[str, Any] = {kind.__name__: kind for kind in [Clock, *Clock.__subclasses__()]}
for _name, _kind in KINDS.items():
    gymnasium.register(f"Odd{_name}-v0", entry_point=_kind)


# Of rewards, flags and observations that are not as its own checker likes them.
GYMNASIUM_WARNS = pytest.mark.filterwarnings("ignore::UserWarning")


def vector_of(kind: type[Clock], n: int = 2) -> tuple[HostVector, np.ndarray, np.ndarray]:
    """n copies, just reset: (simulators, token, observations)."""
    simulators = HostVector(GymEnv(f"gym:Odd{kind.__name__}-v0"), n)
    return simulators, *simulators.reset(np.arange(n))


def steps_of(kind: type[Clock], action: Any, count: int = 3) -> list[tuple[np.ndarray, ...]]:
    """What `count` steps of two copies give, each with the same action."""
    simulators, token, _ = vector_of(kind)
    out = []
    for _ in range(count):
        token, *rest = simulators.step(token, np.stack([action, action]))
        out.append(tuple(rest))
    return out


def test_one_buffer_for_all_observations_is_copied_before_the_reset() -> None:
    obs, final, _, _, truncated = steps_of(Clock, np.int32(0))[-1]
    assert truncated.all()
    np.testing.assert_array_equal(final, [[3, 50]] * 2)
    np.testing.assert_array_equal(obs, [[0, 50]] * 2)


def test_earlier_steps_are_not_written_over() -> None:
    finals = [final[0, 0] for _, final, *_ in steps_of(Clock, np.int32(0))]
    assert finals == [1, 2, 3]


def test_a_buffer_that_all_copies_share_is_copied_before_the_next_copy() -> None:
    _, _, obs = vector_of(Shared)
    alone = [np.random.Generator(np.random.PCG64(seed)).integers(50) for seed in range(2)]
    np.testing.assert_array_equal(obs[:, 1], alone)


@GYMNASIUM_WARNS
def test_a_simulator_that_writes_into_what_it_is_given() -> None:
    action = np.full((2, 3), 0.1, np.float32)
    given = np.stack([action, action])
    simulators, token, _ = vector_of(Writer)
    token, *_ = simulators.step(token, given)
    np.testing.assert_array_equal(given, np.float32(0.1))
    _, _, final, reward, terminated, truncated = simulators.step(token, given)
    assert final.dtype == np.float32
    np.testing.assert_array_equal(final, [[2, 50]] * 2)
    np.testing.assert_array_equal(reward, [2, 2])
    assert not terminated.any()
    assert not truncated.any()


@GYMNASIUM_WARNS
def test_reward_and_flags_may_be_arrays_of_one() -> None:
    steps = steps_of(Writer, np.zeros((2, 3), np.float32))
    assert [reward.tolist() for _, _, reward, *_ in steps] == [[1, 1], [2, 2], [3, 3]]
    assert [truncated.tolist() for *_, truncated in steps] == [[False] * 2] * 2 + [[True] * 2]


@pytest.mark.parametrize(
    ("kind", "sent"), [(Scalar, np.float32(0.5)), (Shifted, np.int32(-2)), (Uneven, [9.0, 3.0])]
)
def test_the_simulator_gets_actions_of_its_own_space(kind: type[Clock], sent: Any) -> None:
    env = rlsuite.make_env(f"gym:Odd{kind.__name__}-v0")
    assert env.action_space.shape == kind.action_space.shape
    # The simulator itself asserts that its space contains what it is sent.
    assert steps_of(kind, np.asarray(sent, env.action_space.dtype))[0][2].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            NeedsLevel,
            r"cannot be made: TypeError: .*'level'; in a grid .*env_options = \{ level = ... \}",
        ),
        (Fussy, "cannot be made: AssertionError: render_mode must be .*are render_mode"),
        (FourValues, r"step must return \(observation, reward, terminated, truncated, info\)"),
        (NoInfo, r"reset must return \(observation, info\)"),
        (NoSeed, "reset fails: TypeError: .*'seed'"),
        (OtherShape, r"observation is \[3\], its space Box.*\(2,\)"),
        (Fractions, "observation is float64, its space Box.*uint8"),
        (TwoRewards, r"reward is \[2\], it must be one number"),
        (Broken, "step fails: RuntimeError: the motor is on fire"),
        (Parts, "has Tuple observations: .*FlattenObservation"),
        (Joints, "has MultiDiscrete actions"),
    ],
)
def test_what_cannot_be_used_is_one_line_when_it_is_looked_up(kind: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"gym:Odd{kind.__name__}-v0:? {said}") as caught:
        registry.env(f"gym:Odd{kind.__name__}-v0")
    assert "\n" not in str(caught.value)


@GYMNASIUM_WARNS
def test_what_breaks_later_names_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    simulators, token, _ = vector_of(Clock)
    monkeypatch.setattr(Clock, "step", OtherShape.step)
    with pytest.raises(UsageError, match=r"gym:OddClock-v0: observation is \[3\]"):
        simulators.step(token, np.zeros(2, np.int32))


def test_a_constructors_arguments_are_options() -> None:
    with pytest.raises(UsageError, match="no option 'levle': did you mean 'level'"):
        registry.env("gym:OddNeedsLevel-v0", {"levle": 1})
    assert "level" in registry.env("gym:OddNeedsLevel-v0", {"level": 1}).options
    assert rlsuite.make_env("gym:OddFussy-v0", render_mode="rgb_array").observation_space.shape
    request = Request(
        "ppo", ["gym:OddNeedsLevel-v0"], [0], total_steps=2000, env_options={"level": 3}
    )
    (cell,) = plan([request])
    assert cell.env_options == {"level": 3}


def test_simulators_are_closed_with_what_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []
    simulators, *_ = vector_of(Clock)
    monkeypatch.setattr(Clock, "close", lambda self: closed.append(self))
    del simulators
    gc.collect()
    assert len(closed) == 2


def test_registering_again_is_seen() -> None:
    gymnasium.register("OddAgain-v0", entry_point=KINDS["Clock"])
    assert registry.env("gym:OddAgain-v0").action.n == 2
    del gymnasium.registry["OddAgain-v0"]
    gymnasium.register("OddAgain-v0", entry_point=KINDS["Shifted"])
    assert registry.env("gym:OddAgain-v0").action.n == 3


MODULE = """
import gymnasium
gymnasium.register("{name}-v0", entry_point=type(gymnasium.make("CartPole-v1").unwrapped))
"""


def test_a_module_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "oddly_here.py").write_text(MODULE.format(name="OddlyHere"), encoding="utf-8")
    assert registry.env("gym:oddly_here:OddlyHere-v0").action.n == 2


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a", None, "no module 'oddly_{n}', neither in {here} nor on the PYTHONPATH"),
        ("b", "import missing_thing", "module oddly_{n} needs 'missing_thing', which is missing"),
        ("c", "1 / 0", "module oddly_{n} fails: ZeroDivisionError: division by zero"),
        ("d", "", "no environment 'gym:oddly_{n}:Odd{n}-v0'"),
    ],
)
def test_a_module_that_does_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    if text is not None:
        (tmp_path / f"oddly_{name}.py").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        registry.env(f"gym:oddly_{name}:Odd{name}-v0")
    assert said.format(n=name, here=tmp_path) in str(caught.value)


@pytest.mark.parametrize("agent", ["sac", "td3", "mdpo-off"])
@pytest.mark.parametrize("kind", [HalfOpen, Open, Absurd])
def test_agents_that_fill_a_box_refuse_one_without_bounds(
    kind: type[Clock], agent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", agent, "--env", f"gym:Odd{kind.__name__}-v0", "--total-steps", "30000"]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for part in (f"gym:Odd{kind.__name__}-v0", "finite bounds", "ppo"):
        assert part in said


def test_ppo_takes_a_box_without_bounds_unless_it_squashes() -> None:
    def ask(**settings: Any) -> Any:
        return plan([Request("ppo", ["gym:OddOpen-v0"], [0], None, settings, total_steps=2000)])

    assert len(ask()) == 1
    with pytest.raises(UsageError, match="action_distribution 'tanh_gaussian' scales"):
        ask(action_distribution="tanh_gaussian")
    assert len(plan([Request("sac", ["gym:OddUneven-v0"], [0], total_steps=30_000)])) == 1


def test_a_mistake_is_one_line_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "ppo", "--env", "gym:OddNeedsLevel-v0", "--total-steps", "2000"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("rlsuite: gym:OddNeedsLevel-v0 cannot be made")
    assert said.count("\n") == 1


def test_pictures_of_one_buffer_are_copied() -> None:
    class Film:
        def __init__(self) -> None:
            self.frame = np.zeros((2, 2, 3), np.uint8)

        def render(self) -> np.ndarray:
            self.frame += 1
            return self.frame

    film = Film()
    assert [int(shot.max()) for shot in [picture(film), picture(film)]] == [1, 2]


def test_closing_raises_nothing() -> None:
    with pytest.raises(OSError, match="gone already"):
        Writer().close()
    assert gym_rows.close(Writer()) is None  # pyright: ignore


class OpenEnded(NeedsLevel):
    def __init__(self, level: int, **more: Any) -> None:
        super().__init__(level)
        self.more = more


class Endless(Clock):
    most = np.finfo(np.float64).max
    action_space = spaces.Box(-most, most, (1,), np.float64)


class Image(Clock):
    observation_space = spaces.Box(0, 255, (2, 3), np.uint8)

    def __init__(self) -> None:
        super().__init__()
        self.buffer = np.zeros((2, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        self.buffer[:] = 0
        return self.buffer, {}

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict]:
        self.buffer += 1
        return self.buffer, 1.0, False, self.buffer[0, 0] >= 3, {}


@pytest.fixture
def more_of_them() -> Iterator[None]:
    kinds: list[Any] = [OpenEnded, Endless, Image]
    for kind in kinds:
        gymnasium.register(f"Odd{kind.__name__}-v0", entry_point=kind)
    yield
    for kind in kinds:
        gymnasium.registry.pop(f"Odd{kind.__name__}-v0")


@pytest.mark.usefixtures("more_of_them")
def test_options_that_a_constructor_takes_are_options() -> None:
    options = {"level": 3, "colour": 2}
    env: Any = rlsuite.make_env("gym:OddOpenEnded-v0", **options)
    made = env.build().unwrapped
    assert (made.level, made.more) == (3, {"colour": 2})
    assert {"level", "colour"} <= {*registry.env("gym:OddOpenEnded-v0", options).options}


@pytest.mark.usefixtures("more_of_them")
def test_a_box_of_float64s_largest_numbers_is_looked_up_without_a_warning() -> None:
    assert registry.env("gym:OddEndless-v0").action.high == np.inf


@pytest.mark.usefixtures("more_of_them")
def test_a_ring_of_images_is_counted_in_bytes() -> None:
    images = registry.env("gym:OddImage-v0")
    # Two observations of six bytes, action and reward of four, two flags.
    assert row_bytes(images) == 2 * 6 + 2 * 4 + 2
    assert row_bytes(registry.env("gym:OddShifted-v0")) == 4 * (2 * 2 + 2) + 2


@GYMNASIUM_WARNS
def test_actions_that_do_not_start_at_0_are_recorded_and_learned_from(tmp_path: Path) -> None:
    name = "gym:OddShifted-v0"
    row = registry.env(name)
    assert checks.outside(np.array([-2, 0]), checks.bounds(row)) == 0
    assert checks.outside(np.array([-3, 1]), checks.bounds(row)) == 2
    collect.collect(Collection(name, steps=40, num_envs=2), tmp_path / "set", lambda _: None)
    data: Any = rlsuite.load_dataset(str(tmp_path / "set"), name)
    assert sorted(np.unique(data.rows.action).tolist()) == [0, 1, 2]


def test_a_policy_is_played_on_the_environment_it_was_trained_on_options_and_all() -> None:
    cell = {"agent": "ppo", "env": "gym:OddNeedsLevel-v0", "env_options": {"level": 3}}
    assert check_policy({"cell": cell}, Path("x"), None) == "gym:OddNeedsLevel-v0"
    with pytest.raises(UsageError, match="level"):
        check_policy({"cell": {**cell, "env_options": {}}}, Path("x"), None)
