"""Evaluation: a fixed number of whole episodes, its own program, its own key stream."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rlsuite.acting import vector
from rlsuite.contracts.types import Agent, EnvParams, Mode, PolicyParams

# For environments without a time limit: an evaluation must end.
DEFAULT_STEP_LIMIT = 10_000


class Evaluation(NamedTuple):
    """Returns and lengths of E episodes; `finished` is False where the step limit cut one."""

    returns: Float[Array, " e"]
    lengths: Int[Array, " e"]
    finished: Bool[Array, " e"]


def summary(out: Evaluation) -> dict[str, float]:
    """An evaluation on the host as numbers for a row; the share of episodes that the step limit cut
    only where there are some."""
    with np.errstate(invalid="ignore", over="ignore"):
        values = {
            "eval/return": float(out.returns.mean()),
            "eval/return_std": float(out.returns.std()),
            "eval/length": float(out.lengths.mean()),
        }
    if not out.finished.all():
        values["eval/unfinished"] = float((~out.finished).mean())
    return values


def evaluate(
    agent: Agent,
    policy: PolicyParams,
    key: PRNGKeyArray,
    env_params: EnvParams,
    *,
    episodes: int,
    mode: Mode | None = None,
    step_limit: int | None = None,
) -> Evaluation:
    """Play `episodes` episodes side by side, each from a fresh reset, none counted twice.

    The loop ends when the last episode has: its cost is bounded by the environment's time limit
    (or `step_limit`). Statistics in `policy` are used as they are.

    Args:
      agent: whose `act` is used.
      policy: from `agent.policy(state)`.
      key: of the evaluation stream, never the training one.
      env_params: of the environment evaluated on.
      episodes: how many.
      mode: greedy or sample; default: how the agent's own paper evaluates.
      step_limit: replaces the environment's time limit as bound.
    """
    env = agent.env
    chosen: Mode = mode or agent.evaluation_mode
    limit = step_limit or env.time_limit or DEFAULT_STEP_LIMIT
    envs = vector.make(env, episodes)
    reset_key, loop_key = jax.random.split(key)
    state, obs = envs.reset(reset_key, env_params)

    def unfinished(loop: tuple) -> Bool[Array, ""]:
        t, *_, alive, _ = loop
        return (t < limit) & alive.any()

    def body(loop: tuple) -> tuple:
        t, state, obs, first, carry, alive, result = loop
        act_key, env_key = jax.random.split(jax.random.fold_in(loop_key, t))
        action, carry = agent.act(policy, carry, obs, first, act_key, chosen)
        state, step = envs.step(env_key, state, action, env_params)
        ended = alive & step.episodes.finished
        result = Evaluation(
            result.returns + jnp.where(alive, step.reward, 0.0),
            result.lengths + alive,
            result.finished | ended,
        )
        return t + 1, state, step.obs, step.episodes.finished, carry, alive & ~ended, result

    zeros = jnp.zeros(episodes)
    start = Evaluation(zeros, zeros.astype(jnp.int32), zeros.astype(bool))
    first = jnp.ones(episodes, bool)
    loop = (jnp.int32(0), state, obs, first, agent.carry((episodes,)), first, start)
    return jax.lax.while_loop(unfinished, body, loop)[-1]
