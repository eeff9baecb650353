"""What a measurement looks like on a terminal."""

from __future__ import annotations

from rich.table import Table

from rlsuite.bench.results import STEPS_PER_GFLOPS, TARGETS, Outcome, Results, Spread, spread


def suite_table(results: Results) -> Table:
    """Our own speed, in itself and against the matrix product."""
    work, suite = results.work, results.suite
    table = Table(title=f"{work.agent} on {work.env}: {work.seeds} x {work.total_steps:,} steps")
    for column in ("", "least", "median", "greatest", "target"):
        table.add_column(column, justify="left" if not column else "right")
    rate = spread(suite.rates(work))
    _row(table, "env steps/s, all cores", rate, ",.0f")
    _row(table, f"env steps/s per core ({suite.processes})", _over(rate, suite.processes), ",.0f")
    _row(table, "float32 matrix product, GFLOP/s", spread(results.gflops), ".1f")
    target = f">= {STEPS_PER_GFLOPS:,.0f} {_verdict(results.per_gflops(), STEPS_PER_GFLOPS)}"
    _row(table, "env steps/s per GFLOP/s", results.per_gflops(), ",.0f", target)
    _row(table, "share of the matrix ceiling", results.share_of_ceiling(), ".0%")
    return table


def rival_table(results: Results) -> Table | None:
    """How many times faster than the rivals; None without any."""
    if len(results.outcomes) < 2:
        return None
    table = Table(title="rlsuite / rival, each repeat paired")
    table.add_column("rival")
    table.add_column("run")
    for column in ("env steps/s", "ratio: least", "median", "greatest", "target", "hung"):
        table.add_column(column, justify="right")
    for rival in results.outcomes[1:]:
        table.add_row(*_rival_row(results, rival))
    return table


def _rival_row(results: Results, rival: Outcome) -> list[str]:
    how = f"{rival.way}, {rival.processes} process{'es' * (rival.processes > 1)}"
    rate, ratio = spread(rival.rates(results.work)), results.ratio(rival)
    goal = TARGETS[rival.way]
    hung = f"{rival.hangs} times" if rival.hangs else ""
    if rate is None or ratio is None:
        return [rival.name, how, rival.failure, "", "", "", f">= {goal:g}", hung]
    shown = [f"{x:.2f}" for x in ratio]
    verdict = f">= {goal:g} {_verdict(ratio, goal)}"
    return [rival.name, how, f"{rate.median:,.0f}", *shown, verdict, hung]


def _verdict(found: Spread | None, goal: float) -> str:
    return "" if found is None else "met" if found.median >= goal else "missed"


def _over(found: Spread | None, divisor: int) -> Spread | None:
    return Spread(*(x / divisor for x in found)) if found else None


def _row(table: Table, name: str, found: Spread | None, form: str, target: str = "") -> None:
    shown = [format(x, form) for x in found] if found else ["", "", ""]
    table.add_row(name, *shown, target)
