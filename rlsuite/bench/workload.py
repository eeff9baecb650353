"""What is timed: the design's measurement, PPO on CartPole for many seeds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from rlsuite.contracts import registry
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.plan.checks import executed_budget

OVERRIDES = {"num_envs": 64, "num_steps": 32}


@dataclass(frozen=True)
class Workload:
    """Seeds and steps of one measurement; the same for everyone.

    Attributes:
      seeds: how many.
      total_steps: environment steps of each seed, whole iterations.
      repeats: measurements, each of everyone in turn.
      workers: processes, one a core.
      matmul_seconds: how long the matrix product is timed, before and after our run.
    """

    seeds: int = 16
    total_steps: int = 131_072
    repeats: int = 3
    workers: int = 1
    matmul_seconds: float = 1.0
    agent: str = "ppo"
    env: str = "CartPole-v1"

    def __post_init__(self) -> None:
        for name in ("seeds", "repeats", "workers"):
            if (value := getattr(self, name)) < 1:
                raise UsageError(f"--{name} must be at least 1, not {value}")
        executed_budget(self._config(), self.total_steps, exact=True)

    def _config(self) -> Any:
        return registry.agent(self.agent).load_config()(**OVERRIDES)

    @property
    def steps(self) -> int:
        """Environment steps of all seeds."""
        return self.seeds * self.total_steps

    def shares(self) -> list[list[int]]:
        """Seeds of each worker; a worker without a seed is not started."""
        shares = [list(range(self.seeds))[i :: self.workers] for i in range(self.workers)]
        return [share for share in shares if share]

    def config(self) -> dict[str, Any]:
        """The agent's resolved settings."""
        return self._config().to_mapping()

    def order(self, seeds: list[int], **extra: Any) -> dict[str, Any]:
        """What one process is told, as plain values."""
        return {**dataclasses.asdict(self), "config": self.config(), "seeds": seeds, **extra}

    def flops_per_step(self) -> int:
        """Matrix multiply-adds, twice, that one environment step costs at the least.

        Every step passes forward once when it is collected and `epochs` times when it is learned
        from; a backward pass costs two forward ones less the input gradient of the first layer.
        """
        c, row = self.config(), registry.env(self.env)
        inputs, (first, *_) = row.observation.shape[0], c["hidden"]
        forward = sum(
            a * b
            for outputs in (row.action.n, 1)
            for a, b in zip([inputs, *c["hidden"]], [*c["hidden"], outputs], strict=True)
        )
        return 2 * (forward + c["epochs"] * (3 * forward - 2 * inputs * first))
