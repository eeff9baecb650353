"""MDPO off-policy: SAC's core, whose policy also pays for leaving its older self."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from rlsuite.agents.cores import off_policy, replay_source, sac
from rlsuite.agents.cores.sac import Core, Regularizer, Scalar, Soft
from rlsuite.agents.online.mdpo_off.config import Config
from rlsuite.contracts.types import Agent, Context, Environment, Mode
from rlsuite.nn.distributions import Categorical, TanhGaussian, log_det_tanh, tsallis_log
from rlsuite.nn.mlp import Net

# Added to tanh's slope where q' is not 1.
SLOPE = 1e-6


def make(env: Environment, config: Config) -> Agent:
    """MDPO off-policy for an environment with continuous actions.

    Args:
      env: any `Environment` with a Box of actions.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static = config.static()
    heads = sac.make_heads(static, env.observation_space, env.action_space)
    mirror = regularizer(heads.actor, static.refresh_period)
    made = sac.algorithm("mdpo-off", Core(static, heads, mirror, None, static.updates))

    def act(actor: PyTree, obs: Array, key: PRNGKeyArray, mode: Mode) -> Array:
        if mode == "explore" and static.exploration == "greedy":
            mode = "greedy"
        return made.act(actor, obs, key, mode)

    learner = dataclasses.replace(made, act=act)
    return off_policy.make(env, config, learner, replay_source.make(env, config))


def regularizer(actor: Net, refresh_period: int) -> Regularizer:
    """MDPO's charges; the state is pi_k's parameters."""
    return Regularizer(
        init=partial(jax.tree.map, jnp.copy),
        policy=partial(policy_charge, actor),
        value=lambda soft, alpha, ctx: alpha * q_log(soft.dist, soft.raw, ctx.hp.tsallis),
        refresh=partial(refresh, refresh_period),
    )


def policy_charge(
    actor: Net, old: PyTree, soft: Soft, obs: Array, alpha: Scalar, ctx: Context
) -> Float[Array, " b"]:
    """(1/t) ln_q pi(a|s) + q' (lambda - 1/t) ln_q pi_k(a|s), and the heads' regularisation.

    Tomar et al., 2022, eq. 18 and appendix, as the released code has it. The gradient goes through
    a in both terms; pi_k's parameters are constant. 1/t = lambda, q' = 1: lambda ln pi(a|s).

    Args:
      actor: the policy's network.
      old: pi_k's parameters.
      soft: a policy's draw; carries the gradient.
      obs: where it was drawn.
      alpha: lambda.
      ctx: with kl_coef, tsallis and regularization.
    """
    hp, dist = ctx.hp, cast(TanhGaussian, soft.dist)
    new_log = q_log(dist, soft.raw, hp.tsallis)
    old_log = q_log(actor.apply(old, obs), soft.raw, hp.tsallis)
    size = jnp.square(dist.loc).mean() + jnp.square(dist.log_std).mean()
    return (
        hp.kl_coef * new_log
        + hp.tsallis * (alpha - hp.kl_coef) * old_log
        + hp.regularization * size
    )


def q_log(
    dist: TanhGaussian | Categorical, raw: Float[Array, "b d"], tsallis: Scalar
) -> Float[Array, " b"]:
    """sum_j ln_q p_j(a_j), q = 2 - q': of each action dimension's density, as the code does.

    ln_q(x) = (x^(1-q) - 1)/(1-q). Near its bound an action's density has no limit, being divided by
    tanh's slope: with q' = 2 the critic's loss passed 1e29 on Hopper. The code adds 1e-6 to that
    slope, and so does this unless q' is 1, which is SAC's logarithm as it stands. The code also
    holds densities above 1e-6, where their gradient is lost; this does not.

    Args:
      dist: a tanh-normal.
      raw: actions before tanh.
      tsallis: q'.
    """
    # A trailing axis makes every dimension a distribution of its own.
    apart = jax.tree.map(lambda x: x[..., None], dist)
    slope = log_det_tanh(raw)
    held = jnp.where(tsallis == 1, 0.0, jnp.logaddexp(slope, math.log(SLOPE)) - slope)
    return tsallis_log(apart.log_prob(raw[..., None]) - held, tsallis).sum(-1)


def refresh(period: int, old: PyTree, actor: PyTree, updates: Int[Array, ""]) -> PyTree:
    """pi_k <- pi at every `period`-th gradient step.

    Args:
      period: in gradient steps.
      old: pi_k's weights.
      actor: pi's.
      updates: gradient steps so far, the newest included.
    """
    due = updates % period == 0
    return jax.tree.map(lambda k, now: jnp.where(due, now, k), old, actor)
