"""A rule (some numbers, pulled to a target with noise) and a student that walks by them."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, PRNGKeyArray
from toy_stages.toy_settings import PopulationConfig, RuleConfig, StudentConfig

from rlsuite.contracts import metrics
from rlsuite.contracts.keys import Purpose, stream
from rlsuite.contracts.types import Agent, Context, Counters, Environment


class Rule(struct.PyTreeNode):
    """What others are given; `shape` is static, as an architecture would be."""

    numbers: Array
    shape: str = struct.field(pytree_node=False, default="plain")


class State(struct.PyTreeNode):
    """Numbers, how far the run is, its key."""

    numbers: Array
    error: Array
    counters: Counters
    key: PRNGKeyArray


def make_rule(env: Environment, config: RuleConfig) -> Agent[Any, Any, Any]:
    """The agent whose policy is a rule."""
    if config.fails:
        raise ValueError("the rule cannot be fitted")

    def init(key: PRNGKeyArray, ctx: Context, warm: Any = None) -> State:
        numbers = jax.random.normal(stream(key, Purpose.INIT), (config.width,))
        return State(numbers, jnp.float32(jnp.inf), Counters.zero(), jnp.copy(key))

    def learn(state: State, batch: Array, ctx: Context) -> tuple[State, metrics.Metrics]:
        numbers = state.numbers - ctx.hp.learning_rate * (state.numbers - ctx.hp.target + batch)
        error = jnp.abs(numbers - ctx.hp.target).max()
        counters = advanced(state.counters)
        broken = (config.bad_from > 0) & (counters.iterations >= config.bad_from)
        loss = jnp.where(broken, jnp.nan, error)
        state = state.replace(numbers=numbers, error=error, counters=counters)
        return state, {"loss/rule": metrics.mean(loss)}

    def finished(state: State) -> Bool[Array, ""]:
        return state.error < config.tolerance

    return Agent(
        name="toy-rule", env=env, config=config, steps_per_iteration=4, init=init,
        collect=partial(noise, 0.01), learn=learn, policy=lambda state: Rule(state.numbers),
        act=_no_act, carry=lambda batch: (), finished=finished if config.tolerance else None,
    )  # fmt: skip


class Members(struct.PyTreeNode):
    """A population inside one program."""

    each: State
    counters: Counters


def make_population(env: Environment, config: PopulationConfig) -> Agent[Any, Any, Any]:
    """Rules side by side, each with a step size of its own; now and then all become the best."""
    inner = make_rule(env, RuleConfig())
    rates = 10 ** jnp.linspace(-3, -0.5, config.members)

    def own(ctx: Context, rate: Array) -> Context:
        return ctx._replace(hp=ctx.hp.replace(target=0.5, learning_rate=rate))

    def init(key: PRNGKeyArray, ctx: Context, warm: Any = None) -> Members:
        each = jax.vmap(lambda rate, key: inner.init(key, own(ctx, rate)))
        return Members(each(rates, jax.random.split(key, config.members)), Counters.zero())

    def collect(state: Members, ctx: Context) -> tuple[Members, Array]:
        each, batch = jax.vmap(lambda s, rate: inner.collect(s, own(ctx, rate)))(state.each, rates)
        return state.replace(each=each), batch

    def learn(state: Members, batch: Array, ctx: Context) -> tuple[Members, metrics.Metrics]:
        def one(s: State, b: Array, rate: Array) -> State:
            return inner.learn(s, b, own(ctx, rate))[0]

        each, counters = jax.vmap(one)(state.each, batch, rates), advanced(state.counters)
        due = counters.iterations % config.period == 0
        winner = each.numbers[each.error.argmin()]
        copied = jnp.where(due, jnp.broadcast_to(winner, each.numbers.shape), each.numbers)
        best, worst = metrics.mean(each.error.min()), metrics.mean(each.error.max())
        measured: metrics.Metrics = {"loss/best": best, "loss/worst": worst}
        return Members(each.replace(numbers=copied), counters), measured

    def policy(state: Members) -> Rule:
        return Rule(state.each.numbers[state.each.error.argmin()])

    return Agent(
        name="toy-population", env=env, config=config, steps_per_iteration=4, init=init,
        collect=collect, learn=learn, policy=policy, act=_no_act, carry=lambda batch: (),
    )  # fmt: skip


def make_student(env: Environment, config: StudentConfig) -> Agent[Any, Any, Any]:
    """The agent that is given a rule: a policy of two logits."""

    def init(key: PRNGKeyArray, ctx: Context, warm: Any = None) -> State:
        start = jax.random.normal(stream(key, Purpose.INIT), ctx.inputs["rule"].numbers.shape)
        return State(start, jnp.float32(0), Counters.zero(), jnp.copy(key))

    def learn(state: State, batch: Array, ctx: Context) -> tuple[State, metrics.Metrics]:
        step = ctx.hp.scale * ctx.inputs["rule"].numbers * 0.01
        numbers = state.numbers + step + 0.01 * batch
        state = state.replace(numbers=numbers, counters=advanced(state.counters))
        return state, {"loss/student": metrics.mean(jnp.abs(numbers).mean())}

    def act(policy: Array, carry: Any, obs: Array, *_: Any) -> tuple[Array, Any]:
        towards = obs[..., 2] + obs[..., 3] + policy.mean()
        return (towards > 0).astype(jnp.int32), carry

    return Agent(
        name="toy-student", env=env, config=config, steps_per_iteration=4, init=init,
        collect=partial(noise, 1.0), learn=learn, policy=lambda state: state.numbers, act=act,
        carry=lambda batch: (), evaluation_mode="greedy",
    )  # fmt: skip


def noise(scale: float, state: State, ctx: Context) -> tuple[State, Array]:
    """What an iteration learns from."""
    key = stream(state.key, Purpose.COLLECT, state.counters.collects)
    counters = state.counters.replace(collects=state.counters.collects + 1)
    batch = scale * jax.random.normal(key, state.numbers.shape)
    return state.replace(counters=counters), batch


def advanced(counters: Counters) -> Counters:
    """One iteration of four steps more."""
    return counters.replace(iterations=counters.iterations + 1, env_steps=counters.env_steps + 4)


def _no_act(*_: Any) -> Any:
    raise AssertionError("a rule plays no episodes")
