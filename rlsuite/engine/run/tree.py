"""Pytrees as named arrays and back: what a checkpoint holds of a state.

Of a replay only the filled rows are written; the others are zeros, and are again when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from rlsuite.contracts.errors import UsageError
from rlsuite.data.replay import Replay


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def rings(tree: PyTree) -> list[tuple[str, Replay]]:
    """The replays in a tree, with their key paths."""
    found = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda x: isinstance(x, Replay))[0]
    return [(jax.tree_util.keystr(path), x) for path, x in found if isinstance(x, Replay)]


def to_arrays(tree: PyTree, prefix: str) -> dict[str, np.ndarray]:
    """Leaves by key path on the host, copied (a view of a donated buffer would change later).

    Typed random keys become their key data.
    """
    return _copied(_fetched(tree, prefix), tree, prefix)


def rows_to_arrays(tree: PyTree, prefix: str, width: int) -> Iterator[dict[str, np.ndarray]]:
    """`to_arrays` of each row of a tree whose leaves are stacked (at width 1: of the tree itself).

    All rows come from the device together: a slice of each leaf for each row would be thousands of
    programs.

    Args:
      tree: leaves [width, ...]; at width 1 without the axis.
      prefix: of every name.
      width: rows.
    """
    host = _fetched(tree, prefix)
    for i in range(width):
        row = host if width == 1 else {name: array[i, ...] for name, array in host.items()}
        yield _copied(row, tree, prefix)


def _fetched(tree: PyTree, prefix: str) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    host = jax.device_get([jax.random.key_data(x) if _is_key(x) else x for _, x in leaves])
    names = [prefix + jax.tree_util.keystr(path) for path, _ in leaves]
    return dict(zip(names, host, strict=True))


def _copied(arrays: dict[str, np.ndarray], tree: PyTree, prefix: str) -> dict[str, np.ndarray]:
    """Copies, of a ring only the filled rows."""
    arrays = dict(arrays)
    for path, _ in rings(tree):
        filled = int(arrays[f"{prefix}{path}.size"])
        for name in arrays:
            if name.startswith(f"{prefix}{path}.data"):
                arrays[name] = arrays[name][:filled]
    return {name: np.array(x, copy=True) for name, x in arrays.items()}


def from_arrays(
    template: PyTree, arrays: dict[str, np.ndarray], prefix: str, source: str
) -> PyTree:
    """Rebuild a tree of the template's structure (from `jax.eval_shape`).

    Args:
      template: shapes and types, a ring's at its full capacity.
      arrays: of `to_arrays`; those with another prefix are passed over.
      prefix: of the names.
      source: the file, for the message.

    Raises:
      UsageError: the arrays belong to another structure, shape or dtype.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    wanted = {prefix + jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    have = {name for name in arrays if name.startswith(prefix)}
    if missing := sorted(set(wanted) - have) + sorted(have - set(wanted)):
        raise UsageError(f"{source} was written by other code: {missing[0]!r} does not match")
    whole = dict(arrays)
    for path, ring in rings(template):
        filled = int(arrays[f"{prefix}{path}.size"])
        for name in wanted:
            if name.startswith(f"{prefix}{path}.data") and len(arrays[name]) == filled:
                whole[name] = _padded(arrays[name], ring.capacity)
    return structure.unflatten(
        _restore(leaf, whole[name], name, source) for name, leaf in wanted.items()
    )


def _padded(rows: np.ndarray, capacity: int) -> np.ndarray:
    if len(rows) >= capacity:
        return rows
    full = np.zeros((capacity, *rows.shape[1:]), rows.dtype)
    full[: len(rows)] = rows
    return full


def _restore(leaf: Any, array: np.ndarray, name: str, source: str) -> Any:
    if _is_key(leaf):
        key = jax.random.wrap_key_data(jnp.asarray(array))
        if key.shape != leaf.shape or key.dtype != leaf.dtype:
            raise UsageError(f"{source} holds another kind of random key at {name!r}")
        return key
    if array.shape != leaf.shape or array.dtype != leaf.dtype:
        raise UsageError(
            f"{source} was written by other settings: {name!r} is {array.dtype}{array.shape}, "
            f"not {leaf.dtype}{leaf.shape}"
        )
    return jnp.asarray(array)
