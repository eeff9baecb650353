"""Actor-critic networks: MLP, CNN and GRU behind one interface, so that agents do not care which.

A `Network` offers `apply` for one step of acting and `unroll` for learning. Feed-forward nets have
an empty carry and `unroll` over any leading axes at once; the recurrent net takes time-major
sequences. Actor and critic share nothing in the MLP and CNN, and the recurrent core in the GRU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from rlsuite.contracts import box
from rlsuite.nn.distributions import Categorical, Distribution, Gaussian, TanhGaussian

Activation = Literal["tanh", "relu", "swish"]
ActionDistribution = Literal["gaussian", "tanh_gaussian"]
Init = Literal["orthogonal", "lecun_normal", "lecun_uniform", "torch"]
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": nn.tanh,
    "relu": nn.relu,
    "swish": nn.swish,
}


def as_floats(obs: Array, rank: int) -> Float[Array, "..."]:
    """Observations as networks take them: images' bytes are divided by 255.

    An image is of uint8 and has two axes or more. Everything else, MinAtar's planes of 0 and 1 and
    what an agent has standardised too, is only cast.

    Args:
      obs: [*b, ...].
      rank: axes of one observation.
    """
    floats = obs.astype(jnp.float32)
    return floats / 255.0 if obs.dtype == jnp.uint8 and rank > 1 else floats


class Output(NamedTuple):
    """What a network says of a batch of observations."""

    dist: Distribution
    value: Float[Array, "*b"]


@dataclass(frozen=True)
class Spec:
    """What decides a network's shapes; see `rlsuite.agents.online.ppo.Config` for the meanings."""

    kind: Literal["mlp", "cnn", "gru"] = "mlp"
    hidden: tuple[int, ...] = (64, 64)
    critic_hidden: tuple[int, ...] = ()
    rnn_size: int = 128
    activation: Activation = "tanh"
    init: Init = "orthogonal"
    distribution: ActionDistribution = "gaussian"


@dataclass(frozen=True)
class Network:
    """An actor-critic as pure functions.

    Attributes:
      init: key -> params.
      apply: (params, carry, obs[*b, ...], is_first[*b]) -> (Output, carry).
      unroll: (params, carry[n], obs[t, n, ...], is_first[t, n]) -> Output[t, n]; for feed-forward
        networks any leading axes, the carry ignored.
      carry: batch shape -> zeros an episode starts from (an empty tuple if feed-forward).
    """

    init: Callable[[PRNGKeyArray], PyTree]
    apply: Callable[[PyTree, PyTree, Array, Bool[Array, "*b"]], tuple[Output, PyTree]]
    unroll: Callable[[PyTree, PyTree, Array, Bool[Array, "t n"]], Output]
    carry: Callable[[tuple[int, ...]], PyTree]
    recurrent: bool


def _kernel(kind: Init, gain: float) -> nn.initializers.Initializer:
    if kind == "orthogonal":
        return nn.initializers.orthogonal(gain)
    if kind == "torch":  # U(±1/sqrt(fan_in)), whatever the gain
        return nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    return getattr(nn.initializers, kind)()


class Torso(nn.Module):
    """A stack of dense layers, hidden gain sqrt 2, zero bias."""

    hidden: Sequence[int]
    activation: Activation
    init_kind: Init

    @nn.compact
    def __call__(self, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        for size in self.hidden:
            x = nn.Dense(size, kernel_init=_kernel(self.init_kind, math.sqrt(2)))(x)
            x = ACTIVATIONS[self.activation](x)
        return x


class Conv(nn.Module):
    """MinAtar's convolution (Young and Tian, 2019): 16 filters of 3x3, stride 1, then flat.

    Written as a dense layer on 3x3 patches: XLA's own convolution and its gradients are many times
    slower on a CPU at this size.
    """

    init_kind: Init

    @nn.compact
    def __call__(self, x: Float[Array, "*b h w c"]) -> Float[Array, "*b d"]:
        height, width = x.shape[-3] - 2, x.shape[-2] - 2
        shifts = [(i, j) for i in range(3) for j in range(3)]
        patches = [x[..., i : i + height, j : j + width, :] for i, j in shifts]
        kernel = _kernel(self.init_kind, math.sqrt(2))
        x = nn.Dense(16, kernel_init=kernel)(jnp.concatenate(patches, -1))
        return nn.relu(x).reshape(*x.shape[:-3], -1)


class PolicyHead(nn.Module):
    """Logits, or a mean with a state-independent log standard deviation."""

    space: Any
    init_kind: Init
    distribution: ActionDistribution

    @nn.compact
    def __call__(self, h: Float[Array, "*b h"]) -> Distribution:
        kernel = _kernel(self.init_kind, 0.01)
        if isinstance(self.space, spaces.Discrete):
            logits = nn.Dense(int(self.space.n), kernel_init=kernel)(h)
            return Categorical(logits, int(self.space.start))
        size = box.size(self.space)
        loc = nn.Dense(size, kernel_init=kernel)(h)
        log_std = self.param("log_std", nn.initializers.zeros, (size,))
        kind = Gaussian if self.distribution == "gaussian" else TanhGaussian
        low, high = (tuple(np.ravel(bound).tolist()) for bound in (self.space.low, self.space.high))
        shape = tuple(self.space.shape)
        return kind(loc, jnp.broadcast_to(log_std, loc.shape), low, high, shape)


class FeedForward(nn.Module):
    """Separate actor and critic; observations of any rank are flattened or convolved."""

    spec: Spec
    obs_rank: int
    space: Any

    def setup(self) -> None:
        """Name the parts: flax's parameter names follow."""
        s = self.spec
        if s.kind == "cnn":
            self.actor_conv, self.critic_conv = Conv(s.init), Conv(s.init)
        self.actor = Torso(s.hidden, s.activation, s.init)
        self.critic = Torso(s.critic_hidden or s.hidden, s.activation, s.init)
        self.head = PolicyHead(self.space, s.init, s.distribution)
        self.value = nn.Dense(1, kernel_init=_kernel(s.init, 1.0))

    def __call__(self, obs: Array) -> Output:
        x = as_floats(obs, self.obs_rank)
        if self.spec.kind == "cnn":
            actor_in, critic_in = self.actor_conv(x), self.critic_conv(x)
        else:
            flat = x.reshape(*x.shape[: x.ndim - self.obs_rank], -1)
            actor_in = critic_in = flat
        dist = self.head(self.actor(actor_in))
        return Output(dist, self.value(self.critic(critic_in)).squeeze(-1))


class Recurrent(nn.Module):
    """Dense -> GRU -> heads; the hidden state is zeroed at the first step of an episode."""

    spec: Spec
    obs_rank: int
    space: Any

    @nn.compact
    def __call__(
        self, carry: Array, obs: Array, is_first: Bool[Array, "*b"]
    ) -> tuple[Array, Output]:
        s = self.spec
        x = as_floats(obs, self.obs_rank)
        x = x.reshape(*x.shape[: x.ndim - self.obs_rank], -1)
        carry = jnp.where(is_first[..., None], 0.0, carry)
        x = Torso((s.rnn_size,), "relu", s.init, name="embed")(x)
        carry, h = nn.GRUCell(s.rnn_size, name="gru")(carry, x)
        dist = PolicyHead(self.space, s.init, s.distribution, name="head")(
            Torso(s.hidden, s.activation, s.init, name="actor")(h)
        )
        critic = Torso(s.critic_hidden or s.hidden, s.activation, s.init, name="critic")(h)
        value = nn.Dense(1, kernel_init=_kernel(s.init, 1.0), name="value")(critic)
        return carry, Output(dist, value.squeeze(-1))


def make(spec: Spec, observation_space: Any, action_space: Any) -> Network:
    """Build the network for an environment's spaces.

    Args:
      spec: kind and sizes.
      observation_space: a Box of any rank (rank 3, H W C, for the CNN).
      action_space: Discrete or Box.
    """
    shape = tuple(observation_space.shape)
    build = _recurrent if spec.kind == "gru" else _feed_forward
    return build(spec, shape, action_space)


def _feed_forward(spec: Spec, shape: tuple[int, ...], action_space: Any) -> Network:
    module = FeedForward(spec, len(shape), action_space)

    def apply(params: PyTree, carry: PyTree, obs: Array, is_first: Array) -> tuple[Output, PyTree]:
        return cast(Output, module.apply(params, obs)), carry

    def unroll(params: PyTree, carry: PyTree, obs: Array, is_first: Array) -> Output:
        return cast(Output, module.apply(params, obs))

    return Network(
        init=lambda key: module.init(key, jnp.zeros(shape)),
        apply=apply,
        unroll=unroll,
        carry=lambda batch: (),
        recurrent=False,
    )


def _recurrent(spec: Spec, shape: tuple[int, ...], action_space: Any) -> Network:
    module = Recurrent(spec, len(shape), action_space)

    def carry(batch: tuple[int, ...]) -> Array:
        return jnp.zeros((*batch, spec.rnn_size))

    def apply(params: PyTree, h: PyTree, obs: Array, is_first: Array) -> tuple[Output, PyTree]:
        h, out = cast(tuple[Array, Output], module.apply(params, h, obs, is_first))
        return out, h

    def unroll(params: PyTree, h: PyTree, obs: Array, is_first: Array) -> Output:
        step = partial(module.apply, params)
        _, out = jax.lax.scan(lambda c, x: step(c, *x), h, (obs, is_first))
        return cast(Output, out)

    def init(key: PRNGKeyArray) -> PyTree:
        return module.init(key, carry((1,)), jnp.zeros((1, *shape)), jnp.zeros(1, bool))

    return Network(init, apply, unroll, carry, recurrent=True)
