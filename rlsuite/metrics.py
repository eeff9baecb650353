# pyright: strict, reportUnknownMemberType=false
"""Metrics that merge: what a training step reports is reduced on the device, never gathered.

A step returns a dict of `Mean`, `Last`, `Min` or `Max`. The kinds are fixed when the step is
traced, so a driver can start from `empty` and `merge` without knowing what the numbers mean: an
interval of any length costs the same few scalars.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num


class Mean(NamedTuple):
    """Weighted mean; empty (no value) while `count` is 0, e.g. when no episode has ended."""

    sum: Float[Array, ""]
    count: Float[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]


class Last(NamedTuple):
    """The newest value."""

    value: Float[Array, ""]


class Min(NamedTuple):
    """The smallest value."""

    value: Float[Array, ""]


class Max(NamedTuple):
    """The largest value."""

    value: Float[Array, ""]


Metric = Mean | Last | Min | Max
Metrics = dict[str, Metric]


def mean(values: Num[Array, "*shape"], where: Bool[Array, "*shape"] | None = None) -> Mean:
    """Mean of an array, or of its masked entries: fixed shapes, no boolean indexing."""
    values = jnp.asarray(values, jnp.float32)
    if where is None:
        return Mean(values.sum(), jnp.float32(values.size))
    return Mean(jnp.where(where, values, 0.0).sum(), where.sum(dtype=jnp.float32))


def empty(like: Metrics) -> Metrics:
    """The neutral element of `merge` for metrics of the given kinds."""
    neutral = {Mean: 0.0, Last: jnp.nan, Min: jnp.inf, Max: -jnp.inf}

    def blank(metric: Metric) -> Metric:
        value = neutral[type(metric)]

        def full(leaf: Any) -> Array:
            return jnp.full(leaf.shape, value, leaf.dtype)

        return jax.tree.map(full, metric)

    return {name: blank(metric) for name, metric in like.items()}


def merge(older: Metrics, newer: Metrics) -> Metrics:
    """Combine two intervals, `newer` following `older`."""
    return {name: _merge(older[name], newer[name]) for name in newer}


def _merge(a: Metric, b: Metric) -> Metric:
    match a, b:
        case Mean(), Mean():
            return Mean(a.sum + b.sum, a.count + b.count)
        case Min(), Min():
            return Min(jnp.minimum(a.value, b.value))
        case Max(), Max():
            return Max(jnp.maximum(a.value, b.value))
        case Last(), Last():
            return b
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
            return Min(metric.value.min(0))
        case Max():
            return Max(metric.value.max(0))
        case Last():
            return Last(metric.value[-1])


def to_host(metrics: Metrics) -> dict[str, float]:
    """Plain numbers for a row; a mean of nothing is left out."""
    out: dict[str, float] = {}
    for name, metric in jax.device_get(metrics).items():
        if isinstance(metric, Mean):
            if metric.count > 0:
                out[name] = float(metric.sum / metric.count)
        else:
            out[name] = float(metric.value)
    return out
