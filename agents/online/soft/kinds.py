"""The two kinds of actions: networks, and expectations over the policy's actions.

A loss of SAC asks for E[min Q(s, a)] and E[ln pi(a|s)] under pi. With continuous actions both are
taken at one reparameterised draw, with discrete ones they are sums. Nothing else differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from gymnasium import spaces
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite import mlp, networks
from rlsuite.agents.online.off_policy.state import sizes
from rlsuite.distributions import Categorical, TanhGaussian
from rlsuite.mlp import Net


class Soft(NamedTuple):
    """A policy and critics at some observations.

    Attributes:
      q: min_i Q_i at the drawn action, or its mean over actions.
      log_prob: ln pi at the drawn action, or its mean over actions.
      dist: the policy.
      raw: the draw before tanh; empty with discrete actions.
    """

    q: Float[Array, " b"]
    log_prob: Float[Array, " b"]
    dist: TanhGaussian | Categorical
    raw: Array


@dataclass(frozen=True)
class Kind:
    """Networks and expectations of one kind of actions.

    Attributes:
      actor: obs -> distribution.
      critics: tuple of Q(s, a), or of Q(s, ·).
      value: V(s).
      entropy: what a target entropy is a multiple of: -d, or ln n.
      expect: (actor, critics, obs, key) -> `Soft`; differentiable in the actor.
      taken: (critics, obs, action) -> Q_i of the actions taken [n, b].
    """

    actor: Net
    critics: Net
    value: Net
    entropy: float
    expect: Callable[[PyTree, PyTree, Array, PRNGKeyArray], Soft]
    taken: Callable[[PyTree, Array, Array], Float[Array, "n b"]]


def make(static: Any, observation_space: Any, action_space: Any) -> Kind:
    """The kind that an environment's actions are of."""
    if isinstance(action_space, spaces.Discrete):
        return categorical(static, tuple(observation_space.shape), int(action_space.n))
    size = math.prod(action_space.shape)
    return gaussian(static, tuple(observation_space.shape), size)


def gaussian(static: Any, obs_shape: tuple[int, ...], size: int) -> Kind:
    """Tanh-normal policy on [-1, 1]^d."""
    shape, critic_shape = sizes(static)
    bounds = (static.log_std_min, static.log_std_max)
    actor = torso(
        static, obs_shape, lambda s: mlp.gaussian_actor(shape, s, size, static.log_std, bounds)
    )
    one = torso(static, obs_shape, lambda s: mlp.critic(critic_shape, s, size))
    value = torso(static, obs_shape, lambda s: mlp.critic(critic_shape, s, 0))
    critics = mlp.ensemble(one, 2)
    return Kind(actor, critics, value, -float(size), partial(draw, actor, critics), critics.apply)


def draw(
    actor: Net, critics: Net, params: PyTree, q_params: PyTree, obs: Array, key: PRNGKeyArray
) -> Soft:
    """At one reparameterised action tanh(mu + sigma eps) for each observation."""
    dist = cast(TanhGaussian, actor.apply(params, obs))
    raw = dist.sample(key)
    q = critics.apply(q_params, obs, jnp.tanh(raw)).min(0)
    return Soft(q, dist.log_prob(raw), dist, raw)


def categorical(static: Any, obs_shape: tuple[int, ...], n: int) -> Kind:
    """Softmax policy over n actions (Christodoulou, 2019)."""
    shape, critic_shape = sizes(static)
    logits = torso(static, obs_shape, lambda s: mlp.critic(shape, s, 0, n))
    actor = Net(logits.init, lambda params, obs: Categorical(logits.apply(params, obs)))
    value = torso(static, obs_shape, lambda s: mlp.critic(critic_shape, s, 0))
    critics = mlp.ensemble(torso(static, obs_shape, lambda s: mlp.critic(critic_shape, s, 0, n)), 2)

    def taken(q_params: PyTree, obs: Array, action: Array) -> Float[Array, "n b"]:
        return (critics.apply(q_params, obs) * jax.nn.one_hot(action, n)).sum(-1)

    return Kind(actor, critics, value, math.log(n), partial(average, actor, critics), taken)


def average(
    actor: Net, critics: Net, params: PyTree, q_params: PyTree, obs: Array, key: PRNGKeyArray
) -> Soft:
    """Sums over all actions; nothing is drawn."""
    dist = cast(Categorical, actor.apply(params, obs))
    log_p = jax.nn.log_softmax(dist.logits)
    p, q = jnp.exp(log_p), critics.apply(q_params, obs).min(0)
    return Soft((p * q).sum(-1), (p * log_p).sum(-1), dist, jnp.zeros(0))


def torso(static: Any, obs_shape: tuple[int, ...], build: Callable[[tuple[int, ...]], Net]) -> Net:
    """The net that `build` makes for observations of a shape; with 'cnn', on convolved ones."""
    if getattr(static, "network", "mlp") == "mlp":
        return build(obs_shape)
    conv = networks.Conv(static.init)
    height, width, _ = obs_shape
    head = build(((height - 2) * (width - 2) * 16,))

    def init(key: PRNGKeyArray) -> PyTree:
        conv_key, head_key = jax.random.split(key)
        return conv.init(conv_key, jnp.zeros(obs_shape)), head.init(head_key)

    def apply(params: PyTree, obs: Array, *rest: Array) -> Any:
        seen = conv.apply(params[0], networks.as_floats(obs, 3))
        return head.apply(params[1], seen, *rest)

    return Net(init, apply)
