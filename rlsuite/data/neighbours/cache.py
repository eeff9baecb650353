"""Tables kept on disk: built once for a dataset, a scaling and a K, whoever asks."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from rlsuite.contracts.errors import UsageError
from rlsuite.data.neighbours.build import HostTable, build
from rlsuite.data.neighbours.keys import Index, Table, states
from rlsuite.io import artefact_cache, files

# Part of a table's name: another way of building is another file.
VERSION = 1
# Tables of fewer rows take a moment to build and are not kept.
SMALL = 5000


def with_table(index: Index, k: int) -> Index:
    """The index with its table, from the disk or built now.

    Raises:
      UsageError: the cache folder cannot be written.
    """
    host = np.ascontiguousarray(np.asarray(states(index), np.float32))
    found = build(host, k) if len(host) < SMALL else cached(host, k)
    return index._replace(table=Table(jnp.asarray(found.places), jnp.asarray(found.radius)))


def cached(host: Float[np.ndarray, "n s"], k: int, folder: Path | None = None) -> HostTable:
    """The table of these states, built if no file has it. One process builds, others wait.

    Args:
      host: standardised states; their bytes are the file's name.
      k: rows kept of each.
      folder: default that of the cache.
    """
    path = artefact_cache.place("neighbours", name(host, k))
    path = folder / path.name if folder else path
    if (found := read(path, host, k)) is not None:
        return found
    with artefact_cache.locked(path):
        # Somebody may have built it while we waited.
        if (found := read(path, host, k)) is not None:
            return found
        if path.exists():
            tell(f"{path} is damaged and is built anew")
        tell(f"building the table of {k} nearest states of {len(host):,} rows, once "
             f"(kept in {path.parent})")  # fmt: skip
        found = build(host, k, tell)
        files.write_arrays(path, found._asdict(), {"version": VERSION})
    return found


def name(host: Float[np.ndarray, "n s"], k: int) -> str:
    """The file of a table: a digest of what it is computed from."""
    digest = hashlib.sha256(f"{VERSION} {k} {host.shape} {host.dtype}".encode())
    digest.update(np.ascontiguousarray(host).data)
    return f"{digest.hexdigest()[:24]}-k{k}.safetensors"


def read(path: Path, host: Float[np.ndarray, "n s"], k: int) -> HostTable | None:
    """The table in a file; None where there is none, or a damaged one.

    Args:
      path: of the file.
      host: standardised states; their number must be the table's.
      k: rows kept of each.
    """
    try:
        arrays, _ = files.read_arrays(path)
    except UsageError:
        arrays = {}
    rows = len(host)
    good = set(arrays) == set(HostTable._fields)
    good = good and arrays["places"].shape == (rows, min(k, rows))
    return HostTable(arrays["places"], arrays["radius"]) if good else None


def tell(line: str) -> None:
    """To standard error: a worker's output is its parent's."""
    print(f"neighbours: {line}", file=sys.stderr, flush=True)
