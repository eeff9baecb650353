"""PPO: collect a rollout, compute advantages, take minibatch steps. Read from top to bottom."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from rlsuite import drift as drifts
from rlsuite import metrics, networks, normalize, optim, returns, shuffle, vector
from rlsuite.agents.online.ppo import losses
from rlsuite.agents.online.ppo.config import Config
from rlsuite.drift import Drift, Progress
from rlsuite.keys import Purpose, stream
from rlsuite.metrics import Metrics
from rlsuite.networks import Network
from rlsuite.normalize import Moments
from rlsuite.types import Agent, Carry, Context, Counters, Environment, Mode
from rlsuite.vector import Episodes, VectorEnv


class Policy(NamedTuple):
    """What acting needs: weights and the frozen normaliser."""

    params: PyTree
    obs_moments: Moments
    obs_clip: Float[Array, ""]


class State(struct.PyTreeNode):
    """Everything a run is: copy it and the run goes on from there, bit for bit."""

    params: PyTree
    opt_state: PyTree
    obs_moments: Moments
    reward_moments: Moments
    reward_sum: Float[Array, " n"]
    rule: PyTree
    env: PyTree
    obs: Array
    is_first: Bool[Array, " n"]
    carry: Carry
    obs_clip: Float[Array, ""]
    counters: Counters
    key: PRNGKeyArray


class Transition(NamedTuple):
    """One step of N environments; in a rollout with a leading time axis."""

    obs: Array
    is_first: Bool[Array, "*t n"]
    action: Array
    log_prob: Float[Array, "*t n"]
    value: Float[Array, "*t n"]
    dist: Any
    reward: Float[Array, "*t n"]
    terminated: Bool[Array, "*t n"]
    truncated: Bool[Array, "*t n"]
    final_value: Float[Array, "*t n"]
    episodes: Episodes


class Rollout(NamedTuple):
    """What `collect` hands to `learn`."""

    steps: Transition
    last_value: Float[Array, " n"]
    first_carry: Carry


class Parts(NamedTuple):
    """The static pieces the functions below are bound to."""

    static: Any
    envs: VectorEnv
    network: Network
    drift: Drift


def make(env: Environment, config: Config, drift: Drift | None = None) -> Agent:
    """PPO for an environment.

    Args:
      env: any `Environment`.
      config: settings; traced fields are read from `ctx.hp`, not from here.
      drift: replaces the one `config.drift` names, e.g. a learned one.
    """
    static: Any = config.static()
    spec = networks.Spec(
        static.network, static.hidden, static.critic_hidden, static.rnn_size,
        static.activation, static.init, static.action_distribution,
    )  # fmt: skip
    parts = Parts(
        static,
        vector.make(env, static.num_envs, static.reset, static.pool_size),
        networks.make(spec, env.observation_space, env.action_space),
        drift or named_drift(static.drift),
    )
    return Agent(
        name="ppo",
        env=env,
        config=config,
        steps_per_iteration=config.steps_per_iteration(),
        init=partial(init, parts, env.observation_space.shape),
        collect=partial(collect, parts),
        learn=partial(learn, parts),
        policy=policy,
        act=partial(act, parts),
        carry=parts.network.carry,
    )


def named_drift(name: str) -> Drift:
    """The drift a configuration names."""
    return {
        "clip": drifts.clip,
        "kl": drifts.kl,
        "kl_fixed": partial(drifts.kl, adaptive=False),
        "dpo": drifts.dpo,
        "none": drifts.none,
    }[name]()


def init(
    parts: Parts, obs_shape: tuple[int, ...], key: PRNGKeyArray, ctx: Context, warm: Any = None
) -> State:
    """The state before the first step. `warm` is a `Policy` to start from."""
    n = parts.static.num_envs
    warm = jax.tree.map(jnp.copy, warm)
    params = parts.network.init(stream(key, Purpose.INIT)) if warm is None else warm.params
    env, obs = parts.envs.reset(stream(key, Purpose.RESET), ctx.env_params)
    return State(
        params=params,
        opt_state=optimizer(parts, ctx, jnp.float32(0)).init(params),
        obs_moments=normalize.init(obs_shape) if warm is None else warm.obs_moments,
        reward_moments=normalize.init(()),
        reward_sum=jnp.zeros(n),
        rule=parts.drift.init(stream(key, Purpose.RULE), ctx),
        env=env,
        obs=obs,
        is_first=jnp.ones(n, bool),
        carry=parts.network.carry((n,)),
        obs_clip=jnp.array(ctx.hp.observation_clip, jnp.float32),
        counters=Counters.zero(),
        # Copies: a caller who donates the state keeps its own key and warm start.
        key=jnp.copy(key),
    )


def policy(state: State) -> Policy:
    """What `act` needs of a state."""
    return Policy(state.params, state.obs_moments, state.obs_clip)


def act(
    parts: Parts,
    policy: Policy,
    carry: Carry,
    obs: Array,
    is_first: Bool[Array, "*b"],
    key: PRNGKeyArray,
    mode: Mode,
) -> tuple[Array, Carry]:
    """The environment's action for each observation; 'explore' is 'sample'."""
    out, carry = parts.network.apply(policy.params, carry, normalized(parts, policy, obs), is_first)
    raw = out.dist.mode() if mode == "greedy" else out.dist.sample(key)
    return out.dist.to_env(raw), carry


def normalized(parts: Parts, policy: Policy, obs: Array) -> Array:
    """Observations as the network sees them."""
    if not parts.static.normalize_observations:
        return obs
    return normalize.normalize(policy.obs_moments, obs, policy.obs_clip)


# --- acting ---------------------------------------------------------------------------------------


def collect(parts: Parts, state: State, ctx: Context) -> tuple[State, Rollout]:
    """T steps of N environments with the current policy; statistics stay frozen."""
    key = stream(state.key, Purpose.COLLECT, state.counters.collects)
    pool_key, key = jax.random.split(key)
    first_carry = state.carry
    frozen = jax.lax.stop_gradient(policy(state))
    start = state.replace(env=parts.envs.refresh(pool_key, state.env, ctx.env_params))
    body = partial(act_and_step, parts, ctx, frozen)
    state, steps = jax.lax.scan(body, start, jax.random.split(key, parts.static.num_steps))
    out, _ = parts.network.apply(
        frozen.params, state.carry, normalized(parts, frozen, state.obs), state.is_first
    )
    taken = state.counters.env_steps + parts.static.num_steps * parts.static.num_envs
    counters = state.counters.replace(env_steps=taken, collects=state.counters.collects + 1)
    return state.replace(counters=counters), Rollout(steps, out.value, first_carry)


def act_and_step(
    parts: Parts, ctx: Context, frozen: Policy, state: State, key: PRNGKeyArray
) -> tuple[State, Transition]:
    """Select actions, step, and value the true final observation of truncated episodes."""
    act_key, env_key = jax.random.split(key)
    apply = partial(parts.network.apply, frozen.params)
    out, carry = apply(state.carry, normalized(parts, frozen, state.obs), state.is_first)
    action = out.dist.sample(act_key)
    env, step = parts.envs.step(env_key, state.env, out.dist.to_env(action), ctx.env_params)
    done = step.terminated | step.truncated

    def value_of_final() -> Array:
        seen = normalized(parts, frozen, step.final_obs)
        return apply(carry, seen, jnp.zeros_like(done))[0].value

    # Without a time limit in this step (most steps) the second critic pass is skipped.
    final_value = jax.lax.cond(
        step.truncated.any(), value_of_final, lambda: jnp.zeros_like(out.value)
    )
    transition = Transition(
        state.obs, state.is_first, action, out.dist.log_prob(action), out.value, out.dist,
        step.reward, step.terminated, step.truncated, final_value, step.episodes,
    )  # fmt: skip
    return state.replace(env=env, obs=step.obs, is_first=done, carry=carry), transition


# --- learning -------------------------------------------------------------------------------------


def learn(parts: Parts, state: State, batch: Rollout, ctx: Context) -> tuple[State, Metrics]:
    """Advantages, then `epochs` passes of minibatch steps; statistics are merged afterwards."""
    state, steps = scale_rewards(parts, state, batch.steps, ctx)
    sample = advantages(parts, steps, batch.last_value, ctx)
    obs = normalized(parts, policy(state), steps.obs)
    flat = flatten(parts, (obs, steps.is_first, sample))
    iteration = state.counters.iterations
    progress = Progress(iteration / ctx.horizon, ctx.horizon)
    tx = optimizer(parts, ctx, progress.fraction)
    step = partial(gradient_step, parts, ctx, tx, state.rule, progress, flat, batch.first_carry)

    def epoch(carry: tuple[PyTree, PyTree], key: PRNGKeyArray) -> tuple[Any, losses.Terms]:
        return jax.lax.scan(step, carry, minibatch_indices(parts, key))

    keys = jax.random.split(stream(state.key, Purpose.LEARN, iteration), parts.static.epochs)
    (params, opt_state), terms = jax.lax.scan(epoch, (state.params, state.opt_state), keys)
    moments = state.obs_moments
    if parts.static.normalize_observations:
        moments = normalize.update(moments, steps.obs)
    new = state.replace(
        params=params,
        opt_state=opt_state,
        obs_moments=moments,
        rule=parts.drift.adapt(state.rule, terms.kl[-1].mean(), ctx),
        counters=state.counters.replace(iterations=iteration + 1),
    )
    return new, report(batch, sample, terms)


def scale_rewards(
    parts: Parts, state: State, steps: Transition, ctx: Context
) -> tuple[State, Transition]:
    """Reward scaling and normalisation; the statistics see this rollout before it is scaled."""
    reward = steps.reward * ctx.hp.reward_scale
    if parts.static.normalize_rewards:
        done = steps.terminated | steps.truncated
        g, sums = normalize.discounted_sums(state.reward_sum, reward, done, ctx.hp.gamma)
        moments = normalize.update(state.reward_moments, sums)
        reward = normalize.scale_reward(moments, reward, ctx.hp.reward_clip)
        state = state.replace(reward_sum=g, reward_moments=moments)
    return state, steps._replace(reward=reward)


def advantages(
    parts: Parts, steps: Transition, last_value: Float[Array, " n"], ctx: Context
) -> losses.Sample:
    """GAE with the value of the true final observation at time limits."""
    ended = steps.terminated | steps.truncated
    worthless = ended if parts.static.time_limits == "terminal" else steps.terminated
    discount = jnp.where(worthless, 0.0, ctx.hp.gamma)
    v_t = returns.next_values(steps.value, last_value, steps.final_value, steps.truncated)
    adv = returns.gae(steps.reward, discount, steps.value, v_t, ~ended, ctx.hp.gae_lambda)
    target = adv + steps.value
    if parts.static.advantage_normalization == "batch":
        adv = losses.standardize(adv)
    return losses.Sample(steps.action, steps.log_prob, steps.value, steps.dist, adv, target)


def gradient_step(
    parts: Parts,
    ctx: Context,
    tx: optax.GradientTransformation,
    rule: PyTree,
    progress: Progress,
    flat: tuple[Array, Array, losses.Sample],
    first_carry: Carry,
    carry: tuple[PyTree, PyTree],
    rows: Array,
) -> tuple[tuple[PyTree, PyTree], losses.Terms]:
    """One Adam step on the minibatch `rows`."""
    params, opt_state = carry
    axis = 1 if parts.network.recurrent else 0
    obs, is_first, sample = jax.tree.map(lambda x: jnp.take(x, rows, axis), flat)
    h = jax.tree.map(lambda x: jax.lax.stop_gradient(x[rows]), first_carry)

    def objective(params: PyTree) -> tuple[Float[Array, ""], losses.Terms]:
        out = parts.network.unroll(params, h, obs, is_first)
        return losses.loss(
            out, sample, rule, progress, ctx, drift_=parts.drift, static=parts.static
        )

    grads, terms = jax.grad(objective, has_aux=True)(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), opt_state), terms


def flatten(parts: Parts, tree: PyTree) -> PyTree:
    """[t, n, ...] -> [t*n, ...]; a recurrent network keeps its time axis."""
    if parts.network.recurrent:
        return tree
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)


def minibatch_indices(parts: Parts, key: PRNGKeyArray) -> Array:
    """[minibatches, size] rows of one epoch: transitions, or whole environments if recurrent."""
    s = parts.static
    n = s.num_envs if parts.network.recurrent else s.num_envs * s.num_steps
    return shuffle.permutation(key, n).reshape(s.minibatches, -1)


def optimizer(
    parts: Parts, ctx: Context, fraction: Float[Array, ""]
) -> optax.GradientTransformation:
    """Adam with the annealed step size of this iteration."""
    hp, s = ctx.hp, parts.static
    rate = hp.learning_rate * (1 - fraction) if s.anneal_learning_rate else hp.learning_rate
    return optim.adam(
        rate, b1=hp.adam_b1, b2=hp.adam_b2, eps=hp.adam_epsilon,
        clip=s.gradient_clip, max_grad=hp.max_grad_norm,
    )  # fmt: skip


def report(batch: Rollout, sample: losses.Sample, terms: losses.Terms) -> Metrics:
    """What an iteration says of itself."""
    ended = batch.steps.episodes
    residual = (sample.target - sample.value).var()
    return {
        "train/return": metrics.mean(ended.returns, where=ended.finished),
        "train/length": metrics.mean(ended.lengths, where=ended.finished),
        "loss/policy": metrics.mean(terms.policy),
        "loss/value": metrics.mean(terms.value),
        "policy/entropy": metrics.mean(terms.entropy),
        "policy/kl": metrics.mean(terms.kl),
        "policy/clip_fraction": metrics.mean(terms.clip_fraction),
        "value/explained_variance": metrics.mean(1 - residual / (sample.target.var() + 1e-8)),
    }
