"""Measurements and the numbers made of them."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rlsuite.bench.workload import Workload

# At least this, from the design's own measurement and the margin over the suites it was made with.
STEPS_PER_GFLOPS = 2000.0
TARGETS = {"documented": 3.0, "per-core": 1.3}


class Spread(NamedTuple):
    """Of the repeats."""

    low: float
    median: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """Least, median and greatest; None of nothing."""
    return Spread(min(values), statistics.median(values), max(values)) if values else None


@dataclass
class Outcome:
    """One contender's measurements.

    Attributes:
      seconds: wall time of each repeat, None where there is none.
      hangs: times it hung and was started again.
      failure: why it has no (more) measurements.
      compile_seconds: the longest of its processes; not in `seconds`.
    """

    name: str
    way: str
    processes: int
    seconds: list[float | None] = field(default_factory=list)
    hangs: int = 0
    failure: str = ""
    compile_seconds: float = 0.0
    versions: dict[str, Any] = field(default_factory=dict)

    def rates(self, work: Workload) -> list[float]:
        """Environment steps per second of each repeat that was measured."""
        return [work.steps / s for s in self.seconds if s]


@dataclass
class Results:
    """Everything one command measured; the first outcome is ours.

    Attributes:
      gflops: float32 matrix product of all our processes together, around each repeat.
    """

    work: Workload
    outcomes: list[Outcome]
    gflops: list[float]

    @property
    def suite(self) -> Outcome:
        """Our own."""
        return self.outcomes[0]

    def per_gflops(self) -> Spread | None:
        """Our steps per second per GFLOP/s, repeat by repeat."""
        rates = self.suite.rates(self.work)
        return spread([r / g for r, g in zip(rates, self.gflops, strict=True)])

    def share_of_ceiling(self) -> Spread | None:
        """Matrix arithmetic that had to be done, over what could have been done in the time."""
        flops = self.work.flops_per_step()
        found = self.per_gflops()
        return Spread(*(x * flops * 1e-9 for x in found)) if found else None

    def ratio(self, rival: Outcome) -> Spread | None:
        """How many times faster we are, repeat by repeat."""
        pairs = zip(self.suite.seconds, rival.seconds, strict=False)
        return spread([theirs / own for own, theirs in pairs if own and theirs])

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "workload": dataclasses.asdict(self.work) | {"config": self.work.config()},
            "gflops": self.gflops,
            "steps_per_second_per_gflops": self.per_gflops(),
            "share_of_ceiling": self.share_of_ceiling(),
            "outcomes": [
                dataclasses.asdict(o)
                | {"steps_per_second": o.rates(self.work), "ratio": self.ratio(o)}
                for o in self.outcomes
            ],
        }
