"""What a worker's cells are given: loaded once, prepared once, and never tried again if it cannot
be. Loads no jax by itself."""

from __future__ import annotations

import contextlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rlsuite.contracts.errors import UsageError
from rlsuite.contracts.refs import load
from rlsuite.engine.plan.artefacts import content
from rlsuite.engine.plan.cells import Cell, Made
from rlsuite.io import files

# What something loaded depends on, see `asked` and `built`.
Key = tuple[str, ...]
# What was loaded is kept for the next cell while all of it takes no more.
KEPT_BYTES = 2 << 30


class Unfit(UsageError):
    """What a run is given is at fault, not the run: only the cells that are given it fail.

    Attributes:
      what: in a user's words, after "runs": "on pendulum-replay".
    """

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


class Given(NamedTuple):
    """What one cell is given.

    Attributes:
      data: what it learns from, prepared by its agent, or None.
      inputs: role -> what another run made.
      contents: role -> hash of it, by which a resumed run knows that it is the same still.
      start: the whole state, or the policy, that it goes on from; None once it has begun.
    """

    data: Any = None
    inputs: dict[str, Any] = {}  # noqa: RUF012
    contents: dict[str, str] = {}  # noqa: RUF012
    start: Any = None


class Inputs:
    """What a worker's cells are given.

    Args:
      find: where the file of the run that makes something lies.

    Attributes:
      preparing: whether an agent derives something from its data at the moment, which can take
        minutes.
    """

    def __init__(self, find: Callable[[Cell], Path] | None = None) -> None:
        self.preparing = False
        self.find = find
        self.kept: OrderedDict[Key, Any] = OrderedDict()
        self.prepared: dict[tuple[str, Key], Any] = {}
        # Of what could not be loaded (by `asked`) or prepared (by the cells' group), why.
        self.unfit: dict[Key | str, Unfit] = {}

    def check(self, cell: Any) -> None:
        """Refuse what has failed before, ere a program is built for nothing.

        Raises:
          Unfit: as it did then.
        """
        for what in () if cell.data is None else (asked(cell), cell.group):
            if what in self.unfit:
                raise self.unfit[what]

    def of(self, cell: Any, agent: Any, begun: bool = False) -> Given:
        """What a cell is given: loaded once for all cells that are given the same in the same
        environment; data is prepared once for those of one group.

        Args:
          cell: any.
          agent: built for its group.
          begun: whether it has begun, and needs no start any more.

        Raises:
          Unfit: it cannot be.
        """
        made = getattr(cell, "inputs", {})
        loaded = {role: self._made(role, one) for role, one in made.items()}
        trees = {role: tree for role, (tree, _) in loaded.items()}
        contents = {role: content for role, (_, content) in loaded.items()}
        given = Given(self._data(cell, agent), trees, contents)
        if begun or getattr(cell, "start", None) is None:
            return given
        return given._replace(start=self._start(cell, agent, given))

    def _start(self, cell: Cell, agent: Any, given: Given) -> Any:
        """Kept for the next seed too, as one policy starts many."""
        from rlsuite.engine.run import start_state

        assert cell.start is not None
        key = ("start", cell.start.content, cell.group)
        if key not in self.kept:
            with self._blamed(None, f"from {cell.start.path}"):
                self._keep(key, start_state.load(cell, agent, given.data, given.inputs))
        self.kept.move_to_end(key)
        return self.kept[key]

    def _data(self, cell: Any, agent: Any) -> Any:
        if cell.data is None:
            return None
        key = (*asked(cell), *built(agent.env))
        on = f"on {getattr(cell.data, 'name', '')}"
        if key not in self.kept:
            with self._blamed(asked(cell), on):
                self._keep(key, load(cell.data, agent.env))
        self.kept.move_to_end(key)
        if (cell.group, key) not in self.prepared:
            self.prepared.clear()
            self.preparing = True
            try:
                with self._blamed(cell.group, on):
                    prepared = agent.prepare(self.kept[key])
            finally:
                self.preparing = False
            self.prepared[cell.group, key] = prepared
        return self.prepared[cell.group, key]

    def _made(self, role: str, made: Made) -> tuple[Any, str]:
        key = (made.kind, made.key)
        if key not in self.kept:
            path = Path(made.path) if made.path or self.find is None else self.find(made.cell)
            with self._blamed(None, f"with the {role} {made.name}"):
                self._keep(key, read_made(made, path))
        self.kept.move_to_end(key)
        return self.kept[key]

    def _keep(self, key: Key, tree: Any) -> None:
        """Beside what is there already, of which the longest unused goes first."""
        self.kept[key] = tree
        while len(self.kept) > 1 and sum(map(_bytes, self.kept.values())) > KEPT_BYTES:
            gone, _ = self.kept.popitem(last=False)
            self.prepared = {k: v for k, v in self.prepared.items() if k[1] != gone}

    @contextlib.contextmanager
    def _blamed(self, what: Key | str | None, words: str) -> Iterator[None]:
        """What goes wrong is remembered: it is not tried again for every seed."""
        try:
            yield
        except (UsageError, OSError) as error:
            unfit = Unfit(str(error).splitlines()[0], words)
            if what is not None:
                self.unfit[what] = unfit
            raise unfit from error


# Its name when there was nothing but data.
Datasets = Inputs


def _bytes(tree: Any) -> int:
    import jax

    return sum(getattr(leaf, "nbytes", 0) for leaf in jax.tree.leaves(tree))


def read_made(made: Made, path: Path) -> tuple[Any, str]:
    """(what a run has made, hash of it).

    Raises:
      UsageError: the file is missing, damaged or of another run, or the run turned to NaN.
    """
    from rlsuite.engine.run import tree
    from rlsuite.engine.run.program import policy_shapes

    arrays, meta = files.read_arrays(path)
    if meta.get("status", "done") != "done":
        raise UsageError(f"{made.name} turned to NaN and is of no use: give it another seed")
    if not made.path and (difference := Cell.from_mapping(meta["cell"]).differs(made.cell)):
        raise UsageError(f"{path} was made by other settings: {difference}")
    now = content(arrays)
    if made.path and now != made.content:
        raise UsageError(
            f"{path} changed: its content was {made.content} when the run was asked for, now {now}"
        )
    arrays = {name: array for name, array in arrays.items() if name.startswith("policy")}
    return tree.from_arrays(policy_shapes(made.cell), arrays, "policy", str(path)), now


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
