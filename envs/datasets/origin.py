"""Where data comes from: its family, environment, name and reference scores.

What a file says of itself counts. A file that says nothing and is called as D4RL calls its own is
taken for that; one that says otherwise is refused, for its scores would stand among D4RL's.
"""

from __future__ import annotations

from pathlib import Path

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.contracts.refs import task
from rlsuite.contracts.registry import DatasetRow
from rlsuite.envs.datasets.recording import Header
from rlsuite.envs.datasets.scores import reference

FAMILIES = ("d4rl", "minari", "own")


def family(path: Path, header: Header, row: DatasetRow | None) -> str:
    """d4rl, minari or own: a file that says nothing and is called like no other is one's own.

    Args:
      path: for the message.
      header: of the file.
      row: of the dataset it is called as; None where no known one is called so.

    Raises:
      UsageError: it says another, or another than that of the dataset it is called as.
    """
    said = header.family or ("minari" if header.layout == "minari" else "")
    if said and said not in FAMILIES:
        raise UsageError(f"{path} says its family is {said!r}: {nearest(said, FAMILIES)}")
    if row is not None and said and said != row.family:
        raise UsageError(
            f"{path} says it is {said}, but is called as {row.family}'s {row.name}: rename it"
        )
    return row.family if row is not None else said or "own"


def environment(path: Path, header: Header, row: DatasetRow | None) -> str:
    """What the file says; for a file that is called as a known one, of the same task.

    Args:
      path: for the message.
      header: of the file.
      row: of the dataset it is called as; None where no known one is called so.

    Returns:
      The suite's id where it has one; "" where nobody says.

    Raises:
      UsageError: it says another task than that of the dataset it is called as.
    """
    said = suite_id(header.env)
    if row is None or (said in registry.envs() and task(said) == task(row.env)):
        return said
    if said and row.env and said != row.name and task(said) != task(row.env):
        raise UsageError(
            f"{path} says it was recorded on {said}, but is called as {row.name} of {row.env}: "
            "rename it"
        )
    return row.env


def refuse_borrowed_name(target: Path, family: str, env: str) -> None:
    """Refuse to write what would be taken for another dataset by its name.

    Args:
      target: the file or folder to be written.
      family: of the data: d4rl, minari or own.
      env: id of the data's environment, or "".

    Raises:
      UsageError: naming that dataset.
    """
    for row in registry.datasets().values():
        if plain(target.name) not in {row.name, *(Path(file).name for file in row.files)}:
            continue
        same_task = not (env and row.env) or task(env) == task(row.env)
        if family != row.family or not same_task:
            raise UsageError(
                f"{target} is what {row.family}'s {row.name} is called, and this is {family} data "
                f"of {env or 'an unnamed environment'}: choose another name"
            )


def called(path: Path, header: Header) -> str:
    """Minari's id, or what the file or folder is called."""
    given = str(header.extra.get("dataset_id", ""))
    # Our own ids are made of the folder's name.
    if given and not given.startswith("rlsuite/"):
        return given
    path = path.parent if path.name == "data" else path
    return path.name.removesuffix(path.suffix) if path.is_file() else path.name


def usual_score(env: str, family: str) -> tuple[float, float] | None:
    """D4RL's references where they mean something: not for Minari's sets, whose environments have
    other rewards (Gymnasium's v5), nor for other simulators."""
    return None if family == "minari" or env.endswith("-v5") else reference(task(env))


def plain(name: str) -> str:
    """A file's name with its ending in small letters: X.HDF5 is X.hdf5."""
    ending = Path(name).suffix
    return name.removesuffix(ending) + ending.lower()


def suite_id(env: str) -> str:
    """The suite's id for an environment's Gymnasium id; what is written, where it has none."""
    known = registry.envs()
    return next((name for name in (env, f"mujoco:{env}") if name in known), env)
