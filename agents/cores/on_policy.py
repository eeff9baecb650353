"""Learning from rollouts: what PPO, MDPO and TRPO share.

In reading order: what is passed around; `make`, the agent from its pieces; acting for a rollout;
advantages and samples; the pieces of the losses; back to the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import chex
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from rlsuite.acting import vector
from rlsuite.acting.check import check_bounded
from rlsuite.acting.vector import Episodes, VectorEnv
from rlsuite.agents.cores.on_policy_config import OnPolicy
from rlsuite.contracts import metrics
from rlsuite.contracts.keys import Purpose, stream
from rlsuite.contracts.metrics import Metric, Metrics
from rlsuite.contracts.types import Agent, Carry, Context, Counters, Environment, Mode
from rlsuite.nn import networks
from rlsuite.nn.distributions import Distribution
from rlsuite.nn.networks import Network
from rlsuite.ops import drift, normalize, optim, returns
from rlsuite.ops.drift import Drift, DriftInput, Progress
from rlsuite.ops.normalize import Moments

Scalar = Float[Array, ""] | float
ConfigT = TypeVar("ConfigT", bound=OnPolicy)


class Policy(NamedTuple):
    """What acting needs: weights and the frozen normaliser."""

    params: PyTree
    obs_moments: Moments
    obs_clip: Float[Array, ""]


class State(struct.PyTreeNode):
    """Everything a run is: copy it and the run goes on from there, bit for bit.

    `opt_state` is one optimiser's or several', as the agent's `start` makes it; `rule` the drift's.
    """

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
    dist: Distribution
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


@dataclass(frozen=True)
class Parts(Generic[ConfigT]):
    """The static pieces the functions below are bound to."""

    static: ConfigT
    envs: VectorEnv
    network: Network
    drift: Drift


class Sample(NamedTuple):
    """What the loss needs of each transition, all from the rollout: constants of the parameters."""

    action: Array
    log_prob: Float[Array, "*b"]
    value: Float[Array, "*b"]
    dist: Distribution
    advantage: Float[Array, "*b"]
    target: Float[Array, "*b"]


class PolicyTerms(NamedTuple):
    """The policy's loss and entropy, and log(pi/pi_old) of every sample."""

    loss: Float[Array, ""]
    entropy: Float[Array, ""]
    log_ratio: Float[Array, "*b"]


class Samples(NamedTuple):
    """Samples and what the network is shown of them; [t, n, ...], or [t*n, ...] once flat."""

    obs: Array
    is_first: Bool[Array, "*b"]
    sample: Sample


@runtime_checkable
class Start(Protocol[ConfigT]):
    """How an agent's optimisers start."""

    def __call__(self, parts: Parts[ConfigT], ctx: Context, params: PyTree, /) -> PyTree:
        """The first state of one optimiser or several."""
        ...


@runtime_checkable
class Learn(Protocol[ConfigT]):
    """An agent's update."""

    def __call__(
        self, parts: Parts[ConfigT], state: State, rollout: Rollout, ctx: Context, /
    ) -> tuple[State, Metrics]:
        """(the state after an iteration, what it says of itself)."""
        ...


def make(
    name: str,
    env: Environment,
    config: ConfigT,
    drift: Drift,
    start: Start[ConfigT],
    learn: Learn[ConfigT],
) -> Agent:
    """An on-policy agent for an environment.

    Args:
      name: the registry's.
      env: any `Environment`.
      config: an `OnPolicy`; traced fields are read from `ctx.hp`, not from here.
      drift: what holds the new policy near the old.
      start: (parts, ctx, params) -> the optimisers' first state.
      learn: (parts, state, rollout, ctx) -> (state, metrics).
    """
    static = config.static()
    if static.action_distribution != "gaussian":
        check_bounded(f"action_distribution {static.action_distribution!r}", env)
    spec = networks.Spec(
        static.network, static.hidden, static.critic_hidden, static.rnn_size,
        static.activation, static.init, static.action_distribution,
    )  # fmt: skip
    parts = Parts(
        static,
        vector.make(env, static.num_envs, static.reset, static.pool_size),
        networks.make(spec, env.observation_space, env.action_space),
        drift,
    )
    return Agent(
        name=name,
        env=env,
        config=config,
        steps_per_iteration=config.steps_per_iteration(),
        init=partial(init, parts, start, env.observation_space.shape),
        collect=partial(collect, parts),
        learn=partial(learn, parts),
        policy=policy,
        act=partial(act, parts),
        carry=parts.network.carry,
    )


def init(
    parts: Parts[ConfigT],
    start: Start[ConfigT],
    obs_shape: tuple[int, ...],
    key: PRNGKeyArray,
    ctx: Context,
    warm: Policy | None = None,
) -> State:
    """The state before the first step.

    Args:
      parts: the static pieces.
      start: makes the optimisers' first state.
      obs_shape: of one observation.
      key: of the run; kept in the state.
      ctx: env_params and observation_clip are read, and what `start` and the drift need.
      warm: a `Policy` to start from, copied; None: fresh weights, nothing seen.
    """
    n = parts.static.num_envs
    warm = jax.tree.map(jnp.copy, warm)
    params = parts.network.init(stream(key, Purpose.INIT)) if warm is None else warm.params
    env, obs = parts.envs.reset(stream(key, Purpose.RESET), ctx.env_params)
    return State(
        params=params,
        opt_state=start(parts, ctx, params),
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


def normalized(parts: Parts[ConfigT], policy: Policy, obs: Array) -> Array:
    """Observations as the network sees them.

    Args:
      parts: normalize_observations is read.
      policy: with the statistics, which are stop-gradiented, and their clip.
      obs: [..., *o] as the environment gives them.
    """
    if not parts.static.normalize_observations:
        return obs
    return normalize.normalize(policy.obs_moments, obs, policy.obs_clip)


def optimizer(
    parts: Parts[ConfigT], ctx: Context, rate: Scalar, fraction: Scalar
) -> optax.GradientTransformation:
    """Adam with the annealed step size of this iteration.

    Args:
      parts: with anneal_learning_rate and gradient_clip.
      ctx: with Adam's numbers.
      rate: the step size at the start of the run.
      fraction: how much of the run is done.
    """
    hp, s = ctx.hp, parts.static
    rate = rate * (1 - fraction) if s.anneal_learning_rate else rate
    return optim.adam(
        rate, b1=hp.adam_b1, b2=hp.adam_b2, eps=hp.adam_epsilon,
        clip=s.gradient_clip, max_grad=hp.max_grad_norm,
    )  # fmt: skip


def act(
    parts: Parts[ConfigT],
    policy: Policy,
    carry: Carry,
    obs: Array,
    is_first: Bool[Array, "*b"],
    key: PRNGKeyArray,
    mode: Mode,
) -> tuple[Array, Carry]:
    """The environment's action for each observation; 'explore' is 'sample'.

    Args:
      parts: with the network.
      policy: weights and the frozen normaliser.
      carry: the memory of a recurrent network, of every row.
      obs: [*b, ...] as the environment gives them.
      is_first: where an episode begins: the memory is cleared there before the step.
      key: of the draw.
      mode: 'greedy' takes the mode, the others draw.
    """
    out, carry = parts.network.apply(policy.params, carry, normalized(parts, policy, obs), is_first)
    raw = out.dist.mode() if mode == "greedy" else out.dist.sample(key)
    return out.dist.to_env(raw), carry


def collect(parts: Parts[ConfigT], state: State, ctx: Context) -> tuple[State, Rollout]:
    """T steps of N environments with the current policy; statistics stay frozen.

    Args:
      parts: num_steps and num_envs are read.
      state: its policy acts, stop-gradiented.
      ctx: env_params is read.

    Returns:
      (the state that has acted, the rollout [t, n, ...]). `last_value` is V of the observation
      after it.
    """
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
    parts: Parts[ConfigT], ctx: Context, frozen: Policy, state: State, key: PRNGKeyArray
) -> tuple[State, Transition]:
    """Select actions, step, and value the true final observation of truncated episodes.

    Args:
      parts: with the environments and the network.
      ctx: env_params is read.
      frozen: the policy that acts, stop-gradiented.
      state: its environments, observations and memory move on.
      key: for the actions and for the environments.

    Returns:
      (the state, one step [n, ...]). `action` is as drawn, before `to_env`; `final_value` means
      nothing but where an episode was truncated.
    """
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


def prepare(
    parts: Parts[ConfigT], state: State, rollout: Rollout, ctx: Context
) -> tuple[State, Samples]:
    """Scaled rewards, advantages, observations as the rollout's network saw them: [t, n, ...].

    Args:
      parts: the static pieces.
      state: after `collect`; its observation statistics are still those of acting.
      rollout: with the environment's own rewards.
      ctx: gamma, gae_lambda, reward_scale and reward_clip are read.
    """
    state, steps = scale_rewards(parts, state, rollout.steps, ctx)
    sample = advantages(parts, steps, rollout.last_value, ctx)
    return state, Samples(normalized(parts, policy(state), steps.obs), steps.is_first, sample)


def scale_rewards(
    parts: Parts[ConfigT], state: State, steps: Transition, ctx: Context
) -> tuple[State, Transition]:
    """Reward scaling and normalisation; the statistics see this rollout before it is scaled.

    Args:
      parts: normalize_rewards is read.
      state: the discounted sums and their moments go on from here.
      steps: with the environment's own rewards.
      ctx: gamma, reward_scale and reward_clip are read.
    """
    reward = steps.reward * ctx.hp.reward_scale
    if parts.static.normalize_rewards:
        done = steps.terminated | steps.truncated
        g, sums = normalize.discounted_sums(state.reward_sum, reward, done, ctx.hp.gamma)
        moments = normalize.update(state.reward_moments, sums)
        reward = normalize.scale_reward(moments, reward, ctx.hp.reward_clip)
        state = state.replace(reward_sum=g, reward_moments=moments)
    return state, steps._replace(reward=reward)


def advantages(
    parts: Parts[ConfigT], steps: Transition, last_value: Float[Array, " n"], ctx: Context
) -> Sample:
    """GAE with the value of the true final observation at time limits; not standardised.

    Args:
      parts: time_limits says what the future is worth after one.
      steps: [t, n], rewards scaled; values are the acting policy's.
      last_value: V of the observation after the last step.
      ctx: gamma and gae_lambda are read.

    Returns:
      [t, n]; `target` is advantage + value. Differentiable in `ctx`.
    """
    ended = steps.terminated | steps.truncated
    worthless = ended if parts.static.time_limits == "terminal" else steps.terminated
    discount = jnp.where(worthless, 0.0, ctx.hp.gamma)
    v_t = returns.next_values(steps.value, last_value, steps.final_value, steps.truncated)
    adv = returns.gae(steps.reward, discount, steps.value, v_t, ~ended, ctx.hp.gae_lambda)
    target = adv + steps.value
    return Sample(steps.action, steps.log_prob, steps.value, steps.dist, adv, target)


def progress(state: State, ctx: Context) -> Progress:
    """How far the run is; 0 in its first iteration."""
    return Progress(state.counters.iterations / ctx.horizon, ctx.horizon)


def flatten(parts: Parts[ConfigT], tree: PyTree) -> PyTree:
    """[t, n, ...] -> [t*n, ...]; a recurrent network keeps its time axis."""
    if parts.network.recurrent:
        return tree
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)


def standardize(x: Float[Array, "*b"], epsilon: float = 1e-8) -> Float[Array, "*b"]:
    """(x - mean) / (std + epsilon)."""
    return (x - x.mean()) / (x.std() + epsilon)


def standardize_exactly(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """(x - mean) / std, nothing added; 0 where all are equal up to rounding.

    Without the guard, rounding errors of equal advantages would be blown up to size 1.
    """
    spread = jnp.square(x - x.mean()).mean()
    varies = spread > jnp.square(1e-6 * jnp.abs(x).max())
    # The inner choice keeps sqrt's infinite slope at 0 out of the gradient.
    std = jnp.sqrt(jnp.where(varies, spread, 1.0))
    return jnp.where(varies, (x - x.mean()) / std, 0.0)


def policy_terms(
    dist: Distribution, x: Sample, rule: PyTree, progress: Progress, ctx: Context, drift_: Drift
) -> PolicyTerms:
    """-mean(r A - drift) and the entropy (to be minimised, and maximised).

    Args:
      dist: the new policy at the samples; carries the gradient.
      x: the samples.
      rule: the drift's own state.
      progress: how far the run is.
      ctx: with the traced hyperparameters; drifts may read its data.
      drift_: what holds the policy near the old one.
    """
    log_prob = dist.log_prob(x.action)
    chex.assert_equal_shape([log_prob, x.log_prob])
    log_ratio = log_prob - x.log_prob
    seen = DriftInput(log_ratio, x.advantage, dist, x.dist, x.action, progress)
    loss = -drift.surrogate(drift_, rule, seen, ctx).mean()
    return PolicyTerms(loss, dist.entropy().mean(), log_ratio)


def value_loss(
    value: Float[Array, "*b"],
    old_value: Float[Array, "*b"],
    target: Float[Array, "*b"],
    clip_epsilon: Float[Array, ""] | float | None,
) -> Float[Array, ""]:
    """1/2 mean max[(V - R)^2, (V_old + clip(V - V_old, ±eps) - R)^2]; unclipped with None.

    Args:
      value: V; carries the gradient.
      old_value: V_old, of the rollout.
      target: R, what V regresses on.
      clip_epsilon: eps, in the unit of V.
    """
    chex.assert_equal_shape([value, old_value, target])
    error = jnp.square(value - target)
    if clip_epsilon is not None:
        clipped = old_value + jnp.clip(value - old_value, -clip_epsilon, clip_epsilon)
        error = jnp.maximum(error, jnp.square(clipped - target))
    return 0.5 * error.mean()


def finish(
    parts: Parts[ConfigT], state: State, rollout: Rollout, params: PyTree, opt_state: PyTree
) -> State:
    """The state after an iteration; observation statistics take in the rollout only now.

    Args:
      parts: normalize_observations is read.
      state: before the update.
      rollout: what the statistics take in.
      params, opt_state: after the update.
    """
    moments = state.obs_moments
    if parts.static.normalize_observations:
        moments = normalize.update(moments, rollout.steps.obs)
    return state.replace(
        params=params,
        opt_state=opt_state,
        obs_moments=moments,
        counters=state.counters.replace(iterations=state.counters.iterations + 1),
    )


def report(rollout: Rollout, sample: Sample, own: Mapping[str, Metric]) -> Metrics:
    """What an iteration says of itself, and what the agent adds.

    Args:
      rollout: with the episodes that ended in it.
      sample: targets and old values, for the explained variance.
      own: the agent's, by name.
    """
    ended = rollout.steps.episodes
    residual = (sample.target - sample.value).var()
    return {
        "train/return": metrics.mean(ended.returns, where=ended.finished),
        "train/length": metrics.mean(ended.lengths, where=ended.finished),
        **own,
        "value/explained_variance": metrics.mean(1 - residual / (sample.target.var() + 1e-8)),
    }
