"""A2PR: TD3's core, its actor kept near the better of two actions.

What guides it: V, a VAE of good actions, and the choice between two targets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from rlsuite.agents.cores import dataset_source, dpg, off_policy
from rlsuite.agents.cores.dpg import Behaviour, Report, Scene, normalized
from rlsuite.agents.offline.a2pr.config import Config
from rlsuite.contracts import box, metrics
from rlsuite.contracts.metrics import Metrics
from rlsuite.contracts.types import Agent, Context, Environment
from rlsuite.nn import mlp
from rlsuite.nn.mlp import Net
from rlsuite.ops import optim

# The authors' bounds of ln sigma; within them exp does not overflow.
LOG_STD = (-4.0, 15.0)


def make(env: Environment, config: Config) -> Agent:
    """A2PR for a dataset of an environment with continuous actions.

    Args:
      env: what the data belongs to.
      config: settings; traced fields are read from `ctx.hp`, not from here.
    """
    static = config.static()
    bound = parts(env, static)
    better = Behaviour(
        init=partial(init, bound),
        update=partial(update, bound),
        actor_loss=partial(actor_loss, bound),
    )
    learner = dpg.constrained("a2pr", env, static, better)
    return off_policy.make(env, config, learner, dataset_source.make(config))


def parts(env: Environment, static: Config) -> Parts:
    """V as deep as the critics, the VAE, and what to do with them."""
    actor, critic = off_policy.shapes(static)
    obs, size = tuple(env.observation_space.shape), box.size(env.action_space)
    return Parts(
        mlp.critic(critic, obs, 0),
        vae(replace(actor, hidden=static.vae_hidden), obs, size, static.latent or 2 * size),
        static.batch_size,
        static.choice,
        static.gate,
        static.select,
        static.detach_target,
    )


class Reconstruction(NamedTuple):
    """An action encoded and decoded.

    Attributes:
      action: [b, d] in [-1, 1].
      mean, log_std: [b, z], of the latent's normal distribution.
    """

    action: Float[Array, "b d"]
    mean: Float[Array, "b z"]
    log_std: Float[Array, "b z"]


@dataclass(frozen=True)
class Vae:
    """init: key -> params; apply: (params, obs[b, ...], action[b, d], key) -> Reconstruction."""

    init: Callable[[PRNGKeyArray], PyTree]
    apply: Callable[[PyTree, Array, Array, PRNGKeyArray], Reconstruction]


def vae(shape: mlp.Shape, obs_shape: tuple[int, ...], action_size: int, latent: int) -> Vae:
    """q(z | s, a) = N(mu, sigma) and a' = tanh(f(s, z)), z = mu + sigma N(0, I).

    Args:
      shape: of encoder and decoder.
      obs_shape, action_size: of what is encoded.
      latent: entries of z.
    """
    encoder = mlp.critic(shape, obs_shape, action_size, out=2 * latent)
    decoder = mlp.critic(shape, obs_shape, latent, out=action_size)

    def init(key: PRNGKeyArray) -> PyTree:
        encoder_key, decoder_key = jax.random.split(key)
        return {"encoder": encoder.init(encoder_key), "decoder": decoder.init(decoder_key)}

    def apply(params: PyTree, obs: Array, action: Array, key: PRNGKeyArray) -> Reconstruction:
        mean, log_std = jnp.split(encoder.apply(params["encoder"], obs, action), 2, -1)
        log_std = jnp.clip(log_std, *LOG_STD)
        z = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
        return Reconstruction(jnp.tanh(decoder.apply(params["decoder"], obs, z)), mean, log_std)

    return Vae(init, apply)


def divergence(mean: Float[Array, "*s"], log_std: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """KL(N(mean, exp(log_std)) || N(0, 1)), entry by entry."""
    return 0.5 * (jnp.square(mean) + jnp.exp(2 * log_std) - 1 - 2 * log_std)


class Guide(struct.PyTreeNode):
    """V and VAE with their optimisers; `v` is V of the newest minibatch before its step, which
    the actor's masks compare with."""

    value: PyTree
    value_opt: PyTree
    vae: PyTree
    vae_opt: PyTree
    v: Float[Array, " b"]


class Parts(NamedTuple):
    """The static pieces: two networks, and what the configuration says."""

    value: Net
    vae: Vae
    batch_size: int
    choice: str
    gate: bool
    select: bool
    detach_target: bool


def optimizers(ctx: Context) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """(V's, the VAE's)."""
    hp = ctx.hp
    return (
        optim.adam(hp.value_learning_rate, eps=hp.adam_epsilon),
        optim.adam(hp.vae_learning_rate, eps=hp.adam_epsilon),
    )


def init(parts: Parts, key: PRNGKeyArray, ctx: Context) -> Guide:
    """New networks.

    Args:
      parts: the static pieces.
      key: for V and the VAE.
      ctx: Adam's numbers are read.
    """
    value_key, vae_key = jax.random.split(key)
    value, vae = parts.value.init(value_key), parts.vae.init(vae_key)
    value_tx, vae_tx = optimizers(ctx)
    blank = jnp.zeros(parts.batch_size)
    return Guide(value, value_tx.init(value), vae, vae_tx.init(vae), blank)


def update(
    parts: Parts, state: Guide, x: Scene, key: PRNGKeyArray, ctx: Context
) -> tuple[Guide, Metrics]:
    """A step of V, then one of the VAE, in the order of the authors' A2PR.py.

    Args:
      parts: the static pieces.
      state: before both steps.
      x: the minibatch, and the critics after their step.
      key: of the VAE's latents.
      ctx: the traced hyperparameters.
    """
    state, of_value = value_step(parts, state, x, ctx)
    state, of_vae = vae_step(parts, state, x, key, ctx)
    return state, {**of_value, **of_vae}


def value_target(x: Scene) -> Float[Array, " b"]:
    """r + discount min over both critics and over both targets of them, at the a' of the critics'
    own target; stop-gradiented."""
    obs, action = x.batch.next_obs, x.next_action
    least = jnp.minimum(x.q(obs, action).min(0), x.q_target(obs, action).min(0))
    return jax.lax.stop_gradient(off_policy.bootstrapped(x.batch, least))


def value_step(parts: Parts, state: Guide, x: Scene, ctx: Context) -> tuple[Guide, Metrics]:
    """Down mean (V(s) - y)^2: a cautious one-step value of the data's action.

    Args:
      parts: with V's network.
      state: V moves; V(s) before the step is kept.
      x: the minibatch, the critics and their targets; constant.
      ctx: value_learning_rate and adam_epsilon are read.
    """
    y = value_target(x)

    def objective(value: PyTree) -> tuple[Float[Array, ""], Array]:
        v = parts.value.apply(value, x.batch.obs)
        return off_policy.critic_loss(v[None], y), v

    (loss, v), grads = jax.value_and_grad(objective, has_aux=True)(state.value)
    tx, _ = optimizers(ctx)
    updates, opt = tx.update(grads, state.value_opt)
    value = optax.apply_updates(state.value, updates)
    new = state.replace(value=value, value_opt=opt, v=v)
    return new, {"loss/value": metrics.mean(loss), "value/v": metrics.mean(v)}


def vae_step(
    parts: Parts, state: Guide, x: Scene, key: PRNGKeyArray, ctx: Context
) -> tuple[Guide, Metrics]:
    """Down mean (w m (a' - a)^2) + kl_weight KL, where m marks actions with Q1(s, a) > V(s).

    Squares and divergences are averaged over rows and entries; m is a constant, `state.v` that of
    before V's step.

    Args:
      parts: with the VAE and `select`.
      state: the VAE moves.
      x: the minibatch and Q1; constant.
      key: of the latents.
      ctx: vae_weight, kl_weight, advantage_threshold and Adam's numbers are read.
    """
    obs, action = x.batch.obs, x.batch.action
    good = x.q1(obs, action) > state.v + ctx.hp.advantage_threshold
    learned = good if parts.select else jnp.ones_like(good)

    def objective(vae: PyTree) -> Report:
        made = parts.vae.apply(vae, obs, action, key)
        square = (jnp.square(made.action - action) * learned[:, None]).mean()
        kl = divergence(made.mean, made.log_std).mean()
        loss = ctx.hp.vae_weight * square + ctx.hp.kl_weight * kl
        parted = {"loss/reconstruction": metrics.mean(square), "loss/kl": metrics.mean(kl)}
        return loss, {"loss/vae": metrics.mean(loss), **parted}

    grads, report = jax.grad(objective, has_aux=True)(state.vae)
    _, tx = optimizers(ctx)
    updates, opt = tx.update(grads, state.vae_opt)
    vae = optax.apply_updates(state.vae, updates)
    return state.replace(vae=vae, vae_opt=opt), {**report, "share/good": share(good)}


def share(mask: Bool[Array, " b"]) -> metrics.Mean:
    """Of rows."""
    return metrics.mean(mask.astype(jnp.float32))


class Aim(NamedTuple):
    """What each row regresses on.

    Attributes:
      action: [b, d].
      made: whether it is the VAE's.
      regressed: whether it does.
    """

    action: Float[Array, "b d"]
    made: Bool[Array, " b"]
    regressed: Bool[Array, " b"]


def aim(parts: Parts, v: Float[Array, " b"], made: Float[Array, "b d"], x: Scene) -> Aim:
    """The VAE's action where Q1 says it is no worse than the data's; a regression where Q1
    says either is better than V(s). Only the target itself carries a gradient.

    Args:
      parts: choice and gate are read.
      v: V(s).
      made: the VAE's action; may carry a gradient.
      x: with s, the data's action and Q1.
    """
    obs, data = x.batch.obs, x.batch.action
    q_made, q_data = x.q1(obs, jax.lax.stop_gradient(made)), x.q1(obs, data)
    chosen = q_made >= q_data
    if parts.choice != "advantage":
        chosen = jnp.full_like(chosen, parts.choice == "vae")
    regressed = (q_made >= v) | (q_data > v) if parts.gate else jnp.ones_like(chosen)
    chex.assert_equal_shape([made, data])
    chex.assert_equal_shape([q_made, q_data, v])
    return Aim(jnp.where(chosen[:, None], made, data), chosen, regressed)


def actor_loss(
    parts: Parts,
    state: Guide,
    action: Float[Array, "b d"],
    x: Scene,
    key: PRNGKeyArray,
    ctx: Context,
) -> Report:
    """-lambda mean Q1(s, p) + mask mean (m' (p - target)^2), p = mu(s), lambda = alpha / mean|Q1|:
    Liu et al., 2024, as in the authors' A2PR.py.

    The VAE encodes and decodes p itself, with noise; without `detach_target` the gradient passes
    through it too. Squares are averaged over rows and entries, lambda and m' are constants.

    Args:
      parts: with the VAE, `choice`, `gate` and `detach_target`.
      state: the VAE's weights and V(s) are read, as constants.
      action: p; carries the gradient.
      x: with s, the data's action and Q1, whose parameters are constant.
      key: of the latents.
      ctx: alpha and mask are read.
    """
    made = parts.vae.apply(state.vae, x.batch.obs, action, key).action
    if parts.detach_target:
        made = jax.lax.stop_gradient(made)
    to = aim(parts, state.v, made, x)
    regression = (jnp.square(action - to.action) * to.regressed[:, None]).mean()
    loss = normalized(x.q1(x.batch.obs, action), ctx.hp.alpha) + ctx.hp.mask * regression
    return loss, {
        "policy/distance": metrics.mean(jnp.square(action - x.batch.action)),
        "loss/regression": metrics.mean(regression),
        "share/vae": share(to.made),
        "share/gate": share(to.regressed),
    }
