"""Everyone in turn, repeat after repeat, so that a noisy machine is noisy for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlsuite.bench.contenders import Contender
from rlsuite.bench.crew import Crew, Died, Hung
from rlsuite.bench.results import Outcome, Results
from rlsuite.bench.workload import Workload

RESTARTS = 5
Say = Callable[[str], None]


class Entrant:
    """A contender with its processes, started again when they hang."""

    def __init__(self, contender: Contender, say: Say) -> None:
        self.contender, self.say = contender, say
        self.outcome = Outcome(contender.name, contender.way, len(contender.commands))
        self.crew: Crew | None = None

    def start(self) -> None:
        """Compile; a failure is noted in the outcome."""
        self._guarded(lambda crew: None)

    def run(self) -> None:
        """One timed repeat."""
        found = self._guarded(lambda crew: crew.release("run")[0])
        self.outcome.seconds.append(found)

    def rate(self) -> float | None:
        """What all processes together do in a second, as each measures it for the same while."""
        return self._guarded(lambda crew: sum(crew.release("rate")[1]))

    def gflops(self) -> float:
        """The matrix product in all processes at the same time."""
        return self._guarded(lambda crew: sum(crew.release("matmul")[1])) or 0.0

    def close(self) -> None:
        """End the processes."""
        if self.crew is not None:
            self.crew.close()
            self.crew = None

    def _guarded(self, action: Callable[[Crew], float | None]) -> float | None:
        while not self.outcome.failure:
            try:
                return action(self._crew())
            except Hung:
                self.outcome.hangs += 1
                self.say(f"{self.contender.name} ({self.contender.way}) hung, no CPU time used")
                if self.outcome.hangs > RESTARTS:
                    self.outcome.failure = "hung"
            except Died as error:
                self.outcome.failure = f"died: {error}"
            self.close()
        return None

    def _crew(self) -> Crew:
        if self.crew is None:
            self.crew = Crew(self.contender.commands, self.contender.env)
            facts = self.crew.ready()
            self.outcome.compile_seconds = max(fact["compile_seconds"] for fact in facts)
            self.outcome.versions = facts[0]["versions"]
        return self.crew


def measure(work: Workload, contenders: Sequence[Contender], say: Say) -> Results:
    """Time every contender `work.repeats` times.

    Args:
      work: what they run.
      contenders: ours first.
      say: told what is going on.

    Raises:
      RuntimeError: our own processes died or hung.
    """
    entrants = [Entrant(contender, say) for contender in contenders]
    gflops = []
    try:
        for entrant in entrants:
            say(f"compiling {entrant.contender.name} ({entrant.contender.way})")
            entrant.start()
        for repeat in range(work.repeats):
            say(f"repeat {repeat + 1} of {work.repeats}")
            before = entrants[0].gflops()
            entrants[0].run()
            gflops.append((before + entrants[0].gflops()) / 2)
            if entrants[0].outcome.failure:
                raise RuntimeError(f"rlsuite's own run {entrants[0].outcome.failure}")
            for entrant in entrants[1:]:
                entrant.run()
    finally:
        for entrant in entrants:
            entrant.close()
    return Results(work, [entrant.outcome for entrant in entrants], gflops)
