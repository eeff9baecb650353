"""Calls from a compiled program to a simulator on the host.

A host simulator has a state of its own, so its calls must happen once each and in order. Order
comes from the data: each call takes a token and returns the next one, and the token travels in the
environment's state through `scan` and `while_loop` (jax's own ordered effects are refused there on
some backends, and would order unrelated simulators among each other).

On the CPU the call is a `buffer_callback`: numpy views of XLA's own memory. `io_callback`, which
serves elsewhere, hands over jax arrays and can wait for the very thread it runs on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import io_callback
from jax.experimental.buffer_callback import buffer_callback
from jaxtyping import Array

from rlsuite.errors import UsageError

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
