"""Plain multilayer perceptrons, actors and critics of off-policy agents.

Parameters are flax's; `Net` is a module as pure functions. Twin and larger ensembles of critics are
tuples of parameter trees: members are independent, and `params[0]` is Q1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rlsuite.nn.distributions import TanhGaussian
from rlsuite.nn.layer_norm import LayerNorm
from rlsuite.nn.networks import as_floats

Init = Literal["torch", "orthogonal", "lecun_normal", "lecun_uniform"]
Activation = Literal["relu", "tanh", "swish", "elu"]
LogStd = Literal["tanh", "clip", "softplus"]
NormPlace = Literal["before", "after"]
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": nn.relu,
    "tanh": nn.tanh,
    "swish": nn.swish,
    "elu": nn.elu,
}


@dataclass(frozen=True)
class Net:
    """A module as pure functions: init: key -> params; apply: (params, *inputs) -> outputs."""

    init: Callable[[PRNGKeyArray], PyTree]
    apply: Callable[..., Any]


class Linear(nn.Module):
    """A dense layer. `torch` draws weight and bias from U(±1/sqrt(fan_in)), the others zero the
    bias; `scale` multiplies what is drawn. With a `bound` both are drawn from U(±bound) whatever
    `init_kind` says; with a `bias` all biases start there."""

    size: int
    init_kind: Init
    scale: float = 1.0
    bound: float | None = None
    bias: float | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "*b i"]) -> Float[Array, "*b o"]:
        bound = self.scale / math.sqrt(x.shape[-1])
        kernels: dict[str, Any] = {
            "torch": partial(uniform, bound=bound),
            "orthogonal": nn.initializers.orthogonal(math.sqrt(2) * self.scale),
            "lecun_normal": nn.initializers.variance_scaling(
                self.scale**2, "fan_in", "truncated_normal"
            ),
            "lecun_uniform": nn.initializers.variance_scaling(self.scale**2, "fan_in", "uniform"),
        }
        kernel = kernels[self.init_kind]
        bias: Any = partial(uniform, bound=bound) if self.init_kind == "torch" else nn.zeros
        if self.bound is not None:
            kernel = bias = partial(uniform, bound=self.bound)
        if self.bias is not None:
            bias = nn.initializers.constant(self.bias)
        return nn.Dense(self.size, kernel_init=kernel, bias_init=bias)(x)


def uniform(key: PRNGKeyArray, shape: Any, dtype: Any = jnp.float32, *, bound: float) -> Array:
    """U(-bound, bound)."""
    return jax.random.uniform(key, shape, dtype, -bound, bound)


class MLP(nn.Module):
    """Hidden layers, optionally with LayerNorm around each activation, and a linear output.

    `hidden_bias` and `out_bound` overrule `init_kind`, see `Linear`.
    """

    hidden: Sequence[int]
    out: int
    activation: Activation = "relu"
    init_kind: Init = "torch"
    layer_norm: bool = False
    out_scale: float = 1.0
    norm_place: NormPlace = "before"
    hidden_bias: float | None = None
    out_bound: float | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "*b i"]) -> Float[Array, "*b o"]:
        for size in self.hidden:
            x = Linear(size, self.init_kind, bias=self.hidden_bias)(x)
            if self.layer_norm and self.norm_place == "before":
                x = LayerNorm()(x)
            x = ACTIVATIONS[self.activation](x)
            if self.layer_norm and self.norm_place == "after":
                x = LayerNorm()(x)
        return Linear(self.out, self.init_kind, self.out_scale, self.out_bound)(x)


@dataclass(frozen=True)
class Shape:
    """What decides the layers of a network.

    Attributes:
      hidden, activation: sizes of the hidden layers, and what follows each.
      init: how weights and biases start.
      layer_norm, norm_place: whether hidden layers have LayerNorm, and on which side of the
        activation.
      hidden_bias: what biases of hidden layers start from; None: as `init` says.
      out_bound: the output layer's weights and biases start from U(±out_bound); None: as `init`
        says.
    """

    hidden: tuple[int, ...] = (256, 256)
    activation: Activation = "relu"
    init: Init = "torch"
    layer_norm: bool = False
    norm_place: NormPlace = "before"
    hidden_bias: float | None = None
    out_bound: float | None = None

    def mlp(self, out: int, out_scale: float = 1.0) -> MLP:
        """The module with `out` outputs."""
        return MLP(
            self.hidden, out, self.activation, self.init, self.layer_norm, out_scale,
            self.norm_place, self.hidden_bias, self.out_bound,
        )  # fmt: skip


def flat(obs: Array, rank: int) -> Float[Array, "*b d"]:
    """Observations of any rank as float vectors, see `networks.as_floats`."""
    return as_floats(obs, rank).reshape(*obs.shape[: obs.ndim - rank], -1)


def critic(shape: Shape, obs_shape: tuple[int, ...], action_size: int, out: int = 0) -> Net:
    """Q(s, a), or V(s) with `action_size` 0, or Q(s, ·) with `out` actions.

    apply: (params, obs[*b, ...]) or (params, obs[*b, ...], action[*b, d]) -> [*b], or [*b, out].
    """
    module, rank = shape.mlp(out or 1), len(obs_shape)

    def apply(params: PyTree, obs: Array, *action: Array) -> Array:
        x = jnp.concatenate([flat(obs, rank), *action], -1)
        y = cast(Array, module.apply(params, x))
        return y if out else y.squeeze(-1)

    size = math.prod(obs_shape) + action_size
    return Net(lambda key: module.init(key, jnp.zeros(size)), apply)


def ensemble(net: Net, n: int) -> Net:
    """n independent copies: params is a tuple, apply returns [n, *b].

    Products of the members are separate: on a CPU the gradient of two or ten critics (256 wide,
    batch 256) takes a tenth to a fifth less time so than with batched products.
    """

    def init(key: PRNGKeyArray) -> tuple[PyTree, ...]:
        return tuple(net.init(k) for k in jax.random.split(key, n))

    def apply(params: tuple[PyTree, ...], *inputs: Array) -> Array:
        return jnp.stack([net.apply(p, *inputs) for p in params])

    return Net(init, apply)


def deterministic_actor(shape: Shape, obs_shape: tuple[int, ...], action_size: int) -> Net:
    """mu(s) = tanh(f(s)) in [-1, 1]. apply: (params, obs[*b, ...]) -> [*b, d]."""
    module, rank = shape.mlp(action_size), len(obs_shape)

    def apply(params: PyTree, obs: Array) -> Float[Array, "*b d"]:
        return jnp.tanh(cast(Array, module.apply(params, flat(obs, rank))))

    return Net(lambda key: module.init(key, jnp.zeros(math.prod(obs_shape))), apply)


def gaussian_actor(
    shape: Shape,
    obs_shape: tuple[int, ...],
    action_size: int,
    log_std: LogStd,
    bounds: tuple[float, float],
) -> Net:
    """tanh(N(mu(s), sigma(s))) on [-1, 1]^d, both heads on one trunk.

    ln sigma is a squashed (`tanh`) or clipped output within `bounds`, or ln(softplus + bounds[0]'s
    exponential) as in brax. apply: (params, obs[*b, ...]) -> TanhGaussian.
    """
    module, rank = shape.mlp(2 * action_size), len(obs_shape)
    low, high = bounds

    def apply(params: PyTree, obs: Array) -> TanhGaussian:
        loc, raw = jnp.split(cast(Array, module.apply(params, flat(obs, rank))), 2, -1)
        if log_std == "tanh":
            scale = low + 0.5 * (high - low) * (jnp.tanh(raw) + 1)
        elif log_std == "clip":
            scale = jnp.clip(raw, low, high)
        else:
            scale = jnp.log(jax.nn.softplus(raw) + math.exp(low))
        return TanhGaussian(loc, scale, (-1.0,) * action_size, (1.0,) * action_size)

    return Net(lambda key: module.init(key, jnp.zeros(math.prod(obs_shape))), apply)


def polyak(target: PyTree, online: PyTree, tau: float | Float[Array, ""]) -> PyTree:
    """(1 - tau) target + tau online, leaf by leaf."""
    return jax.tree.map(lambda t, o: t + tau * (o - t), target, online)
