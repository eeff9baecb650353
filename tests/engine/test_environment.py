"""What a worker is started in: which device, what is said of it, and switches put right."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pytest

from rlsuite.contracts.errors import UsageError
from rlsuite.engine.launch import process_env
from rlsuite.engine.launch.process_env import CPU_FLAGS, check_workers, where, worker_environment
from rlsuite.engine.launch.session import Workers
from rlsuite.io import machine as environment
from rlsuite.io.machine import PROBE, check_precision, gpus

VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "JAX_PLATFORMS", "XLA_FLAGS")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """A machine with signs of a GPU and a jax that has support for them, as far as it says."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(environment, "SIGNS", (str(tmp_path),))
    monkeypatch.setattr(environment.importlib.metadata, "entry_points", lambda **_: ["cuda"])
    environment._ask.cache_clear()
    yield monkeypatch
    environment._ask.cache_clear()


def answering(machine: pytest.MonkeyPatch, out: str, error: str = "") -> list[dict[str, str]]:
    """Let jax's process answer so; the environments of those that are started."""
    asked: list[dict[str, str]] = []

    def run(command: list[str], env: dict[str, str], **_: Any) -> Any:
        asked.append(env)
        return subprocess.CompletedProcess(command, 0, out, error)

    machine.setattr(environment.subprocess, "run", run)
    return asked


@pytest.mark.parametrize("chosen", ["-1", "", "none", "NoDevFiles", "-1,0"])
def test_masked_gpus_are_none_and_jax_is_not_asked(
    machine: pytest.MonkeyPatch, chosen: str
) -> None:
    asked = answering(machine, '["cuda", ["H100"]]')
    machine.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert check_workers("auto", 7) == "cpu"
    line = where("auto", "cpu", 2)
    assert line == f"2 workers on the CPU (CUDA_VISIBLE_DEVICES={chosen} hides every GPU)"
    assert where("cpu", "cpu", 1) == "1 worker on the CPU"
    with pytest.raises(UsageError, match="--device gpu: CUDA_VISIBLE_DEVICES="):
        check_workers("gpu", None)
    assert not asked


@pytest.mark.parametrize("chosen", ["0", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"])
def test_a_chosen_gpu_that_jax_cannot_use_is_none(machine: pytest.MonkeyPatch, chosen: str) -> None:
    answering(machine, "[]", "warming up\nno CUDA-capable device is detected\n")
    machine.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert check_workers("auto", None) == "cpu"
    assert "no CUDA-capable device is detected" in where("auto", "cpu", 1)
    # On a machine without any sign nobody is asked: it would cost every command seconds.
    machine.setattr(environment, "SIGNS", ())
    machine.setattr(environment.shutil, "which", lambda _: None)
    asked = answering(machine, '["cuda", ["H100"]]')
    environment._ask.cache_clear()
    assert not gpus().ids
    assert "no GPU is here" in where("auto", "cpu", 1)
    machine.delenv("CUDA_VISIBLE_DEVICES")
    assert where("auto", "cpu", 1) == "1 worker on the CPU"
    assert not asked


def test_jax_is_asked_once_and_each_worker_gets_a_gpu(machine: pytest.MonkeyPatch) -> None:
    asked = answering(machine, 'a banner\n["cuda", ["H100", "H100"]]\n')
    machine.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5,-1,7")
    machine.setenv("XLA_FLAGS", f"--xla_dump_to=x {CPU_FLAGS}")
    machine.setenv("PJRT_NPROC", "1")
    assert [check_workers("auto", n) for n in (None, 1, 2)] == ["gpu"] * 3
    assert where("auto", "gpu", 2) == "2 workers on H100, one each"
    first, second = worker_environment("gpu", 0), worker_environment("gpu", 1, deterministic=True)
    assert (first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]) == ("3", "GPU-5")
    assert first["JAX_PLATFORMS"] == "cuda,cpu"
    assert first["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert "PJRT_NPROC" not in first
    assert first["XLA_FLAGS"] == "--xla_dump_to=x"
    assert second["XLA_FLAGS"] == "--xla_dump_to=x --xla_gpu_deterministic_ops=true"
    assert len(asked) == 1


def test_more_workers_than_gpus_is_one_line(machine: pytest.MonkeyPatch) -> None:
    answering(machine, '["cuda", ["H100"]]')
    for device in ("auto", "gpu"):
        with pytest.raises(UsageError, match="--workers 2 on 1 GPU: each worker takes one"):
            Workers(2, device)
    assert check_workers("cpu", 2) == "cpu"


def test_jax_without_gpus_says_so(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("JAX_PLATFORMS", "cpu")
    assert gpus().why == "JAX_PLATFORMS=cpu"
    machine.delenv("JAX_PLATFORMS")
    answering(machine, "", "Unknown flag in XLA_FLAGS: --xla_nonsense")
    assert "Unknown flag in XLA_FLAGS" in gpus().why
    machine.setattr(environment.importlib.metadata, "entry_points", lambda **_: [])
    assert "without its support for GPUs" in gpus().why


def test_a_real_jax_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is asked runs on this jax, and its answer is what `gpus` makes of it.

    `gpus` alone would not show it: a question that fails and a machine without GPUs are both none.
    """
    monkeypatch.setenv("JAX_PLATFORMS", "")
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kind, names = json.loads(done.stdout.splitlines()[-1])
    assert kind in environment.VARIABLES
    plain = "import jax; print(*{d.platform for d in jax.devices()})"
    platforms = subprocess.run([sys.executable, "-c", plain], capture_output=True, text=True)
    assert bool(names) != ("cpu" in platforms.stdout.split()), done.stdout
    assert all(isinstance(name, str) and name for name in names)
    environment._ask.cache_clear()
    assert environment._ask(None).names == tuple(names)
    environment._ask.cache_clear()


def test_flags_are_known_to_this_jax() -> None:
    """XLA ends a process that has a flag it does not know."""
    env = worker_environment("cpu")
    env["XLA_FLAGS"] += f" {process_env.DETERMINISTIC}"
    code = "import jax; print(jax.numpy.ones(3).sum())"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "3.0"), done.stderr


def test_switches_of_the_users_shell_are_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    monkeypatch.setenv("JAX_DEFAULT_PRNG_IMPL", "rbg")
    monkeypatch.setenv("JAX_DEBUG_NANS", "1")
    code = (
        "import jax, jax.numpy as jnp\n"
        "print(jnp.zeros(1, float).dtype, jax.random.key_impl(jax.random.key(0)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=worker_environment("cpu"), capture_output=True, text=True
    )
    assert done.stdout.split()[0] == "float32", done.stderr
    assert "fry" in done.stdout
    # What only helps to find a fault stays.
    assert worker_environment("cpu")["JAX_DEBUG_NANS"] == "1"


def test_training_in_64_bits_is_one_line() -> None:
    from rlsuite.engine.run.program import Program

    agent: Any = None
    with jax.enable_x64(True), pytest.raises(UsageError, match="64-bit mode is on"):
        Program(agent, 1, None)
    check_precision()
