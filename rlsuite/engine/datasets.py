"""What a worker's cells learn from: loaded once, prepared once, and never tried again if it cannot
be. Loads no jax by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from rlsuite.engine.data import load
from rlsuite.errors import UsageError


class Unfit(UsageError):
    """A dataset is at fault, not the run: only the cells that learn from it fail."""


class Datasets:
    """The data of a worker's cells, one at a time.

    Attributes:
      preparing: whether an agent derives something from it at the moment, which can take minutes.
    """

    def __init__(self) -> None:
        self.preparing = False
        self.data: dict[str, Any] = {}
        self.prepared: dict[str, Any] = {}
        # Of data that could not be loaded (by its hash) or prepared (by the cells' group), why.
        self.unfit: dict[str, str] = {}

    def check(self, cell: Any) -> None:
        """Refuse what has failed before, ere a program is built for nothing.

        Raises:
          Unfit: as it did then.
        """
        for what in () if cell.data is None else (cell.data.hash, cell.group):
            if what in self.unfit:
                raise Unfit(self.unfit[what])

    def of(self, cell: Any, agent: Any) -> Any:
        """What a cell learns from: loaded once for all cells that learn from the same, prepared
        once for those of one group.

        Raises:
          Unfit: it cannot be.
        """
        if cell.data is None:
            return None
        if cell.data.hash not in self.data:
            self.data.clear()
            self.prepared.clear()
            with self._blamed(cell.data.hash):
                self.data[cell.data.hash] = load(cell.data, agent.env)
        if cell.group not in self.prepared:
            self.prepared.clear()
            self.preparing = True
            try:
                with self._blamed(cell.group):
                    prepared = agent.prepare(self.data[cell.data.hash])
            finally:
                self.preparing = False
            self.prepared[cell.group] = prepared
        return self.prepared[cell.group]

    @contextlib.contextmanager
    def _blamed(self, what: str) -> Iterator[None]:
        """What goes wrong is remembered: it is not tried again for every seed."""
        try:
            yield
        except (UsageError, OSError) as error:
            self.unfit[what] = str(error).splitlines()[0]
            raise Unfit(self.unfit[what]) from error
