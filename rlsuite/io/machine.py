"""This machine: its cache folder, GPUs, memory and cores. Never touches a device itself."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rlsuite.contracts.errors import UsageError

# What a machine with a GPU has one of.
SIGNS = (
    "/dev/nvidiactl", "/dev/nvidia0", "/proc/driver/nvidia/version", "/dev/nvmap", "/dev/dxg",
    "/dev/kfd",
)  # fmt: skip
# Which GPUs a process sees.
VARIABLES = {"cuda": "CUDA_VISIBLE_DEVICES", "rocm": "HIP_VISIBLE_DEVICES"}
PROBE_SECONDS = 120.0
PROBE = """
import json, jax
found = [d for d in jax.devices() if d.platform in ("gpu", "cuda", "rocm")]
version = found[0].client.platform_version if found else ""
print(json.dumps(["rocm" if "rocm" in version.lower() else "cuda", [d.device_kind for d in found]]))
"""
# The variable by which a worker learns where its events go, and the folder of what it prints.
EVENTS = "RLSUITE_EVENTS"
LOGS = "logs"


def cache_folder() -> Path:
    """Where compiled programs and recorded datasets are kept.

    RLSUITE_CACHE, else `rlsuite` in XDG_CACHE_HOME, else in `.cache` of the user's folder. As the
    XDG rules say, a path there that is empty or not absolute counts as not given. Whoever has no
    folder of their own that can be written to (a container's user without a name) is given a
    temporary one, and told so once.
    """
    if explicit := os.environ.get("RLSUITE_CACHE"):
        return Path(explicit)
    given, home = Path(os.environ.get("XDG_CACHE_HOME", "")), home_folder()
    if given.is_absolute():
        return given / "rlsuite"
    if home is not None and _can_hold(home / ".cache" / "rlsuite"):
        return home / ".cache" / "rlsuite"
    folder = Path(tempfile.gettempdir()) / f"rlsuite-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid():
        raise UsageError(f"{folder} is somebody else's: set RLSUITE_CACHE to a folder of your own")
    # Also for what this process starts, which need not say it again.
    os.environ["RLSUITE_CACHE"] = str(folder)
    print(
        f"rlsuite: no home folder that can be written to: caches go to {folder}, "
        "RLSUITE_CACHE names another",
        file=sys.stderr,
    )
    return folder


def home_folder() -> Path | None:
    """The user's own folder; None for a user without one."""
    try:
        home = Path.home()
    except (RuntimeError, KeyError):
        return None
    return home if home.is_absolute() else None


def _can_hold(folder: Path) -> bool:
    """Whether a folder is there or can be made."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there == folder or (there.is_dir() and os.access(there, os.W_OK | os.X_OK))


@dataclass(frozen=True)
class Gpus:
    """What jax can use of a machine's GPUs.

    Attributes:
      ids: each as the variable that shows it to one process wants it.
      names: as their maker calls them.
      platform: cuda or rocm.
      why: there is none though one might be expected; else empty.
    """

    ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    platform: str = "cuda"
    why: str = ""


def gpus(asked: bool = False) -> Gpus:
    """What jax can use; where there are signs of a GPU, a process of its own asks jax once.

    Args:
      asked: the user wants one, so that jax is asked without any sign too.
    """
    variable = next((v for v in VARIABLES.values() if v in os.environ), VARIABLES["cuda"])
    chosen = os.environ.get(variable)
    listed = _listed(chosen)
    if listed == ():
        return Gpus(why=f"{variable}={chosen} hides every GPU")
    signs = any(Path(sign).exists() for sign in SIGNS) or shutil.which("nvidia-smi") is not None
    if not (asked or signs):
        return Gpus(why="" if chosen is None else f"{variable}={chosen}, but no GPU is here")
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu", "rocm"} & set(platforms.lower().split(",")):
        return Gpus(why=f"JAX_PLATFORMS={platforms}")
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    if not plugins and importlib.util.find_spec("jax_plugins") is None:
        return Gpus(why="jax is installed without its support for GPUs, such as jax[cuda13]")
    return _ask(listed)


def _listed(chosen: str | None) -> tuple[str, ...] | None:
    """Of a list of visible devices those before the first that is none, as CUDA reads it."""
    if chosen is None:
        return None
    names = (part.strip() for part in chosen.split(","))
    return tuple(
        itertools.takewhile(lambda n: n.isdigit() or n.startswith(("GPU-", "MIG-")), names)
    )


@functools.cache
def _ask(listed: tuple[str, ...] | None) -> Gpus:
    """Ask jax, in a process of its own: this one must not touch the device."""
    env = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE], env=env, capture_output=True, timeout=PROBE_SECONDS,
            text=True, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return Gpus(why=f"jax did not answer within {PROBE_SECONDS:.0f} s")
    try:
        kind, names = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        kind, names = "cuda", []
    if not names:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return Gpus(why=f"jax can use no GPU{': ' + said[-1][:300] if said else ''}")
    ids = listed or tuple(str(i) for i in range(len(names)))
    return Gpus(ids[: len(names)], tuple(names[: len(ids)]), kind)


def check_precision() -> None:
    """Refuse to train while jax computes in 64 bits.

    Raises:
      UsageError: its switch is on, set by the user's shell, by a script or by a package.
    """
    import jax

    # jax.config makes its options at run time, unseen by type checkers.
    if getattr(jax.config, "jax_enable_x64"):  # noqa: B009
        raise UsageError(
            "jax's 64-bit mode is on and rlsuite trains in 32 bits: unset JAX_ENABLE_X64, or "
            "jax.config.update('jax_enable_x64', False) after what turned it on"
        )


def available_memory() -> int:
    """Memory that can be had without swapping, in bytes; 0 where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


def round_down(count: int) -> int:
    """Two leading digits, the others zero: a number to suggest."""
    unit = 10 ** max(len(str(count)) - 2, 0)
    return count // unit * unit


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
