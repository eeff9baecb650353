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
import functools
import hashlib
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rlsuite.errors import UsageError

CPU_FLAGS = (
    "--xla_cpu_enable_concurrency_optimized_scheduler=false "
    "--xla_cpu_experimental_ynn_fusion_type=-reduce"
)

DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
# Switches of jax that change types, keys or devices, at what the suite is written for.
SWITCHES = {
    "JAX_ENABLE_X64": "0",
    "JAX_DISABLE_JIT": "0",
    "JAX_NUM_CPU_DEVICES": "-1",
    "JAX_DEFAULT_PRNG_IMPL": "threefry2x32",
    "JAX_THREEFRY_PARTITIONABLE": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "standard",
    "JAX_NUMPY_RANK_PROMOTION": "allow",
}
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


def worker_environment(device: str, index: int = 0, deterministic: bool = False) -> dict[str, str]:
    """The variables of a worker.

    Args:
      device: 'cpu' or 'gpu'.
      index: of the GPU, among those that `gpus` finds.
      deterministic: on a GPU, only operations that give the same bits every time.
    """
    env = dict(os.environ)
    env.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder() / f"xla-{_machine()}"))
    env.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    env.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    env["PYTHONUNBUFFERED"] = "1"
    env.update({name: value for name, value in SWITCHES.items() if name in env})
    if device == "cpu":
        env["JAX_PLATFORMS"] = "cpu"
        env["PJRT_NPROC"] = "1"
        env["XLA_FLAGS"] = f"{env.get('XLA_FLAGS', '')} {CPU_FLAGS}".strip()
        env.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
        return env
    found = gpus(asked=True)
    # By name: jax then says why it cannot use it, where else it would quietly take the CPU.
    env["JAX_PLATFORMS"] = f"{found.platform},cpu"
    env[VARIABLES[found.platform]] = found.ids[index]
    # Others may be on the same GPU, another `rlsuite work` for one: take what is needed.
    env.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # Those of the CPU, where this process has them; it may be another's worker.
    own = set(CPU_FLAGS.split())
    kept = [flag for flag in env.pop("XLA_FLAGS", "").split() if flag not in own]
    if kept or deterministic:
        env["XLA_FLAGS"] = " ".join([*kept, *[DETERMINISTIC] * deterministic])
    env.pop("PJRT_NPROC", None)
    return env


def _machine() -> str:
    """Programs compiled for one CPU may not run on another that shares the home folder."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        flags = next(line for line in text.splitlines() if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        flags = platform.processor()
    return hashlib.sha256(f"{platform.machine()} {flags}".encode()).hexdigest()[:10]


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


def check_workers(device: str, count: int | None) -> str:
    """Which of 'cpu' and 'gpu' the workers run on.

    Args:
      device: cpu, gpu, or auto for a GPU where jax can use one.
      count: of workers, None for as many as there are devices.

    Raises:
      UsageError: no GPU though it is asked for, or more workers than GPUs.
    """
    if device == "cpu":
        return "cpu"
    found = gpus(asked=device == "gpu")
    if not found.ids:
        if device == "gpu":
            why = found.why or "no GPU is visible here"
            raise UsageError(f"--device gpu: {why}; use --device cpu")
        return "cpu"
    have = len(found.ids)
    if count is not None and count > have:
        raise UsageError(
            f"--workers {count} on {have} GPU{'s' * (have > 1)}: each worker takes one, use "
            f"--workers {have} (and --vmap W for several runs at once), or --device cpu"
        )
    return "gpu"


def where(asked: str, device: str, count: int) -> str:
    """What a command says of where it runs.

    Args:
      asked: cpu, gpu or auto.
      device: what came of it.
      count: of workers.
    """
    workers = f"{count} worker{'s' * (count > 1)}"
    if device == "gpu":
        names = sorted(set(gpus(asked=True).names[:count]))
        return f"{workers} on {' and '.join(names)}{', one each' * (count > 1)}"
    why = gpus().why if asked == "auto" else ""
    return f"{workers} on the CPU{f' ({why})' * bool(why)}"


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
