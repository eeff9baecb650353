"""What every test runs under: a quiet CPU, no x64, runtime shape checks, warnings as errors."""

from __future__ import annotations

import os

# Before jax is imported: one XLA thread and no concurrent scheduler, as the suite's own workers
# run. Without them jax on CPU hangs in vmapped training scans (see rlsuite.engine).
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["PJRT_NPROC"] = "1"
_FLAG = "--xla_cpu_enable_concurrency_optimized_scheduler=false"
if _FLAG not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}".strip()

import jax  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

jax.config.update("jax_enable_x64", False)

# Every annotation in the suite is checked while it is traced. Nothing of rlsuite may have been
# imported before this line. The light modules are checked too; they cost nothing.
install_import_hook("rlsuite", "runtime_types.check")
