"""Multilayer perceptrons, their gradients and Adam's first step, by hand in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from pulled_tools import dense

Layers = list[tuple[Any, Any]]


def layers_of(params: Any) -> Layers:
    """(kernel, bias) of each layer in double precision."""
    return [(x["kernel"].astype(np.float64), x["bias"].astype(np.float64)) for x in dense(params)]


def forward(layers: Layers, *inputs: Any) -> tuple[Any, list[Any]]:
    """(output, the input of each layer), relu between layers."""
    x, seen = np.concatenate(inputs, -1), []
    for i, (kernel, bias) in enumerate(layers):
        x = np.maximum(x, 0) if i else x
        seen.append(x)
        x = x @ kernel + bias
    return x, seen


def backward(layers: Layers, seen: list[Any], above: Any) -> tuple[Layers, Any]:
    """(gradients of all layers, of the input), from the gradient of the output."""
    grads: Layers = []
    for (kernel, _), x in zip(reversed(layers), reversed(seen), strict=True):
        grads.insert(0, (x.T @ above, above.sum(0)))
        # What was cut to 0 on its way in passes nothing back; the network's own input was not cut.
        above = above @ kernel.T * ((x > 0) | (x is seen[0]))
    return grads, above


def adam(layers: Layers, grads: Layers, rate: float, eps: float) -> Layers:
    """Layers after Adam's first step, whose moments are the gradient and its square."""
    step = lambda w, g: w - rate * g / (np.abs(g) + eps)  # noqa: E731
    return [(step(k, gk), step(b, gb)) for (k, b), (gk, gb) in zip(layers, grads, strict=True)]


def assert_layers(params: Any, expected: Layers, atol: float) -> None:
    """Flax's parameters are these layers."""
    for (kernel, bias), (k, b) in zip(layers_of(params), expected, strict=True):
        np.testing.assert_allclose(kernel, k, rtol=0, atol=atol)
        np.testing.assert_allclose(bias, b, rtol=0, atol=atol)
