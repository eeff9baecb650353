"""What every test runs under: a quiet CPU, no x64, runtime shape checks, warnings as errors."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Before jax is imported: one XLA thread, no concurrent scheduler and no fused sums, as the suite's
# own workers run. Without them jax on CPU hangs in vmapped training scans and computes some sums
# wrongly (see rlsuite.engine.launch.process_env). Most of a test's time is the compiler's: LLVM's
# passes are left out (a third less), which XLA_FLAGS can take back. What tests start as processes
# of their own (test_system.py) runs under the workers' flags.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["PJRT_NPROC"] = "1"
for _flag in (
    "--xla_cpu_enable_concurrency_optimized_scheduler=false",
    "--xla_cpu_experimental_ynn_fusion_type=-reduce",
    "--xla_backend_optimization_level=0",
):
    if _flag.split("=")[0] not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_flag}".strip()

import jax  # noqa: E402
import jaxtyping  # noqa: E402
import pytest  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

jax.config.update("jax_enable_x64", False)

# Every annotation in the suite is checked while it is traced. Nothing of rlsuite may have been
# imported before this line. The light modules are checked too; they cost nothing.
install_import_hook("rlsuite", "runtime_types.check")


@pytest.fixture
def without_the_tests_own_checks() -> Iterator[None]:
    """As whoever runs the suite has it: annotations are not checked, only what the code checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
