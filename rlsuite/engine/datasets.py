"""What a worker's cells learn from: loaded once, prepared once, and never tried again if it cannot
be. Loads no jax by itself."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from rlsuite.engine.data import load
from rlsuite.errors import UsageError

# What loaded data depends on, see `asked` and `built`.
Key = tuple[str, ...]


class Unfit(UsageError):
    """A dataset is at fault, not the run: only the cells that learn from it fail."""


class Datasets:
    """The data of a worker's cells, one at a time.

    Attributes:
      preparing: whether an agent derives something from it at the moment, which can take minutes.
    """

    def __init__(self) -> None:
        self.preparing = False
        self.data: dict[Key, Any] = {}
        self.prepared: dict[str, Any] = {}
        # Of data that could not be loaded (by `asked`) or prepared (by the cells' group), why.
        self.unfit: dict[Key | str, str] = {}

    def check(self, cell: Any) -> None:
        """Refuse what has failed before, ere a program is built for nothing.

        Raises:
          Unfit: as it did then.
        """
        for what in () if cell.data is None else (asked(cell), cell.group):
            if what in self.unfit:
                raise Unfit(self.unfit[what])

    def of(self, cell: Any, agent: Any) -> Any:
        """What a cell learns from: loaded once for all cells that learn from the same in the same
        environment, prepared once for those of one group.

        Raises:
          Unfit: it cannot be.
        """
        if cell.data is None:
            return None
        key = (*asked(cell), *built(agent.env))
        if key not in self.data:
            self.data.clear()
            self.prepared.clear()
            with self._blamed(asked(cell)):
                self.data[key] = load(cell.data, agent.env)
        if cell.group not in self.prepared:
            self.prepared.clear()
            self.preparing = True
            try:
                with self._blamed(cell.group):
                    prepared = agent.prepare(self.data[key])
            finally:
                self.preparing = False
            self.prepared[cell.group] = prepared
        return self.prepared[cell.group]

    @contextlib.contextmanager
    def _blamed(self, what: Key | str) -> Iterator[None]:
        """What goes wrong is remembered: it is not tried again for every seed."""
        try:
            yield
        except (UsageError, OSError) as error:
            self.unfit[what] = str(error).splitlines()[0]
            raise Unfit(self.unfit[what]) from error


def asked(cell: Any) -> Key:
    """What a cell's data is loaded from and for: kind and content, environment and its options."""
    ref, options = cell.data, getattr(cell, "env_options", {})
    told = (getattr(ref, "kind", ""), ref.hash, getattr(cell, "env", ""))
    return (*told, json.dumps(options, sort_keys=True, default=repr))


def built(env: Any) -> Key:
    """What loading reads of an environment: its time limit cuts episodes, its box scales actions.

    Options may leave both as they are, and an environment may change both by itself.
    """
    names = ("id", "time_limit", "observation_space", "action_space")
    return tuple(repr(getattr(env, name, None)) for name in names)
