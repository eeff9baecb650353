"""Which option of `rlsuite bench` belongs to which benchmark, and what is refused at once: a
benchmark takes minutes, its result must have a place."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from rlsuite.contracts.errors import UsageError

RIVALS = ("--rival-python", "--rivals")
SEARCH = ("--rows", "--states", "--actions", "--batch", "--neighbours")
OPTIONS: dict[str, tuple[str, ...]] = {
    "ppo": ("--seeds", "--total-steps", "--ways", *RIVALS),
    "updates": ("--agent", "--updates", "--layers"),
    "replay": RIVALS,
    "offline": ("--dataset", "--dataset-dir", *RIVALS),
    "neighbours": (*SEARCH, "--updates"),
    "env": ("--envs",),
    "physics": ("--envs", "--copies", "--steps", "--rival-python"),
    "start": (),
    "accelerator": ("--cases", "--tiny", "--seconds"),
}


def check_belonging(what: str, argv: Sequence[str]) -> None:
    """Refuse options that the benchmark would not look at.

    Raises:
      UsageError: naming the benchmarks that do.
    """
    for flag in (word.partition("=")[0] for word in argv if word.startswith("--")):
        owners = [name for name, flags in OPTIONS.items() if flag in flags]
        if owners and what not in owners:
            raise UsageError(f"bench {what} has no {flag}, it is of bench {' and '.join(owners)}")


def check_out(out: Path) -> None:
    """Refuse a place where the result could not be written, or would replace something else.

    Raises:
      UsageError: so.
    """
    parent = out.absolute().parent
    if not parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {parent}")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder: name a JSON file, such as {out / 'bench.json'}")
    if not os.access(out if out.exists() else parent, os.W_OK):
        raise UsageError(f"cannot write to --out {out}: permission denied")
    if out.exists() and not _ours(out):
        raise UsageError(f"--out {out} is there already and no result of `rlsuite bench`")


def _ours(path: Path) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return False
    command = found.get("command") if isinstance(found, dict) else None
    return isinstance(command, list) and command[:2] == ["rlsuite", "bench"]
