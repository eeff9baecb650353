"""The environment a worker must be started in; it has to be set before jax is imported.

On CPU jax 0.10 can hang without error: vmapped training scans, callbacks under vmap. One PJRT
thread and the plain scheduler cure both, and one single-threaded worker per core is also the
fastest way to run many seeds.

jax 0.10.2 also computes some sums wrongly on CPU, silently: a sum over the product of an array that
vmap maps and one that it does not, fused with what follows (`tests/engine/test_compiler.py`).
Without that one fusion they are right.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from rlsuite.errors import UsageError

CPU_FLAGS = (
    "--xla_cpu_enable_concurrency_optimized_scheduler=false "
    "--xla_cpu_experimental_ynn_fusion_type=-reduce"
)


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


def worker_environment(device: str, index: int = 0) -> dict[str, str]:
    """The variables of a worker on 'cpu' or 'gpu' `index`."""
    env = dict(os.environ)
    env.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder() / f"xla-{_machine()}"))
    env.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    env.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    env["PYTHONUNBUFFERED"] = "1"
    if device == "cpu":
        env["JAX_PLATFORMS"] = "cpu"
        env["PJRT_NPROC"] = "1"
        env["XLA_FLAGS"] = f"{env.get('XLA_FLAGS', '')} {CPU_FLAGS}".strip()
        env.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    else:
        env["CUDA_VISIBLE_DEVICES"] = visible_gpus()[index]
    return env


def _machine() -> str:
    """Programs compiled for one CPU may not run on another that shares the home folder."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        flags = next(line for line in text.splitlines() if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        flags = platform.processor()
    return hashlib.sha256(f"{platform.machine()} {flags}".encode()).hexdigest()[:10]


def visible_gpus() -> list[str]:
    """Ids of the GPUs, found without touching them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [part for part in chosen.split(",") if part.strip()]
    try:
        out = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(i) for i, line in enumerate(out.stdout.splitlines()) if line.startswith("GPU")]


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
