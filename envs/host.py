"""Calls from a compiled program to numpy on the host.

`call` is for simulators with a state of their own: their calls must happen once each and in order.
Order comes from the data: each call takes a token and returns the next one, and the token travels
in the environment's state through `scan` and `while_loop` (jax's own ordered effects are refused
there on some backends, and would order unrelated simulators among each other).

`pure_call` is for functions of nothing but their arguments: XLA may repeat or drop them, and
`vmap` makes one call with a leading axis of many.

On the CPU either is a `buffer_callback`: numpy views of XLA's own memory. `io_callback` and
`pure_callback`, which serve elsewhere, hand over jax arrays and can wait for the very thread they
run on.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback
from jax.experimental.buffer_callback import buffer_callback
from jaxtyping import Array

from rlsuite.contracts.errors import UsageError

HostFunction = Callable[..., tuple[np.ndarray, ...]]


def call(
    function: HostFunction, results: tuple[jax.ShapeDtypeStruct, ...], *args: Array
) -> tuple[Array, ...]:
    """Run a numpy function on the host as part of a compiled program.

    Args:
      function: numpy arrays -> numpy arrays. It must call nothing of jax, and must not keep its
        arguments: they are views that die with the call.
      results: shapes and dtypes of what it returns.
      args: what it is given; one of them should be the token of the call before.

    Returns:
      What the function returned.

    Raises:
      UsageError: under `vmap`: one simulator cannot be several.
    """

    @jax.custom_batching.custom_vmap
    def bound(*args: Array) -> tuple[Array, ...]:
        return _call(function, results, *args)

    @bound.def_vmap
    def refuse(axis_size: int, *rest: Any) -> Any:
        raise UsageError("a host simulator runs one seed at a time: drop --vmap (or jax.vmap)")

    return bound(*args)


def _call(
    function: HostFunction, results: tuple[jax.ShapeDtypeStruct, ...], *args: Array
) -> tuple[Array, ...]:
    def fill(_: Any, out: tuple[Any, ...], *buffers: Any) -> None:
        values = function(*(np.asarray(buffer) for buffer in buffers))
        for target, value in zip(out, values, strict=True):
            np.asarray(target)[...] = value

    def convert(*arrays: Any) -> tuple[np.ndarray, ...]:
        values = function(*(np.asarray(array) for array in arrays))
        return tuple(np.asarray(v, r.dtype) for v, r in zip(values, results, strict=True))

    if jax.default_backend() == "cpu":
        return buffer_callback(fill, results, has_side_effect=True)(*args)
    return io_callback(convert, results, *args)


def pure_call(
    function: HostFunction, results: tuple[jax.ShapeDtypeStruct, ...], *args: Array
) -> tuple[Array, ...]:
    """Run a pure numpy function on the host as part of a compiled program.

    Under any number of `vmap`s it is called once for all rows.

    Args:
      function: numpy arrays, each with one leading axis of rows -> the same. Results must depend on
        nothing but the arguments, row by row; otherwise as in `call`.
      results: shapes and dtypes of one row of what it returns; values are converted.
      args: one row of what it is given.

    Returns:
      What the function returned, without the axis of rows.
    """
    fill, convert = _adapters(function, results, tuple(jnp.ndim(arg) for arg in args))
    if jax.default_backend() == "cpu":
        return buffer_callback(fill, results, vmap_method="broadcast_all")(*args)
    return jax.pure_callback(convert, results, *args, vmap_method="broadcast_all")


# Cached, because jax compiles a call outside of jit once for each function that it meets.
@functools.lru_cache(maxsize=64)
def _adapters(
    function: HostFunction, results: tuple[jax.ShapeDtypeStruct, ...], ranks: tuple[int, ...]
) -> tuple[Callable[..., None], Callable[..., tuple[np.ndarray, ...]]]:
    """The function as `buffer_callback` and as `pure_callback` want it."""

    def rows(arrays: Sequence[Any]) -> tuple[tuple[int, ...], tuple[np.ndarray, ...]]:
        views = [np.asarray(array) for array in arrays]
        lead = views[0].shape[: views[0].ndim - ranks[0]]
        count, skip = math.prod(lead), len(lead)
        return lead, tuple(view.reshape(count, *view.shape[skip:]) for view in views)

    def fill(_: Any, out: tuple[Any, ...], *buffers: Any) -> None:
        for target, value in zip(out, function(*rows(buffers)[1]), strict=True):
            view = np.asarray(target)
            view[...] = value.reshape(view.shape)

    def convert(*arrays: Any) -> tuple[np.ndarray, ...]:
        lead, flat = rows(arrays)
        values = zip(function(*flat), results, strict=True)
        return tuple(np.asarray(v, r.dtype).reshape(*lead, *r.shape) for v, r in values)

    return fill, convert
