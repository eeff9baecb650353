"""Hand-written environments: what does not keep to the contract is one line, what does is used in
the shapes and types of its spaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from jaxtyping import Array, PRNGKeyArray

import rlsuite
from rlsuite.acting import vector
from rlsuite.acting.check import CONTRACT, check_spaces
from rlsuite.acting.evaluate import Evaluation, evaluate
from rlsuite.cli import evaluate as evaluate_command
from rlsuite.contracts import box, keys, registry
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import Agent, Environment, TimeStep
from rlsuite.engine.run.program import context
from rlsuite.envs.render import Drawn


class State(NamedTuple):
    x: Array
    t: Array


class Point:
    """Move a point to the origin, as somebody writes it from the contract page."""

    id = "mine:point"
    observation_space: Any = spaces.Box(-2.0, 2.0, (1,), np.float32)
    action_space: Any = spaces.Discrete(3)
    default_params = (jnp.float32(0.1),)
    time_limit: int | None = 20
    resumable = True

    def __init__(self, action_space: Any = None, observation: tuple[int, ...] = (1,)) -> None:
        self.action_space = action_space or self.action_space
        self.observation_space = spaces.Box(-2.0, 2.0, observation, np.float32)
        self.given: list[tuple[tuple[int, ...], Any]] = []

    def reset(self, key: PRNGKeyArray, params: Any) -> tuple[Any, Any]:
        x = jax.random.uniform(key, (), minval=-1.0, maxval=1.0)
        return State(x, jnp.int32(0)), self.observe(x)

    def step(self, key: PRNGKeyArray, state: Any, action: Array, params: Any) -> tuple[Any, Any]:
        assert action.shape == (self.action_space.shape or ()), action.shape
        x = jnp.clip(state.x + params[0] * jnp.mean(action), -2, 2)
        t = state.t + 1
        step = TimeStep(self.observe(x), -jnp.abs(x), jnp.bool_(False), t >= 20, {})
        return State(x, t), step

    def observe(self, x: Array) -> Array:
        return jnp.full(self.observation_space.shape, x)


def changed(**fields: Any) -> Point:
    """A point whose step returns something else; functions of what it was."""

    class Changed(Point):
        def step(self, key: Any, state: Any, action: Any, params: Any) -> tuple[Any, Any]:
            state, step = super().step(key, state, action, params)
            new = {name: change(getattr(step, name)) for name, change in fields.items()
                   if name != "state"}  # fmt: skip
            return fields.get("state", lambda s: s)(state), step._replace(**new)

    return Changed()


def resetting(reset: Any) -> Point:
    """A point whose reset is another."""
    env = Point()
    env.reset = reset
    return env


def as_int(x: Array) -> Array:
    return x.astype(jnp.int32)


def returning(out: Any) -> Point:
    """A point whose step returns `out` of (state, TimeStep)."""
    env: Any = Point()
    step = env.step
    env.step = lambda *args: out(*step(*args))
    return env


FAULTS: dict[str, tuple[Any, str]] = {
    "integer flag": (changed(terminated=as_int), r"step's terminated is int32\[\], .* bool\[\]"),
    "float flag": (
        changed(truncated=lambda x: x * 1.0), r"step's truncated is float32\[\], .* bool\[\]"
    ),
    "flag of one": (
        changed(terminated=lambda x: x[None]), r"step's terminated is bool\[1\], .* bool\[\]"
    ),
    "reward of one": (changed(reward=lambda x: x[None]), r"reward is float32\[1\], .* float32\[\]"),
    "observation's shape": (
        changed(obs=lambda x: x[0]), r"step's observation is float32\[\], .* float32\[1\]"
    ),
    "state's type": (
        changed(state=lambda s: s._replace(t=s.t * 1.0)),
        r"step returns state.t as float32\[\], it must stay int32\[\]",
    ),
    "state's shape": (
        changed(state=lambda s: s._replace(x=s.x[None])),
        r"step returns state.x as float32\[1\], it must stay float32\[\]",
    ),
    "state's parts": (changed(state=lambda s: s.x), "a state of 1 arrays, .* as reset's"),
    "order": (returning(lambda state, step: (step, state)), r"must be \(state, TimeStep\)"),
    "five values": (returning(lambda state, step: (state, *step)), r"must be \(state, TimeStep\)"),
    "reset of one": (
        resetting(lambda key, params: jnp.zeros(1)), r"reset returns an array, .* \(state, obs"
    ),
    "reset's observation": (
        resetting(lambda key, params: (jnp.int32(0), jnp.zeros(2))),
        r"reset's observation is float32\[2\], it must be float32\[1\]",
    ),
    "many actions": (
        Point(spaces.MultiDiscrete([2, 3])),
        r"action_space is MultiDiscrete\(\[2 3\]\), it must be .*Discrete\(6\)",
    ),
    "whole numbers": (Point(spaces.Box(0, 5, (2,), np.int32)), "action_space is Box.*of floats"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_that_names_the_field(name: str) -> None:
    env, said = FAULTS[name]
    with pytest.raises(UsageError, match=f"mine:point: .*{said}") as caught:
        rlsuite.check_env(env)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("observation_space", spaces.Discrete(4), "is Discrete.4., it must be a Box, one-hot"),
        ("observation_space", spaces.Dict({}), "is Dict.*, it must be a Box, joined"),
        ("time_limit", 0, "time_limit is 0, it must be a number of steps or None"),
        ("time_limit", 2.5, r"time_limit is 2\.5"),
    ],
)
def test_attributes_are_checked_when_the_agent_is_made(name: str, value: Any, said: str) -> None:
    env = Point()
    setattr(env, name, value)
    with pytest.raises(UsageError, match=f"mine:point: .*{said}"):
        agent("ppo", env)


def test_what_is_missing_is_named() -> None:
    class Unfinished:
        id = "mine:unfinished"

    said = f"mine:unfinished has no 'observation_space': {CONTRACT}"
    with pytest.raises(UsageError, match=said):
        check_spaces(Unfinished())


@pytest.mark.parametrize("name", ["ppo", "td3"])
def test_training_says_it_before_anything_is_compiled(name: str) -> None:
    env = changed(terminated=as_int)
    if name == "td3":
        env.action_space = spaces.Box(-1, 1, (1,), np.float32)
    made = agent(name, env)
    with pytest.raises(UsageError, match="mine:point: step's terminated"):
        jax.eval_shape(made.init if name == "td3" else made.step, *arguments(made, name))


def arguments(made: Agent, name: str) -> tuple[Any, ...]:
    """What `init` (td3 fills its replay there) or `step` (ppo) is called with."""
    ctx = context(made, made.config, 1)
    if name == "td3":
        return keys.root(0), ctx
    return jax.eval_shape(made.init, keys.root(0), ctx), ctx


def shapes_of(envs: vector.VectorEnv, env: Point, actions: Array) -> Any:
    """What a reset and a step return, as shapes."""

    def play(key: PRNGKeyArray) -> Any:
        first = envs.reset(key, env.default_params)
        return first, envs.step(key, first[0], actions, env.default_params)

    return jax.eval_shape(play, jax.random.key(0))


def test_what_is_harmless_is_put_right() -> None:
    env = changed(reward=as_int, obs=lambda x: x.astype(jnp.int32))
    env.observation_space = spaces.Box(-2.0, 2.0, (1,), np.float64)
    rlsuite.check_env(cast(Environment, env))
    envs = vector.make(env, 3)
    (_, obs), (_, step) = shapes_of(envs, env, jnp.zeros(3, jnp.int32))
    assert obs.dtype == step.obs.dtype == step.final_obs.dtype == step.reward.dtype == jnp.float32


def test_python_numbers_do_as_rewards_and_flags() -> None:
    env = changed(reward=lambda _: 1.0, terminated=lambda _: False)
    rlsuite.check_env(env)


def test_fractions_are_not_cut_off_to_bytes() -> None:
    env = Point()
    env.observation_space = spaces.Box(0, 255, (1,), np.uint8)
    with pytest.raises(UsageError, match=r"is float32\[1\], it must be uint8\[1\]"):
        rlsuite.check_env(env)


def test_an_environments_own_mistakes_are_its_own() -> None:
    def fails(*_: Any) -> Any:
        raise KeyError("not mine")

    with pytest.raises(KeyError, match="not mine"):
        rlsuite.check_env(resetting(fails))


# --- actions and observations of any shape -------------------------------------------------------


def agent(name: str, env: Any, **settings: Any) -> Agent:
    """A small agent."""
    small: dict[str, Any] = {"hidden": [8]}
    if name == "ppo":
        small |= {"num_envs": 2, "num_steps": 8, "epochs": 1, "minibatches": 1}
    elif name != "bc":
        small |= {"learning_starts": 4, "batch_size": 4, "buffer_size": 64}
    row = registry.agent(name)
    return row.load_make()(env, row.load_config().from_mapping({**small, **settings}))


SPACES = [
    spaces.Box(-3, 5, (2, 3), np.float32),
    spaces.Box(-1, 1, (), np.float64),
    spaces.Discrete(3, start=5),
    spaces.Discrete(2, start=-1),
]
ANY_SPACE = [("ppo", {}), ("sac", {})]
BOX_ONLY = [("ppo", {"action_distribution": "tanh_gaussian"}), ("td3", {})]
PAIRS = [
    pytest.param(name, settings, space, id="-".join([name, *settings.values(), str(space)]))
    for space in SPACES
    for name, settings in ANY_SPACE + BOX_ONLY * isinstance(space, spaces.Box)
]


@pytest.mark.parametrize(("name", "settings", "space"), PAIRS)
def test_every_agent_acts_in_the_shape_of_the_space(
    name: str, settings: dict[str, Any], space: Any
) -> None:
    env = Point(space)
    made = agent(name, env, **settings)
    ctx = context(made, made.config, 1)
    state = jax.eval_shape(made.init, keys.root(0), ctx)
    # The environment itself asserts the shape: of the prefill, the rollout and the evaluation.
    jax.eval_shape(made.step, state, ctx)
    policy = jax.eval_shape(made.policy, state)
    jax.eval_shape(
        lambda policy, key: evaluate(made, policy, key, env.default_params, episodes=3), policy,
        keys.root(0),
    )  # fmt: skip
    out = jax.eval_shape(
        lambda policy, key: made.act(
            policy, made.carry((5,)), jnp.zeros((5, 1)), jnp.ones(5, bool), key, "sample"
        ),
        policy, keys.root(0),
    )  # fmt: skip
    assert out[0].shape == (5, *(space.shape or ()))


@pytest.mark.parametrize("observation", [(), (2, 3), (4, 3, 2, 1)], ids=str)
@pytest.mark.parametrize("name", ["ppo", "td3"])
def test_observations_may_have_any_shape(name: str, observation: tuple[int, ...]) -> None:
    env = Point(spaces.Box(-1, 1, (2,), np.float32), observation)
    made = agent(name, env, normalize_observations=True)
    ctx = context(made, made.config, 1)
    state = jax.eval_shape(made.init, keys.root(0), ctx)
    new, _ = jax.eval_shape(made.step, state, ctx)
    assert new.obs.shape[1:] == observation


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_an_agents_action_becomes_the_environments(space: Any) -> None:
    if isinstance(space, spaces.Discrete):
        inner = np.arange(space.n, dtype=np.int32)
        np.testing.assert_array_equal(box.to_env(space, inner), inner + space.start)
        return
    size = box.size(space)
    corners = np.stack([np.full(size, -1.0), np.full(size, 1.0)]).astype(np.float32)
    low, high = box.to_env(space, corners)
    np.testing.assert_array_equal(low, space.low)
    np.testing.assert_array_equal(high, space.high)
    order = box.to_env(space, np.linspace(-1, 1, size, dtype=np.float32)[None])[0]
    assert (np.diff(order.ravel()) > 0).all()


def test_flat_actions_of_a_foreign_agent_are_brought_to_the_shape() -> None:
    env = Point(spaces.Box(-1, 1, (2, 3), np.float32))
    envs = vector.make(env, 2)
    # The environment itself asserts the shape.
    shapes_of(envs, env, jnp.zeros((2, 6)))
    with pytest.raises(UsageError, match=r"mine:point: actions are \[2, 5\], 2 of Box.*\[2, 2, 3"):
        shapes_of(envs, env, jnp.zeros((2, 5)))


@pytest.mark.parametrize("space", [spaces.Box(0, np.inf, (2,), np.float32)])
@pytest.mark.parametrize("name", ["sac", "td3", "bc"])
def test_boxes_without_bounds_are_refused_when_the_agent_is_made(name: str, space: Any) -> None:
    with pytest.raises(UsageError, match=rf"^{name} scales its actions .*mine:point.*\[0, inf\]"):
        agent(name, Point(space))
    assert agent("ppo", Point(space)).name == "ppo"
    with pytest.raises(UsageError, match="action_distribution 'tanh_gaussian' scales"):
        agent("ppo", Point(space), action_distribution="tanh_gaussian")


def test_an_environment_from_the_contract_page_is_trained_kept_and_used(tmp_path: Path) -> None:
    env = Point(spaces.Box(-1, 1, (2, 3), np.float32))
    assert isinstance(env, Environment)
    made = agent("ppo", env)
    result = rlsuite.train(made, seeds=1, total_steps=32, evaluations=1, episodes=2)
    assert np.isfinite(result.returns).all()
    path = tmp_path / "policy.safetensors"
    rlsuite.save(path, made, result.policies[0])
    obs, first = jnp.zeros((1, 1)), jnp.ones(1, bool)
    policies = [result.policies[0], rlsuite.load(path, made)]
    act = jax.jit(made.act, static_argnames="mode")
    one, other = (act(p, (), obs, first, keys.root(3), mode="sample")[0] for p in policies)
    np.testing.assert_array_equal(one, other)
    assert env.action_space.contains(np.asarray(one[0]))


# --- the film ------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [None, "sample"])
def test_the_film_shows_the_policy_of_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None
) -> None:
    """Both act as asked, or as the agent's own paper evaluates."""
    env = rlsuite.make_env("Probe-BestAction-Continuous")
    made = agent("sac", env)
    shapes = jax.eval_shape(made.init, keys.root(0), context(made, made.config, 1))
    policy = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), jax.eval_shape(made.policy, shapes))
    path = tmp_path / "policy.safetensors"
    rlsuite.save(path, made, policy)
    modes: list[Any] = []

    def film(*_: Any, mode: Any, **more: Any) -> Drawn:
        modes.append(mode)
        return Drawn([0.0], [1], 2)

    def numbers(*_: Any, mode: Any, **more: Any) -> Any:
        modes.append(mode)
        return Evaluation(jnp.zeros(2), jnp.zeros(2, jnp.int32), jnp.ones(2, bool))

    monkeypatch.setattr(evaluate_command, "worker_environment", lambda device: {})
    monkeypatch.setattr("rlsuite.acting.evaluate.evaluate", numbers)
    monkeypatch.setattr(registry.EnvRow, "load_render", lambda row: film)
    monkeypatch.setattr(evaluate_command, "_check_drawable", lambda row: None)
    argv = [str(path), "--video", str(tmp_path / "film.gif"), "--episodes", "2"]
    assert evaluate_command.main(argv + (["--mode", asked] if asked else [])) == 0
    assert modes == [asked, asked]
    assert made.evaluation_mode == "greedy"
