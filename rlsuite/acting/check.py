"""Whether an environment keeps to the contract of `rlsuite.contracts.types.Environment`.

The vector layer asks while it is traced, from shapes alone: what is wrong is one line that names
the field, what it is and what it should be, before anything is compiled. What is harmless is put
right instead: whole numbers as rewards, observations narrower than their space says.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array

from rlsuite.contracts import box
from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.types import Environment, EnvState, TimeStep

ATTRIBUTES = (
    "id", "observation_space", "action_space", "default_params", "time_limit", "resumable",
    "reset", "step",
)  # fmt: skip
CONTRACT = "see rlsuite.contracts.types.Environment"


def obs_dtype(space: Any) -> Any:
    """The type of observations: the space's, or the nearest that jax has (float64: float32)."""
    return jax.dtypes.canonicalize_dtype(space.dtype)


def check_bounded(who: str, env: Environment) -> None:
    """`box.check_bounds` of an environment as built; discrete actions need none.

    Raises:
      UsageError: a box without bounds, or with absurd ones.
    """
    space = env.action_space
    if not isinstance(space, spaces.Discrete):
        check_spaces(env)
        box.check_bounds(who, env.id, float(space.low.min()), float(space.high.max()))


def check_spaces(env: Any) -> None:
    """Refuse an environment that lacks something, or whose spaces no agent can use.

    Raises:
      UsageError: naming the attribute, what it is and what it should be.
    """
    named = getattr(env, "id", type(env).__name__)
    for name in ATTRIBUTES:
        if not hasattr(env, name):
            raise UsageError(f"environment {named} has no {name!r}: {CONTRACT}")
    observed, action, limit = env.observation_space, env.action_space, env.time_limit
    if not isinstance(observed, spaces.Box):
        hint = ", one-hot" if isinstance(observed, spaces.Discrete) else ", joined in one array"
        raise UsageError(f"{named}: observation_space is {observed}, it must be a Box{hint}")
    whole = isinstance(action, spaces.Box) and not jnp.issubdtype(action.dtype, jnp.floating)
    if whole or not isinstance(action, spaces.Box | spaces.Discrete):
        hint = ""
        if isinstance(action, spaces.MultiDiscrete):
            hint = f": number the combinations, Discrete({math.prod(action.nvec.ravel().tolist())})"
        raise UsageError(
            f"{named}: action_space is {action}, it must be Discrete or a Box of floats{hint}"
        )
    if limit is not None and (not isinstance(limit, int | np.integer) or limit < 1):
        raise UsageError(f"{named}: time_limit is {limit!r}, it must be a number of steps or None")


def actions(env: Environment, n: int, given: Array) -> Array:
    """Actions of n copies in the space's shape, which flat ones are brought to.

    Args:
      env: whose actions they are.
      n: copies.
      given: [n, ...], any shape of as many entries as the space's.

    Returns:
      [n, *space.shape].

    Raises:
      UsageError: they are not of the space's size.
    """
    shape = (n, *(env.action_space.shape or ()))
    if given.shape == shape:
        return given
    if given.size != np.prod(shape):
        raise UsageError(
            f"{env.id}: actions are {list(given.shape)}, {n} of {env.action_space} are "
            f"{list(shape)}"
        )
    return given.reshape(shape)


def drawn(env: Environment, n: int, out: Any) -> tuple[EnvState, Array]:
    """What `reset` gave for n copies: (state, observations of the space's type).

    Args:
      env: whose reset it was.
      n: copies.
      out: what came back, under `vmap`.

    Raises:
      UsageError: it is something else.
    """
    if not isinstance(out, tuple) or len(out) != 2:
        raise UsageError(f"{env.id}: reset returns {_kind(out)}, it must be (state, observation)")
    return out[0], _observation(env, n, "reset's observation", out[1])


def stepped(env: Environment, n: int, before: EnvState, out: Any) -> tuple[EnvState, TimeStep]:
    """What `step` gave for n copies: (state, TimeStep), fields of the contract's types.

    Args:
      env: whose step it was.
      n: copies.
      before: their state before.
      out: what came back.

    Raises:
      UsageError: it is something else.
    """
    if not isinstance(out, tuple) or len(out) != 2 or not isinstance(out[1], TimeStep):
        shown = ", ".join(_kind(x) for x in out) if type(out) is tuple else _kind(out)
        raise UsageError(f"{env.id}: step returns ({shown}), it must be (state, TimeStep)")
    state, step = out
    _same_state(env, before, state)
    for name in ("terminated", "truncated"):
        flag = getattr(step, name)
        _refuse(env, f"step's {name}", flag, n, (), flag.dtype == jnp.bool_, "bool")
    reward = step.reward
    real = not jnp.issubdtype(reward.dtype, jnp.complexfloating)
    _refuse(env, "step's reward", reward, n, (), real, "float32")
    if not jnp.issubdtype(reward.dtype, jnp.floating):
        reward = reward.astype(jnp.float32)
    obs = _observation(env, n, "step's observation", step.obs)
    return state, step._replace(obs=obs, reward=reward)


def _observation(env: Environment, n: int, what: str, obs: Any) -> Array:
    space = env.observation_space
    wanted = obs_dtype(space)
    if not hasattr(obs, "dtype"):
        raise UsageError(f"{env.id}: {what} is {_kind(obs)}, it must be one array")
    # To a float from anything, else only to what holds every value: no fraction is cut off.
    fits = jnp.issubdtype(wanted, jnp.floating) or np.can_cast(obs.dtype, wanted)
    _refuse(env, what, obs, n, tuple(space.shape), fits, wanted.name)
    return obs if obs.dtype == wanted else obs.astype(wanted)


def _refuse(
    env: Environment, what: str, array: Any, n: int, shape: tuple[int, ...], fits: bool, wanted: str
) -> None:
    if array.shape != (n, *shape) or not fits:
        seen = f"{array.dtype}{list(array.shape[1:])}"
        raise UsageError(f"{env.id}: {what} is {seen}, it must be {wanted}{list(shape)}")


def _same_state(env: Environment, before: EnvState, after: EnvState) -> None:
    old, new = jax.tree.structure(before), jax.tree.structure(after)
    if old != new:
        raise UsageError(
            f"{env.id}: step returns a state of {new.num_leaves} arrays, {_short(new)}, it must "
            f"be as reset's, {_short(old)}"
        )
    leaves = jax.tree.leaves(before)
    for (path, leaf), was in zip(jax.tree_util.tree_leaves_with_path(after), leaves, strict=True):
        if _row(leaf) != _row(was):
            name = f"state{jax.tree_util.keystr(path)}"
            raise UsageError(
                f"{env.id}: step returns {name} as {_row(leaf)}, it must stay {_row(was)}"
            )


def _row(leaf: Any) -> str:
    dtype = leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
    return f"{dtype}{list(jnp.shape(leaf)[1:])}"


def _short(structure: Any) -> str:
    text = str(structure).removeprefix("PyTreeDef(").removesuffix(")")
    return text if len(text) < 60 else f"{text[:57]}..."


def _kind(value: Any) -> str:
    return f"{type(value).__name__} of {len(value)}" if type(value) is tuple else _named(value)


def _named(value: Any) -> str:
    return "an array" if hasattr(value, "dtype") else type(value).__name__
