"""The environment a worker must be started in; it has to be set before jax is imported.

On CPU jax 0.10 can hang without error: vmapped training scans, callbacks under vmap. One PJRT
thread and the plain scheduler cure both, and one single-threaded worker per core is also the
fastest way to run many seeds.

jax 0.10.2 also computes some sums wrongly on CPU, silently: a sum over the product of an array that
vmap maps and one that it does not, fused with what follows (`tests/engine/test_compiler.py`).
Without that one fusion they are right.
"""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path

from rlsuite.contracts.errors import UsageError
from rlsuite.io.machine import VARIABLES, cache_folder, gpus

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
