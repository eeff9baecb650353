"""Where a number comes from: versions, device and settings, recorded with every cell."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rlsuite

_PACKAGES = (
    "jax", "jaxlib", "flax", "optax", "gymnax", "gymnasium", "mujoco", "brax", "numpy",
)  # fmt: skip


def portable(command: Sequence[str]) -> list[str]:
    """A command line without the folders of the machine it was typed on."""
    return [re.sub(r"(^|=)/(?:[^/,]+/)*([^/,]+)", r"\1\2", argument) for argument in command]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@functools.cache
def commit() -> str:
    """The commit of a source checkout, with '+' where it was changed; 'installed' elsewhere."""
    root = Path(rlsuite.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return "installed"
    try:
        ask = functools.partial(
            subprocess.run, cwd=root, capture_output=True, text=True, timeout=10, check=True
        )
        head = ask(["git", "rev-parse", "--short=12", "HEAD"]).stdout.strip()
        changed = ask(["git", "status", "--porcelain", "--untracked-files=no"]).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return head + ("+" if changed else "")


def software() -> dict[str, str]:
    """Versions and commit, without loading jax."""
    return {
        "rlsuite": rlsuite.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
        "cpu": _cpu_model(),
    }


def collect() -> dict[str, Any]:
    """Versions and device; imports jax."""
    import jax

    device = jax.devices()[0]
    # jax.config makes its options at run time, unseen by type checkers.
    precision: str | None = getattr(jax.config, "jax_default_matmul_precision")  # noqa: B009
    found = software()
    cpu = found.pop("cpu")
    return {
        **found,
        "platform": device.platform,
        "device": cpu if device.platform == "cpu" else device.device_kind,
        "matmul_precision": precision or "default",
        "width": 1,
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "cpu"
