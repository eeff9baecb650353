# pyright: strict, reportUnknownMemberType=false
"""Metrics that merge: what a training step reports is reduced on the device, never gathered.

A step returns a dict of `Mean`, `Last`, `Min` or `Max`. The kinds are fixed when the step is
traced, so a driver can start from `empty` and `merge` without knowing what the numbers mean: an
interval of any length costs the same few scalars. What an interval did not measure (no episode
ended, an update that is not made every time) has no number and writes no row; a number that is not
finite ends the run.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

# Not None, which may stand in a tree of axes or of shapes.
_ALWAYS: Any = object()
_T = TypeVar("_T", bound="Value")


class Mean(NamedTuple):
    """Weighted mean; empty (no value) while `count` is 0, e.g. when no episode has ended."""

    sum: Float[Array, ""]
    count: Float[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]


class Value(NamedTuple):
    """A number, and whether the interval had one: `given` is False where nothing was measured."""

    value: Float[Array, ""]
    given: Bool[Array, ""]


class _Given(Value):
    __slots__ = ()

    def __new__(cls: type[_T], value: Any, given: Any = _ALWAYS) -> _T:
        """`given` is left out where the number is always there."""
        if given is _ALWAYS:
            given = jnp.ones(jnp.shape(value), bool)
        return Value.__new__(cls, value, given)


class Last(_Given):
    """The newest value."""

    __slots__ = ()


class Min(_Given):
    """The smallest value."""

    __slots__ = ()


class Max(_Given):
    """The largest value."""

    __slots__ = ()


Metric = Mean | Last | Min | Max
Metrics = dict[str, Metric]


def mean(values: Num[Array, "*shape"], where: Bool[Array, "*shape"] | None = None) -> Mean:
    """Mean of an array, or of its masked entries: fixed shapes, no boolean indexing.

    Raises:
      ValueError: the mask has another shape.
    """
    values = jnp.asarray(values, jnp.float32)
    if where is None:
        return Mean(values.sum(), jnp.float32(values.size))
    if where.shape != values.shape:
        raise ValueError(f"a mask of shape {where.shape} for values of shape {values.shape}")
    return Mean(jnp.where(where, values, 0.0).sum(), where.sum(dtype=jnp.float32))


def _zeros(leaf: Any) -> Array:
    return jnp.zeros(leaf.shape, leaf.dtype)


def empty(like: Metrics) -> Metrics:
    """The neutral element of `merge` for metrics of the given kinds."""

    def blank(metric: Metric) -> Metric:
        zeros: Metric = jax.tree.map(_zeros, metric)
        return zeros if isinstance(zeros, Mean) else zeros._replace(value=_neutral(zeros))

    return {name: blank(metric) for name, metric in like.items()}


def _neutral(metric: Last | Min | Max) -> Array:
    """What a value that was not given counts as."""
    neutral = {Last: jnp.nan, Min: jnp.inf, Max: -jnp.inf}[type(metric)]
    return jnp.full(metric.value.shape, neutral, metric.value.dtype)


def _counted(metric: Last | Min | Max) -> Array:
    return jnp.where(metric.given, metric.value, _neutral(metric))


def merge(older: Metrics, newer: Metrics) -> Metrics:
    """Combine two intervals, `newer` following `older`."""
    return {name: _merge(older[name], newer[name]) for name in newer}


def _merge(a: Metric, b: Metric) -> Metric:
    match a, b:
        case Mean(), Mean():
            return Mean(a.sum + b.sum, a.count + b.count)
        case Min(), Min():
            return Min(jnp.minimum(_counted(a), _counted(b)), a.given | b.given)
        case Max(), Max():
            return Max(jnp.maximum(_counted(a), _counted(b)), a.given | b.given)
        case Last(), Last():
            return Last(jnp.where(b.given, b.value, a.value), a.given | b.given)
        case _:
            kinds = f"{type(a).__name__} to {type(b).__name__}"
            raise TypeError(f"a metric changed its kind from {kinds}")


def reduce(stacked: Metrics) -> Metrics:
    """Metrics with a leading axis, as `scan` stacks them -> those of the whole interval."""
    return {name: _reduce(metric) for name, metric in stacked.items()}


def _reduce(metric: Metric) -> Metric:
    match metric:
        case Mean():
            return Mean(metric.sum.sum(0), metric.count.sum(0))
        case Min():
            return Min(_counted(metric).min(0), metric.given.any(0))
        case Max():
            return Max(_counted(metric).max(0), metric.given.any(0))
        case Last():
            # The last that was given; the first, which is none, where there is none.
            newest = (metric.given.shape[0] - 1 - jnp.argmax(metric.given[::-1], 0))[None]
            value, given = (jnp.take_along_axis(leaf, newest, 0)[0] for leaf in metric)
            return Last(value, given)


def to_host(metrics: Metrics) -> dict[str, float]:
    """Plain numbers for a row; what was not measured is left out."""
    host: Metrics = jax.device_get(metrics)
    return _taken_apart({name: jax.tree.map(_one_row, m) for name, m in host.items()})[0]


def rows_to_host(stacked: Metrics) -> list[dict[str, float]]:
    """`to_host` of each row of metrics with a leading axis, whose rows are taken apart together."""
    return _taken_apart(jax.device_get(stacked))


def _one_row(leaf: Any) -> np.ndarray:
    return np.asarray(leaf)[None]


def _taken_apart(host: Metrics) -> list[dict[str, float]]:
    count = max((len(metric[0]) for metric in host.values()), default=1)
    out: list[dict[str, float]] = [{} for _ in range(count)]
    for name, metric in host.items():
        given = np.asarray(metric.count > 0 if isinstance(metric, Mean) else metric.given)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            value = metric.sum / metric.count if isinstance(metric, Mean) else metric.value
        numbers: list[float] = np.asarray(value).tolist()
        for row in np.flatnonzero(given).tolist():
            out[row][name] = numbers[row]
    return out
