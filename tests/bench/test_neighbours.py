"""`rlsuite bench neighbours`: a small search is measured, the verdict is that of the numbers."""

from __future__ import annotations

from rich.console import Console

from rlsuite.bench import neighbours
from rlsuite.bench.results import Spread


def shown(table: object) -> str:
    """What a terminal would show."""
    console = Console(width=140)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_a_small_search_is_measured():
    work = neighbours.Searching(
        rows=700, states=3, actions=2, batch=16, neighbours=8, seconds=0.05, repeats=2
    )
    found = neighbours.search(work)
    assert set(found.rates) == set(neighbours.BACKENDS)
    assert all(0 < rate.low <= rate.median <= rate.high for rate in found.rates.values())
    assert found.facts["right"]["exact"] == found.facts["certified"]["exact"] == 1.0
    assert 0 < found.facts["certified"]["table"] <= found.facts["right"]["table"]
    # 4 bytes for each number of the keys; for the table 8 places and a radius a row.
    assert found.facts["memory"]["exact"] >= 700 * 5 * 4
    memory = found.facts["memory"]
    assert memory["table"] >= 700 * (5 + 9) * 4
    text = shown(neighbours.search_table(found, work))
    assert "700 rows of 3+2, 16 queries" in text
    assert "table of 8 built in" in text


def test_the_verdict_is_that_of_the_median():
    rates = Spread(90.0, 100.0, 110.0)
    for median, verdict in ((1.29, "met"), (1.31, "missed")):
        found = neighbours.Updated(rates, rates, Spread(1.0, median, 2.0))
        assert f"<= 1.3 {verdict}" in shown(neighbours.update_table(found))
